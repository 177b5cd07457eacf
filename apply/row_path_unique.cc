// The row path of tables that have parked rows: what is parked under a key counts as its row, and
// writing is apply/unique_path.h's work.
#include "apply/row_path.h"
#include "apply/table_sql.h"
#include "apply/tombstone_table.h"
#include "apply/unique_path.h"
#include "base/named_error.h"

namespace pgduet {

absl::Status RowPath::ReadParkedRow(const TableGroups& table, const KeyGroup& group,
                                    Standing& standing) {
  PGDUET_ASSIGN_OR_RETURN(const std::optional<ParkedRow> parked,
                          ReadParked(scope_.pipeline, table.table->oid, group.key_text));
  if (!parked) return absl::OkStatus();
  standing.parked = true;
  const bool known = standing.state.kind != LocalState::Kind::kNeverSeen;
  if (known && !(standing.state.version < parked->version)) return absl::OkStatus();
  standing.state = {.kind = LocalState::Kind::kLive, .version = parked->version};
  standing.xid = parked->xid;
  standing.own = parked->version.rank == scope_.origin;
  standing.row_json = parked->row_json;
  if (parked->version.rank == scope_.identity.rank) {
    standing.state.version.commit_lsn =
        scope_.history.LocalLsn(parked->xid, parked->version.commit_time);
  }
  return absl::OkStatus();
}

absl::Status RowPath::WriteUnique(const TableGroups& table, const KeyGroup& group,
                                  const Standing& standing, const Outcome& outcome) {
  const TargetTable& target = *table.table;
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
  PlacedRow row{.table = table.table,
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
