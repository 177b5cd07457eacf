// Writing to tables that have parked rows is apply/unique_path.h's work.
#include <utility>

#include "apply/row_writer.h"
#include "apply/set_parameters.h"
#include "apply/table_sql.h"
#include "apply/tombstone_table.h"
#include "apply/unique_path.h"
#include "apply/visible_rows.h"
#include "base/named_error.h"

namespace pgduet {

absl::Status RowWriter::WriteUnique(const KeyGroup& group, const RowStanding& standing,
                                    const RowOutcome& outcome) {
  const TargetTable& target = *table_.table;
  const ApplyUnit& unit = units_[group.steps.back().unit];
  if (!outcome.lives) {
    // A parked row keeps no other row out of its key: its delete may have missed one.
    if (!standing.exists || !scope_.identity.OnlyTwo()) {
      PGDUET_RETURN_IF_ERROR(
          QueueRemoteTombstone(scope_, DeleteOf(unit, target, group), unit.vector));
    }
    if (standing.parked)
      PGDUET_RETURN_IF_ERROR(scope_.unique->RemoveParked(target, group.key_text));
    if (!standing.exists) return absl::OkStatus();
    return scope_.pipeline
        .Add(DeleteRowSql(target), KeyParametersOf(group.key_text),
             ScalarTypes(target, target.keys))
        .status();
  }
  auto [carried, values] = CarriedBy(group, outcome);
  PlacedRow row{.table = table_.table,
                .key_text = group.key_text,
                .carried = std::move(carried),
                .values = {},
                .version = unit.version(),
                .exists = standing.exists,
                .was_parked = standing.parked,
                .operation = group.steps.back().kind,
                .region = unit.header.origin,
                .incarnation = unit.header.incarnation,
                .sequence = unit.header.sequence};
  for (const Value* value : values) row.values.push_back(ToParameter(*value));
  if (!standing.exists) inserted_.Add({target.oid, group.key_hash}, unit.header.commit_time);
  PGDUET_RETURN_IF_ERROR(scope_.unique->Complete(row));
  return scope_.unique->Place(row).status();
}

}  // namespace pgduet
