#include "apply/row_writer.h"

#include <utility>

#include "apply/set_parameters.h"
#include "apply/table_sql.h"
#include "apply/tombstone_table.h"
#include "apply/visible_rows.h"
#include "base/named_error.h"

namespace pgduet {

RowWriter::RowWriter(ApplyScope scope, const std::vector<ApplyUnit>& units,
                     const TableGroups& table, InsertedKeys& inserted, ApplyCounts& counts)
    : scope_(scope), units_(units), table_(table), inserted_(inserted), counts_(counts) {}

absl::Status RowWriter::Write(size_t group_index, const RowStanding& standing, RowOutcome outcome) {
  const KeyGroup& group = table_.groups[group_index];
  decided_.push_back({.group = group_index, .conflicts = std::move(outcome.conflicts)});
  if (!outcome.applied) return absl::OkStatus();
  if (scope_.Crowded(*table_.table)) return WriteUnique(group, standing, outcome);
  return outcome.lives ? WriteRow(group, standing, outcome) : WriteDelete(group, standing);
}

absl::Status RowWriter::WriteDelete(const KeyGroup& group, const RowStanding& standing) {
  const TargetTable& target = *table_.table;
  PGDUET_RETURN_IF_ERROR(QueueUpdates());
  // With two regions only a delete that met no row can have missed one: a row that it met kept all
  // others out.
  if (!standing.exists || NeedsTombstone(scope_, target, group)) {
    const ApplyUnit& unit = units_[group.steps.back().unit];
    PGDUET_RETURN_IF_ERROR(
        QueueRemoteTombstone(scope_, DeleteOf(unit, target, group), unit.vector));
  }
  if (!standing.exists) return absl::OkStatus();
  return scope_.pipeline
      .Add(DeleteRowSql(target), KeyParametersOf(group.key_text), ScalarTypes(target, target.keys))
      .status();
}

RowWriter::Carried RowWriter::CarriedBy(const KeyGroup& group, const RowOutcome& outcome) const {
  const TargetTable& target = *table_.table;
  Carried carried;
  for (int column = 0; column < static_cast<int>(target.columns.size()); ++column) {
    const Value& value = group.FinalValue(target.source_index[column], outcome.first_applied);
    if (value.kind == ValueKind::kUnchanged) continue;
    carried.columns.push_back(column);
    carried.values.push_back(&value);
  }
  return carried;
}

absl::Status RowWriter::WriteRow(const KeyGroup& group, const RowStanding& standing,
                                 const RowOutcome& outcome) {
  const TargetTable& target = *table_.table;
  auto [carried, values] = CarriedBy(group, outcome);
  if (standing.exists && !target.replaces_rows) {
    if (carried != carried_) PGDUET_RETURN_IF_ERROR(QueueUpdates());
    if (updates_.empty()) {
      carried_ = std::move(carried);
      columns_ = ColumnArrays(target, carried_);
    }
    updates_.push_back(decided_.size() - 1);
    for (size_t place = 0; place < values.size(); ++place)
      AddValue(columns_[place], *values[place]);
    return absl::OkStatus();
  }
  // An update may have freed what this row takes (a unique key): the order stays.
  PGDUET_RETURN_IF_ERROR(QueueUpdates());
  std::vector<PgParameter> parameters;
  for (const Value* value : values) parameters.push_back(ToParameter(*value));
  std::vector<Oid> types = ScalarTypes(target, carried);
  std::string sql;
  if (standing.exists) {
    sql = ReplaceRowSql(target, carried);
    for (PgParameter& part : KeyParametersOf(group.key_text)) parameters.push_back(std::move(part));
    for (const Oid type : ScalarTypes(target, target.keys)) types.push_back(type);
  } else {
    sql = InsertRowSql(target, carried);
    inserted_.Add({target.oid, group.key_hash}, units_[group.steps.back().unit].header.commit_time);
  }
  PGDUET_ASSIGN_OR_RETURN(const size_t result, scope_.pipeline.Add(sql, parameters, types));
  statements_.push_back({.result = result, .decided = {decided_.size() - 1}});
  return absl::OkStatus();
}

absl::Status RowWriter::QueueUpdates() {
  if (updates_.empty()) return absl::OkStatus();
  PGDUET_ASSIGN_OR_RETURN(const size_t result,
                          scope_.pipeline.Add(UpdateRowsSql(*table_.table, carried_),
                                              Finished(std::exchange(columns_, {})),
                                              ArrayTypes(*table_.table, carried_)));
  statements_.push_back(
      {.result = result, .gives_places = true, .decided = std::exchange(updates_, {})});
  return absl::OkStatus();
}

absl::StatusOr<std::vector<size_t>> RowWriter::Finish() {
  PGDUET_RETURN_IF_ERROR(QueueUpdates());
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, scope_.pipeline.Run());
  // What was decided against a row that was not there any more, or not yet, did not happen: nothing
  // of it is logged.
  for (const Statement& statement : statements_) {
    const PgResult& result = results[statement.result];
    if (!statement.gives_places) {
      decided_[statement.decided.front()].happened = result.affected() > 0;
      continue;
    }
    for (const size_t one : statement.decided) decided_[one].happened = false;
    for (int row = 0; row < result.rows(); ++row)
      decided_[statement.decided[result.Int(row, 0) - 1]].happened = true;
  }
  PGDUET_RETURN_IF_ERROR(LogConflicts());
  std::vector<size_t> again;
  for (const Decided& one : decided_) {
    if (!one.happened) again.push_back(one.group);
  }
  return again;
}

absl::Status RowWriter::LogConflicts() {
  std::vector<ConflictEntry> entries;
  for (Decided& one : decided_) {
    if (!one.happened) continue;
    for (ConflictEntry& entry : one.conflicts) {
      ++counts_.conflicts[{entry.kind, entry.decision}];
      entries.push_back(std::move(entry));
    }
  }
  if (entries.empty()) return absl::OkStatus();
  PGDUET_RETURN_IF_ERROR(QueueConflicts(scope_.pipeline, scope_.identity, entries));
  return scope_.pipeline.Run().status();
}

}  // namespace pgduet
