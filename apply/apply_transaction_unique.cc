// Apply transactions over tables that park rows (apply/parking_lot.h): holding them, noticing the
// first collision, and what is known at the end.
#include <algorithm>

#include "apply/apply_transaction.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

// With row locks held, another transaction may wait for ours: then this one gives way.
constexpr absl::Duration kPatienceAtFirst = absl::Seconds(30);
constexpr absl::Duration kPatience = absl::Seconds(1);

}  // namespace

absl::Status ApplyTransaction::HoldTables(const std::vector<Segment>& segments, size_t units) {
  if (!hold_) return absl::OkStatus();
  std::vector<Oid> tables;
  const auto add = [&](const TargetTable& table) {
    if (scope_.parking->Parks(table.quoted)) tables.push_back(table.oid);
  };
  for (const Segment& segment : segments) {
    for (const TableGroups& table : segment.tables) add(*table.table);
    if (segment.truncation) add(*segment.truncation->table);
  }
  std::sort(tables.begin(), tables.end());
  tables.erase(std::unique(tables.begin(), tables.end()), tables.end());
  const absl::Duration patience = touched_.empty() ? kPatienceAtFirst : kPatience;
  bool crowded = false;
  for (const Oid table : tables) {
    PGDUET_RETURN_IF_ERROR(hold_->Enter(table, patience));
    crowded |= hold_->Alone(table);
    if (std::find(parking_tables_.begin(), parking_tables_.end(), table) == parking_tables_.end())
      parking_tables_.push_back(table);
  }
  if (!crowded) return absl::OkStatus();
  // Parked rows are compared with each transaction's own time, not with a batch's.
  if (units > 1) {
    return NamedError(absl::StatusCode::kAborted, "parked_rows",
                      "a table has parked rows: its transactions do not share one");
  }
  grouping_ = Grouping::kOneByOne;
  return absl::OkStatus();
}

// The next attempt looks for what is in the way. Which table it was, the server does not say in
// words that hold for every version; one mark too many goes away with the next commit.
absl::Status ApplyTransaction::NoteCollision(absl::Status status) {
  if (SqlState(status) == "23505") {
    for (const Oid table : parking_tables_) scope_.parking->MarkCrowded(table);
  }
  return status;
}

absl::Status ApplyTransaction::FinishUnique() {
  emptied_.clear();
  if (!unique_) return absl::OkStatus();
  PGDUET_RETURN_IF_ERROR(unique_->Finish());
  std::vector<std::pair<Oid, size_t>> asked;
  for (const Oid table : parking_tables_) {
    if (!hold_->Alone(table)) continue;
    PGDUET_ASSIGN_OR_RETURN(
        const size_t index,
        scope_.pipeline.Add("SELECT EXISTS (SELECT FROM pgduet.parked WHERE relation = $1::oid)",
                            {std::to_string(table)}));
    asked.emplace_back(table, index);
  }
  if (asked.empty()) return absl::OkStatus();
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, scope_.pipeline.Run());
  for (const auto& [table, index] : asked) {
    if (!results[index].Bool(0, 0)) emptied_.push_back(table);
  }
  return absl::OkStatus();
}

void ApplyTransaction::ReleaseTables() {
  if (!hold_) return;
  for (const Oid table : emptied_) scope_.parking->Emptied(table);
  for (const Oid table : parking_tables_) scope_.parking->Changed(table);
  hold_->Release();
}

}  // namespace pgduet
