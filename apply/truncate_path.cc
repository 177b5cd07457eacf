#include "apply/truncate_path.h"

#include <fmt/format.h>

#include "apply/conflict_log.h"
#include "apply/parked_rows.h"
#include "apply/postgres_time.h"
#include "apply/set_path.h"
#include "apply/table_sql.h"
#include "apply/tombstone_table.h"
#include "base/named_error.h"
#include "resolve/last_write_wins.h"

namespace pgduet {
namespace {

std::string RemainingRowsSql(const TargetTable& table) {
  std::string keys;
  for (const int key : table.keys) keys += fmt::format(", t.{}", table.columns[key].quoted);
  return fmt::format(
      "SELECT t.xmin::text, {}, coalesce((pg_xact_commit_timestamp_origin(t.xmin)).roident, 0), "
      "{}{} FROM {} t "
      "WHERE t.xmin <> pg_current_xact_id()::xid FOR UPDATE",
      MicrosecondsOf("(pg_xact_commit_timestamp_origin(t.xmin)).timestamp"), table.row_json, keys,
      table.quoted);
}

// A row that the set-based delete did not take.
struct Remaining {
  KeyGroup group;
  LocalState state;
  std::string row_json;
};

Remaining ParseRemaining(const ApplyScope& scope, const TargetTable& table, const ApplyUnit& unit,
                         const PgResult& rows, int row) {
  Remaining one;
  std::vector<Value> key;
  for (size_t part = 0; part < table.keys.size(); ++part) {
    key.push_back({ValueKind::kText, rows.Text(row, 4 + static_cast<int>(part))});
  }
  one.group.key_text = KeyText(table, key);
  one.group.key_hash = KeyHash(one.group.key_text);
  one.group.steps.push_back({.unit = 0, .kind = ChangeKind::kTruncate});
  one.row_json = std::string(rows.Text(row, 3));
  one.state.kind = LocalState::Kind::kLive;
  const auto xid = static_cast<uint32_t>(rows.Int(row, 0));
  if (rows.IsNull(row, 1)) {
    one.state.covered = true;
    return one;
  }
  const Rank rank = scope.RankOf(static_cast<Oid>(rows.Int(row, 2)));
  one.state.version = {.commit_time = rows.Int(row, 1), .rank = rank};
  const CommitTime time = one.state.version.commit_time;
  if (rank == scope.origin) {
    one.state.covered = true;
  } else if (rank == scope.identity.rank) {
    one.state.version.commit_lsn = scope.history.LocalLsn(xid, time);
    one.state.covered = scope.history.LocalCovered(xid, time, unit.vector);
  } else {
    const TableKey place{table.oid, one.group.key_hash};
    one.state.covered = scope.history.OriginCovered(rank, xid, time, place, unit.vector);
    one.state.version.commit_time = scope.history.OriginTime(rank, xid, time, place);
  }
  return one;
}

absl::Status DecideRemaining(const ApplyScope& scope, const TableGroups& groups,
                             const ApplyUnit& unit, const Remaining& one, ApplyCounts& counts) {
  const Resolution resolution = LastWriteWins(ChangeKind::kDelete, unit.version(), one.state);
  if (resolution.conflict) {
    ++counts.conflicts[{*resolution.conflict, resolution.decision}];
    PGDUET_RETURN_IF_ERROR(QueueConflict(scope.pipeline, scope.identity,
                                         {.table = &groups,
                                          .group = &one.group,
                                          .step = &one.group.steps.front(),
                                          .unit = &unit,
                                          .kind = *resolution.conflict,
                                          .decision = resolution.decision,
                                          .local_row = one.row_json,
                                          .local_deleted = false,
                                          .local_version = one.state.version}));
  }
  if (resolution.decision == Decision::kKeepLocal) return absl::OkStatus();
  std::vector<PgParameter> key;
  for (std::string& part : KeyValues(one.group.key_text)) key.emplace_back(std::move(part));
  return scope.pipeline
      .Add(DeleteRowSql(*groups.table), key, ScalarTypes(*groups.table, groups.table->keys))
      .status();
}

}  // namespace

absl::Status ApplyTruncate(const ApplyScope& scope, const std::shared_ptr<const TargetTable>& table,
                           const std::shared_ptr<const Relation>& relation, const ApplyUnit& unit,
                           ApplyCounts& counts) {
  const CoverageSql coverage{.other_origins = static_cast<int>(scope.identity.regions.size()) - 2};
  // Sequential scans are what this statement wants, unlike all others of the session.
  PGDUET_RETURN_IF_ERROR(scope.pipeline.Add("SET LOCAL enable_seqscan = on", {}).status());
  PGDUET_RETURN_IF_ERROR(
      scope.pipeline
          .Add(fmt::format("DELETE FROM {} t WHERE {}", table->quoted, coverage.Condition(1)),
               CoverageParameters(scope, unit.vector), coverage.ParameterTypes())
          .status());
  PGDUET_RETURN_IF_ERROR(scope.pipeline.Add(RemainingRowsSql(*table), {}).status());
  PGDUET_RETURN_IF_ERROR(scope.pipeline.Add("SET LOCAL enable_seqscan = off", {}).status());
  PGDUET_RETURN_IF_ERROR(QueueRemoteTombstone(scope, TruncateOf(unit, *table), unit.vector));
  if (scope.Crowded(*table)) {
    PGDUET_RETURN_IF_ERROR(
        QueueRemoveParkedBelow(scope.pipeline, table->oid, {std::string()}, unit.version()));
  }
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, scope.pipeline.Run());
  const PgResult& remaining = results[2];
  const TableGroups groups{.relation = relation, .table = table, .groups = {}, .by_key = {}};
  for (int row = 0; row < remaining.rows(); ++row) {
    PGDUET_RETURN_IF_ERROR(DecideRemaining(
        scope, groups, unit, ParseRemaining(scope, *table, unit, remaining, row), counts));
  }
  ++counts.truncates;
  return scope.pipeline.executed() > 0 ? scope.pipeline.Run().status() : absl::OkStatus();
}

}  // namespace pgduet
