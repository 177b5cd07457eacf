#include "apply/parking_lot.h"

#include <chrono>

#include <absl/status/statusor.h>
#include <absl/time/clock.h>

#include "base/named_error.h"

namespace pgduet {

void ParkingLot::MarkCrowded(Oid table) {
  std::scoped_lock lock(mutex_);
  Table& state = state_[table];
  state.crowded = true;
  ++state.changes;
}

bool ParkingLot::Crowded(Oid table) const {
  if (tables_.empty()) return false;
  std::scoped_lock lock(mutex_);
  const auto at = state_.find(table);
  return at != state_.end() && at->second.crowded;
}

std::vector<Oid> ParkingLot::CrowdedTables() const {
  std::vector<Oid> crowded;
  std::scoped_lock lock(mutex_);
  for (const auto& [table, state] : state_) {
    if (state.crowded) crowded.push_back(table);
  }
  return crowded;
}

void ParkingLot::Emptied(Oid table) {
  std::scoped_lock lock(mutex_);
  state_[table].crowded = false;
}

void ParkingLot::Changed(Oid table) {
  if (tables_.empty()) return;
  std::scoped_lock lock(mutex_);
  const auto at = state_.find(table);
  if (at != state_.end() && at->second.crowded) ++at->second.changes;
}

std::set<Oid> ParkingLot::TakeChanged(Rank looker) {
  std::set<Oid> changed;
  if (tables_.empty()) return changed;
  std::scoped_lock lock(mutex_);
  auto& seen = seen_[looker];
  for (const auto& [table, state] : state_) {
    if (!state.crowded || seen[table] == state.changes) continue;
    seen[table] = state.changes;
    changed.insert(table);
  }
  return changed;
}

absl::Status ParkingLot::Hold::Enter(Oid table, absl::Duration patience) {
  if (held_.contains(table)) return absl::OkStatus();
  std::unique_lock lock(lot_.mutex_);
  const auto until = std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(patience);
  const bool entered = lot_.left_.wait_until(lock, until, [&] {
    const Table& state = lot_.state_[table];
    return !state.alone && (!state.crowded || state.shared == 0);
  });
  if (!entered) {
    return NamedError(absl::StatusCode::kAborted, "tables_in_use",
                      "another transaction works on a table with parked rows");
  }
  Table& state = lot_.state_[table];
  held_[table] = state.crowded;
  if (state.crowded) {
    state.alone = true;
  } else {
    ++state.shared;
  }
  return absl::OkStatus();
}

bool ParkingLot::Hold::Alone(Oid table) const {
  const auto at = held_.find(table);
  return at != held_.end() && at->second;
}

void ParkingLot::Hold::Release() {
  if (held_.empty()) return;
  std::scoped_lock lock(lot_.mutex_);
  for (const auto& [table, alone] : held_) {
    Table& state = lot_.state_[table];
    if (alone) {
      state.alone = false;
    } else {
      --state.shared;
    }
  }
  held_.clear();
  lot_.left_.notify_all();
}

absl::Status LoadCrowded(PgConnection& connection, ParkingLot& lot) {
  PGDUET_ASSIGN_OR_RETURN(const PgResult tables,
                          connection.Query("SELECT DISTINCT relation FROM pgduet.parked"));
  for (int row = 0; row < tables.rows(); ++row)
    lot.MarkCrowded(static_cast<Oid>(tables.Int(row, 0)));
  return absl::OkStatus();
}

}  // namespace pgduet
