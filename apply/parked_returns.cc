#include "apply/parked_returns.h"

#include <fmt/format.h>

#include "apply/internal_transaction.h"
#include "apply/parked_rows.h"
#include "apply/postgres_time.h"
#include "apply/table_sql.h"
#include "apply/unique_keys.h"
#include "apply/unique_path.h"
#include "base/log.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr absl::Duration kLookInterval = absl::Milliseconds(50);
// What no notice tells of: a local commit that was decoded before it became visible.
constexpr absl::Duration kAllInterval = absl::Seconds(2);
constexpr absl::Duration kWarnInterval = absl::Seconds(60);
constexpr int kRowsOfALook = 200;
// For rows from before the attachment: below every commit.
constexpr char kOldestStamp[] = "2000-01-01 00:00:00.000001+00";

// Keys of parked rows that do not stand: nothing above them is in their way, or their key has gone
// on.
std::string FreeSql(const TargetTable& table, const std::vector<UniqueKey>& keys,
                    const std::vector<Oid>& origin_oids, Rank self) {
  std::string cases, under_key, blocked;
  for (size_t rank = 0; rank < origin_oids.size(); ++rank) {
    if (origin_oids[rank] != 0) cases += fmt::format(" WHEN {} THEN {}", origin_oids[rank], rank);
  }
  for (size_t part = 0; part < table.keys.size(); ++part) {
    const TargetColumn& column = table.columns[table.keys[part]];
    under_key += fmt::format("{}t.{} = (p.key::text[])[{}]::{}", part == 0 ? "" : " AND ",
                             column.quoted, part + 1, column.type);
  }
  for (const UniqueKey& key : keys) {
    blocked += fmt::format(
        " AND NOT EXISTS (SELECT {} AND "
        "(coalesce((pg_xact_commit_timestamp_origin(t.xmin)).timestamp, '-infinity'), CASE "
        "coalesce((pg_xact_commit_timestamp_origin(t.xmin)).roident, 0) WHEN 0 THEN {}{} ELSE {} "
        "END) > (p.commit_time, p.rank))",
        CollidersOf(table, key, CandidateOfParked(table)), self, cases, self);
  }
  return fmt::format(
      "SELECT p.key FROM pgduet.parked p WHERE p.relation = $1::oid AND p.rank = $2::smallint AND "
      "(EXISTS (SELECT FROM {} t WHERE {}) OR EXISTS (SELECT FROM pgduet.tombstone d WHERE "
      "d.relation = p.relation AND d.key_digest IN (p.key_digest, '{}'::uuid) AND (d.commit_time, "
      "d.rank) > (p.commit_time, p.rank)) OR (true{})) ORDER BY p.commit_time DESC LIMIT {}",
      table.quoted, under_key, KeyDigest(""), blocked, kRowsOfALook);
}

}  // namespace

absl::Status ParkedReturns::Step(TargetSession& session, PgConnection& catalog_connection,
                                 absl::Time now) {
  if (now - looked_at_ < kLookInterval) return absl::OkStatus();
  looked_at_ = now;
  due_.merge(parking_.TakeChanged(rank_));
  if (now - all_at_ > kAllInterval) {
    all_at_ = now;
    for (const Oid table : parking_.CrowdedTables()) due_.insert(table);
  }
  TargetCatalog catalog(catalog_connection);
  for (const Oid oid : std::exchange(due_, {})) {
    const absl::StatusOr<std::shared_ptr<const TargetTable>> table = catalog.FindByOid(oid);
    const absl::Status status = table.ok() ? LookAt(session, *table) : table.status();
    if (absl::IsUnavailable(status)) return status;
    if (status.ok()) continue;
    session.pipeline().ForgetPlans();
    due_.insert(oid);
    if (absl::IsAborted(status) || now - warned_at_ < kWarnInterval) continue;
    warned_at_ = now;
    LogWarning("apply", "look at parked rows put off", status);
  }
  return absl::OkStatus();
}

absl::Status ParkedReturns::LookAt(TargetSession& session,
                                   const std::shared_ptr<const TargetTable>& table) {
  PGDUET_ASSIGN_OR_RETURN(const std::vector<UniqueKey> keys,
                          LoadUniqueKeys(session.pipeline(), table->oid));
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult free,
      session.Query(FreeSql(*table, keys, session.origin_oids(), identity_.rank),
                    {std::to_string(table->oid), std::to_string(rank_)}));
  for (int row = 0; row < free.rows(); ++row) {
    PGDUET_RETURN_IF_ERROR(ReturnOne(session, table, std::string(free.Text(row, 0))));
  }
  return absl::OkStatus();
}

absl::Status ParkedReturns::ReturnOne(TargetSession& session,
                                      const std::shared_ptr<const TargetTable>& table,
                                      const std::string& key_text) {
  ParkingLot::Hold hold(parking_);
  PGDUET_RETURN_IF_ERROR(hold.Enter(table->oid, kLookInterval));
  if (!hold.Alone(table->oid)) return absl::OkStatus();  // nothing is parked any more
  TombstoneRegistry::Applier gate(registry_, rank_);
  gate.Begin();
  TargetCatalog catalog(session.connection());  // not asked: the table is known
  ApplyScope scope{.identity = identity_,
                   .origin = rank_,
                   .origin_oids = session.origin_oids(),
                   .pipeline = session.pipeline(),
                   .catalog = catalog,
                   .history = history_,
                   .registry = registry_,
                   .applied = applied_,
                   .policies = policies_,
                   .gate = &gate};
  absl::Status status = Move(session, scope, table, key_text);
  if (!status.ok()) {
    (void)session.Query("ROLLBACK");
    gate.Leave();
    (void)session.Query("SELECT pg_replication_origin_xact_reset()");
    return status;
  }
  return session.Query("SELECT pg_replication_origin_xact_reset()").status();
}

absl::Status ParkedReturns::Move(TargetSession& session, ApplyScope& scope,
                                 const std::shared_ptr<const TargetTable>& table,
                                 const std::string& key_text) {
  PgPipeline& pipeline = scope.pipeline;
  PGDUET_RETURN_IF_ERROR(BeginInternal(pipeline, scope.identity));
  PGDUET_RETURN_IF_ERROR(pipeline.Add("SET LOCAL lock_timeout = '100ms'", {}).status());
  PGDUET_ASSIGN_OR_RETURN(const std::optional<ParkedRow> parked,
                          ReadParked(pipeline, table->oid, key_text));
  if (!parked) return session.Query("ROLLBACK").status();
  const Version& version = parked->version;
  PGDUET_RETURN_IF_ERROR(
      pipeline
          .Add("SELECT pg_replication_origin_xact_setup('0/1', $1::timestamptz)",
               {version.commit_time == kOldestTime ? std::string(kOldestStamp)
                                                   : TimestampText(version.commit_time)})
          .status());
  bool exists = false, moved = true;
  PGDUET_ASSIGN_OR_RETURN(const bool superseded,
                          Superseded(scope, *table, key_text, version, exists));
  ApplyCounts counts;
  UniquePath unique(scope, counts);
  if (superseded) {
    PGDUET_RETURN_IF_ERROR(QueueRemoveParked(pipeline, table->oid, key_text));
  } else {
    PlacedRow row{.table = table,
                  .key_text = key_text,
                  .carried = AllColumns(*table),
                  .values = {},
                  .version = version,
                  .xid = parked->xid,
                  .exists = exists,
                  .was_parked = true,
                  .returning = true,
                  .region = identity_.NameOf(version.rank)};
    PGDUET_ASSIGN_OR_RETURN(row.values, ReadParkedColumns(pipeline, *table, key_text, row.carried));
    PGDUET_ASSIGN_OR_RETURN(moved, unique.Place(row));
    PGDUET_RETURN_IF_ERROR(unique.Finish());
  }
  PGDUET_ASSIGN_OR_RETURN(const size_t asked,
                          pipeline.Add("SELECT EXISTS (SELECT FROM pgduet.parked WHERE relation = "
                                       "$1::oid)",
                                       {std::to_string(table->oid)}));
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> left, pipeline.Run());
  const bool empty = !left[asked].Bool(0, 0);
  // A local delete of the key that is being journaled would not see what we write.
  const auto concerns = [&](const std::vector<KeyDelete>& deletes) {
    std::vector<KeyDelete> ours;
    for (const KeyDelete& one : deletes) {
      if (one.key.table == table->oid && (one.key_text.empty() || one.key_text == key_text))
        ours.push_back(one);
    }
    return ours;
  };
  if (!scope.gate->EnterCommit(concerns).empty())
    return NamedError(absl::StatusCode::kAborted, "unique_race", "the key is being deleted");
  PGDUET_RETURN_IF_ERROR(session.Query("COMMIT").status());
  scope.gate->Leave();
  if (empty) {
    parking_.Emptied(table->oid);
  } else if (moved) {
    parking_.Changed(table->oid);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> ParkedReturns::Superseded(ApplyScope& scope, const TargetTable& table,
                                               const std::string& key_text, const Version& version,
                                               bool& exists) {
  const auto pending = registry_.Pending({table.oid, KeyHash(key_text)}, rank_);
  std::vector<PgParameter> key;
  for (std::string& part : KeyValues(key_text)) key.emplace_back(std::move(part));
  PGDUET_ASSIGN_OR_RETURN(
      const size_t gone,
      scope.pipeline.Add("SELECT FROM pgduet.tombstone WHERE relation = $1::oid AND key_digest IN "
                         "($2::uuid, $3::uuid) AND (commit_time, rank) > ($4::timestamptz, "
                         "$5::smallint)",
                         {std::to_string(table.oid), KeyDigest(key_text), KeyDigest(""),
                          TimestampText(version.commit_time), std::to_string(version.rank)},
                         {25, 25, 25, 25, 25}));
  PGDUET_ASSIGN_OR_RETURN(const size_t read, scope.pipeline.Add(ReadRowSql(table), key,
                                                                ScalarTypes(table, table.keys)));
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, scope.pipeline.Run());
  const PgResult& row = results[read];
  exists = row.rows() > 0;
  if (results[gone].rows() > 0 || (pending && version < pending->version)) return true;
  if (!exists) return false;
  Version here;
  if (!row.IsNull(0, 1)) here.commit_time = row.Int(0, 1);
  here.rank = scope.RankOf(static_cast<Oid>(row.Int(0, 2)));
  return std::pair(here.commit_time, here.rank) >= std::pair(version.commit_time, version.rank);
}

}  // namespace pgduet
