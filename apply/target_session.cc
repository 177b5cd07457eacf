#include "apply/target_session.h"

#include <fmt/format.h>

#include "apply/postgres_time.h"
#include "apply/sole_writer.h"
#include "base/named_error.h"
#include "capture/applied_marker.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

// A plan must not depend on who configured the database: every statement finds its rows by key.
constexpr char kSettings[] =
    "SET synchronous_commit = off; SET jit = off; SET plan_cache_mode = force_generic_plan; "
    "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; "
    "SET check_function_bodies = off";

absl::Status TakeReplicaRole(PgConnection& connection) {
  const absl::Status status = connection.Query("SET session_replication_role = replica").status();
  if (status.ok() || absl::IsUnavailable(status)) return status;
  return Renamed(
      status, absl::StatusCode::kFailedPrecondition, "replica_role_refused",
      "Run as a superuser: GRANT SET ON PARAMETER session_replication_role TO the agent's role.");
}

absl::Status TakeOrigin(PgConnection& connection, const std::string& origin_name) {
  const absl::Status status =
      connection.Query("SELECT pg_catalog.pg_replication_origin_session_setup($1)", {origin_name})
          .status();
  if (status.ok()) return status;
  if (SqlState(status) == "55006") {
    return Renamed(status, absl::StatusCode::kUnavailable, "origin_active",
                   "Another agent (or a session that is just ending) applies for this region; stop "
                   "one of them.");
  }
  if (SqlState(status) == "42704") {
    return Renamed(status, absl::StatusCode::kFailedPrecondition, "origin_missing",
                   "Run 'pgduet init' for this region.");
  }
  return status;
}

}  // namespace

absl::Status CheckCommitTimestamps(PgConnection& connection) {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult row,
      connection.Query("SELECT pg_catalog.current_setting('track_commit_timestamp')"));
  if (row.Text(0, 0) == "on") return absl::OkStatus();
  return NamedError(absl::StatusCode::kFailedPrecondition, "track_commit_timestamp",
                    "track_commit_timestamp is off: rows would have no versions",
                    "ALTER SYSTEM SET track_commit_timestamp = on; then restart the server.");
}

absl::StatusOr<std::unique_ptr<TargetSession>> TargetSession::Open(const std::string& conninfo,
                                                                   const RegionIdentity& identity,
                                                                   const std::string& purpose,
                                                                   const std::string& origin_name) {
  PGDUET_ASSIGN_OR_RETURN(std::unique_ptr<PgConnection> connection,
                          PgConnection::Open(SetSession(conninfo, identity.set, purpose)));
  PGDUET_RETURN_IF_ERROR(connection->Query(kSettings).status());
  PGDUET_RETURN_IF_ERROR(MarkAsWriter(*connection, identity.set, identity.writer_epoch));
  PGDUET_RETURN_IF_ERROR(CheckCommitTimestamps(*connection));
  PGDUET_RETURN_IF_ERROR(TakeReplicaRole(*connection));
  PGDUET_RETURN_IF_ERROR(TakeOrigin(*connection, origin_name));
  std::vector<Oid> origin_oids;
  for (Rank rank = 0; rank < identity.regions.size(); ++rank) {
    if (rank == identity.rank) {
      origin_oids.push_back(0);
      continue;
    }
    PGDUET_ASSIGN_OR_RETURN(
        PgResult oid,
        connection->Query("SELECT pg_catalog.pg_replication_origin_oid($1)",
                          {OriginName(identity.group, identity.set, identity.NameOf(rank))}));
    if (oid.IsNull(0, 0)) {
      return NamedError(
          absl::StatusCode::kFailedPrecondition, "origin_missing",
          fmt::format("replication origin is missing: region={}", identity.NameOf(rank)),
          "Run 'pgduet init' for this region.");
    }
    origin_oids.push_back(static_cast<Oid>(oid.Int(0, 0)));
  }
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult housekeeper,
      connection->Query("SELECT pg_catalog.pg_replication_origin_oid($1)",
                        {OriginName(identity.group, identity.set, "housekeeper")}));
  PGDUET_ASSIGN_OR_RETURN(PgPipeline pipeline, PgPipeline::Create(*connection));
  auto session =
      std::unique_ptr<TargetSession>(new TargetSession(std::move(connection), std::move(pipeline)));
  session->origin_oids_ = std::move(origin_oids);
  session->housekeeper_oid_ = static_cast<Oid>(housekeeper.Int(0, 0));
  return session;
}

absl::StatusOr<PgResult> TargetSession::Query(const std::string& sql,
                                              const std::vector<PgParameter>& parameters) {
  PGDUET_RETURN_IF_ERROR(pipeline_.Add(sql, parameters).status());
  PGDUET_ASSIGN_OR_RETURN(std::vector<PgResult> results, pipeline_.Run());
  return std::move(results.front());
}

absl::StatusOr<CommitTime> TargetSession::Clock() {
  PGDUET_ASSIGN_OR_RETURN(const PgResult now,
                          Query("SELECT " + MicrosecondsOf("clock_timestamp()")));
  clock_.Answered(now.Int(0, 0), TargetClock::Steady::now());
  return clock_.at_least();
}

}  // namespace pgduet
