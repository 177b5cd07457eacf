// Removes states that say nothing any more: all their dots are known to every region, and capture
// has passed what was written before that was seen.
#pragma once

#include "tests/simulation/policies/region.h"

namespace pgduet::policy_simulation {

class Housekeeper {
 public:
  explicit Housekeeper(Region& region) : region_(region), world_(region.world) {}

  Task<void> Run() {
    while (true) {
      co_await Step{};
      co_await Pause(world_, 20, 20, 100);
      std::vector<RowId> rows;
      for (const auto& [row, state] : region_.database.states()) rows.push_back(row);
      for (const RowId& row : rows) {
        try {
          co_await Look(row);
        } catch (const Aborted&) {
        }
      }
    }
  }

 private:
  // What every region has told us.
  bool Known(const RowState& state) {
    const std::vector<Lsn> newest = state.Newest(world_.regions);
    for (Rank rank = 0; rank < world_.regions; ++rank) {
      if (!newest[rank].valid()) continue;
      for (Rank peer = 0; peer < world_.regions; ++peer) {
        if (peer == region_.rank || !world_.protocol.stability) continue;
        if (!region_.memory.known[peer].Contains(rank, region_.IncarnationOf(rank), newest[rank]))
          return false;
      }
    }
    return true;
  }

  Task<void> Look(RowId row) {
    const RowState seen = region_.database.StateOf(row);
    if (!Known(seen)) {
      first_seen_.erase(row);
      co_return;
    }
    auto [at, first] = first_seen_.try_emplace(row, seen, region_.database.end());
    if (!first && !(at->second.first == seen)) at->second = {seen, region_.database.end()};
    if (world_.protocol.decoded_condition && region_.memory.decoded < at->second.second) co_return;
    const TablePolicy& policy = world_.EngineOf(row).shape().policy;
    if (policy.KeepsSiblings() && seen.members.size() > 1 && world_.protocol.siblings_stay)
      co_return;
    Transaction transaction(region_.database, RecordKind::kInternal);
    co_await LockState(region_, transaction, row);
    if (!(region_.database.StateOf(row) == seen)) co_return;
    const bool settled =
        world_.EngineOf(row).Settled(seen, region_.database.RowOf(row).has_value());
    if (!settled && !policy.KeepsSiblings() && world_.protocol.settled) co_return;
    transaction.effects.states[row] = std::nullopt;
    co_await Commit(region_, transaction);
    first_seen_.erase(row);
  }

  Region& region_;
  World& world_;
  std::map<RowId, std::pair<RowState, Lsn>> first_seen_;
};

}  // namespace pgduet::policy_simulation
