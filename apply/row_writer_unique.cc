// Writing to tables that have parked rows is apply/unique_path.h's work.
#include "apply/row_writer.h"
#include "apply/table_sql.h"
#include "apply/tombstone_table.h"
#include "apply/unique_path.h"
#include "base/named_error.h"

namespace pgduet {

absl::Status RowWriter::WriteUnique(const KeyGroup& group, const RowStanding& standing,
                                    const RowOutcome& outcome) {
  const TargetTable& target = *table_.table;
  const ApplyUnit& unit = units_[group.steps.back().unit];
  std::vector<PgParameter> key;
  for (std::string& part : KeyValues(group.key_text)) key.emplace_back(std::move(part));
  if (!outcome.lives) {
    // A parked row keeps no other row out of its key: its delete may have missed one.
    if (!standing.exists || !scope_.identity.OnlyTwo()) {
      PGDUET_RETURN_IF_ERROR(
          QueueRemoteTombstone(scope_, DeleteOf(unit, target, group), unit.vector));
    }
    if (standing.parked)
      PGDUET_RETURN_IF_ERROR(scope_.unique->RemoveParked(target, group.key_text));
    if (!standing.exists) return absl::OkStatus();
    return scope_.pipeline.Add(DeleteRowSql(target), key, ScalarTypes(target, target.keys))
        .status();
  }
  PlacedRow row{.table = table_.table,
                .key_text = group.key_text,
                .carried = {},
                .values = {},
                .version = unit.version(),
                .exists = standing.exists,
                .was_parked = standing.parked,
                .operation = group.steps.back().kind,
                .region = unit.header.origin,
                .incarnation = unit.header.incarnation,
                .sequence = unit.header.sequence};
  for (int column = 0; column < static_cast<int>(target.columns.size()); ++column) {
    const Value& value = group.FinalValue(target.source_index[column], outcome.first_applied);
    if (value.kind == ValueKind::kUnchanged) continue;
    row.carried.push_back(column);
    row.values.push_back(value.kind == ValueKind::kNull ? PgParameter::Null()
                                                        : PgParameter(std::string(value.bytes)));
  }
  if (!standing.exists) inserted_.Add({target.oid, group.key_hash}, unit.header.commit_time);
  PGDUET_RETURN_IF_ERROR(scope_.unique->Complete(row));
  return scope_.unique->Place(row).status();
}

}  // namespace pgduet
