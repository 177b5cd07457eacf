// The row path of tables that have parked rows: what is parked under a key counts as its row.
#include "apply/row_path.h"
#include "apply/unique_path.h"
#include "base/named_error.h"

namespace pgduet {

absl::Status RowPath::ReadParkedRow(const TableGroups& table, const KeyGroup& group,
                                    RowStanding& standing) {
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

}  // namespace pgduet
