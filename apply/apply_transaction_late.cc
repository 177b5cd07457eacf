// Deletes of others that became known while the transaction was under way, and meet what it brought
// to life: one of the two must see the other (docs/decisions/0002, A and C).
#include <fmt/format.h>

#include "apply/apply_transaction.h"
#include "apply/conflict_log.h"
#include "apply/parked_rows.h"
#include "apply/table_sql.h"
#include "apply/visible_rows.h"
#include "base/named_error.h"

namespace pgduet {

absl::Status ApplyTransaction::DecideLateDeletes(const std::vector<KeyDelete>& deletes,
                                                 const RecordHeader& last) {
  for (const KeyDelete& one : deletes) {
    if (scope_.hold != nullptr && scope_.hold->Alone(one.key.table)) {
      PGDUET_RETURN_IF_ERROR(
          QueueRemoveParkedBelow(scope_.pipeline, one.key.table, {one.key_text}, one.version));
      PGDUET_RETURN_IF_ERROR(scope_.pipeline.Run().status());
    }
    if (!one.key_text.empty()) {
      PGDUET_RETURN_IF_ERROR(DecideLateDelete(one, last));
      continue;
    }
    // A local truncate: every row that this transaction brought to life.
    const TargetTable& table = *touched_.at(one.key.table).second;
    std::string keys;
    for (const int key : table.keys) {
      keys += fmt::format("{}t.{}", keys.empty() ? "" : ", ", table.columns[key].quoted);
    }
    PGDUET_RETURN_IF_ERROR(
        scope_.pipeline
            .Add(fmt::format("SELECT {} FROM {} t WHERE t.xmin = pg_current_xact_id()::xid", keys,
                             table.quoted),
                 {})
            .status());
    PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> rows, scope_.pipeline.Run());
    for (int row = 0; row < rows.front().rows(); ++row) {
      std::vector<Value> key;
      for (int part = 0; part < rows.front().columns(); ++part)
        key.push_back({ValueKind::kText, rows.front().Text(row, part)});
      KeyDelete of_row = one;
      of_row.key_text = KeyText(table, key);
      of_row.key.key_hash = KeyHash(of_row.key_text);
      if (inserted_.TimeOf(of_row.key) == kOldestTime)
        continue;  // updated, not inserted: the truncate did not meet it
      PGDUET_RETURN_IF_ERROR(DecideLateDelete(of_row, last));
    }
  }
  return absl::OkStatus();
}

absl::Status ApplyTransaction::DecideLateDelete(const KeyDelete& one, const RecordHeader& last) {
  const auto& [relation, table] = touched_.at(one.key.table);
  const std::vector<PgParameter> key = KeyParametersOf(one.key_text);
  const std::vector<Oid> types = ScalarTypes(*table, table->keys);
  // An insert that found its key taken is among the inserted keys, too: only a row of this
  // transaction is its to judge.
  PGDUET_RETURN_IF_ERROR(scope_.pipeline.Add(OwnRowSql(*table), key, types).status());
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> own, scope_.pipeline.Run());
  if (own.front().rows() == 0) return absl::OkStatus();

  ApplyUnit unit{.header = last, .vector = {}, .batch = {}};
  unit.header.commit_time = inserted_.TimeOf(one.key);
  const bool remote_wins = one.version < unit.version();
  PGDUET_RETURN_IF_ERROR(
      QueueLateConflict(one, unit, remote_wins ? Decision::kApplyRemote : Decision::kKeepLocal));
  if (!remote_wins)
    PGDUET_RETURN_IF_ERROR(scope_.pipeline.Add(DeleteRowSql(*table), key, types).status());
  return scope_.pipeline.Run().status();
}

absl::Status ApplyTransaction::QueueLateConflict(const KeyDelete& one, const ApplyUnit& unit,
                                                 Decision decision) {
  const auto& [relation, table] = touched_.at(one.key.table);
  const TableGroups groups{.relation = relation, .table = table, .groups = {}, .by_key = {}};
  KeyGroup group{.key_text = one.key_text, .key_hash = one.key.key_hash, .steps = {}};
  // The log shows the key: the whole row stays in the table, or in the log of its origin.
  const std::vector<std::string> key_values = KeyValues(one.key_text);
  const std::vector<Value> key_row = RowOfKey(*table, key_values);
  group.steps.push_back({.unit = 0,
                         .kind = ChangeKind::kDelete,
                         .row = {},
                         .old_row = key_row,
                         .old_row_kind = OldRow::kKey});
  ++counts_.conflicts[{ConflictKind::kUpdateDeleted, decision}];
  return QueueConflict(scope_.pipeline, scope_.identity,
                       {.table = &groups,
                        .group = &group,
                        .step = &group.steps.front(),
                        .unit = &unit,
                        .kind = ConflictKind::kUpdateDeleted,
                        .decision = decision,
                        .local_row = std::nullopt,
                        .local_deleted = true,
                        .local_version = one.version});
}

}  // namespace pgduet
