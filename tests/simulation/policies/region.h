// One region: its database, what its agent has in memory, its topic, its clock; and what all
// regions share.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "tests/resolve/policy_oracle.h"
#include "tests/simulation/policies/database.h"
#include "tests/simulation/task.h"

namespace pgduet::policy_simulation {

using simulation::Actor;
using simulation::Step;
using simulation::Task;
using testing::PolicyWrite;

// A record on a topic.
struct Record {
  bool heartbeat = false;
  Position position;  // heartbeat: how far its vector reaches
  AppliedVector vector;
  std::vector<Change> changes;
};

// All writes of one row, wherever they were made, for the oracle.
using RowHistory = std::vector<PolicyWrite>;

struct World {
  Protocol protocol;
  Scope scope;
  Dice dice;
  int regions = 2;
  int keys = 1;
  std::vector<RowEngine> tables;
  std::vector<bool> whole_deletes;  // REPLICA IDENTITY FULL
  CommitTime now = 0;
  bool stopping = false;
  std::map<RowId, RowHistory> histories;

  const RowEngine& EngineOf(RowId row) const { return tables[row.first]; }
};

// What an agent knows; gone when it ends.
struct Memory {
  Lsn decoded;                          // capture has passed it
  AppliedVector at_decoded;             // the vector of that place
  std::map<Rank, AppliedVector> known;  // of the peers
};

struct Region {
  Region(World& shared, Rank own_rank, std::vector<std::unique_ptr<Region>>& everybody)
      : world(shared), rank(own_rank), all(everybody) {}

  CommitTime Clock() const { return world.now + skew; }
  Incarnation IncarnationOf(Rank region) const { return 100 + region; }
  Position PositionOf(Rank region, Lsn lsn, CommitTime time) const {
    return {IncarnationOf(region), lsn.value(), lsn, time};
  }
  // What is in effect here.
  AppliedVector Applied() {
    AppliedVector vector;
    for (Rank origin = 0; origin < world.regions; ++origin) {
      if (origin != rank && database.progress(origin).position.commit_lsn.valid())
        vector.Advance(origin, database.progress(origin).position);
    }
    if (database.end().valid()) vector.Advance(rank, PositionOf(rank, database.end(), 0));
    return vector;
  }
  // What every write that is still to be taken here has seen.
  AppliedVector Stable() {
    if (!world.protocol.stability) return Applied();
    AppliedVector stable;
    for (Rank about = 0; about < world.regions; ++about) {
      Position least{.commit_lsn = Lsn(UINT64_MAX)};
      for (Rank peer = 0; peer < world.regions; ++peer) {
        if (peer == rank && !world.protocol.decoded_stable) continue;
        const AppliedVector& vector = peer == rank ? memory.at_decoded : memory.known[peer];
        if (vector.At(about).commit_lsn < least.commit_lsn) least = vector.At(about);
      }
      if (least.incarnation != 0) stable.Advance(about, least);
    }
    return stable;
  }

  World& world;
  const Rank rank;
  std::vector<std::unique_ptr<Region>>& all;
  CommitTime skew = 0;
  Database database;
  Memory memory;
  std::vector<Record> topic;
};

// Bounded waiting for locks: deadlocks end with a rollback.
class Patience {
 public:
  explicit Patience(Dice& dice) : left_(dice.Between(8, 40)) {}
  void Spend() {
    if (--left_ < 0) throw Aborted{};
  }

 private:
  int left_;
};

inline Task<void> Pause(World& world, int usual_max, int long_percent, int long_max) {
  int steps = world.dice.Between(0, usual_max);
  if (world.dice.Percent(long_percent)) steps = world.dice.Between(usual_max, long_max);
  for (; steps > 0; --steps) co_await Step{};
}

// True: the row is there and locked. False: no row is seen.
inline Task<bool> LockRow(Region& region, const Transaction& transaction, RowId row) {
  Patience patience(region.world.dice);
  while (true) {
    const Try got = region.database.Lock(transaction, row);
    if (got != Try::kWait) co_return got == Try::kDone;
    patience.Spend();
    co_await Step{};
  }
}
// False: a row stands there.
inline Task<bool> InsertRow(Region& region, const Transaction& transaction, RowId row) {
  Patience patience(region.world.dice);
  while (true) {
    const Try got = region.database.Insert(transaction, row);
    if (got != Try::kWait) co_return got == Try::kDone;
    patience.Spend();
    co_await Step{};
  }
}
inline Task<void> LockState(Region& region, const Transaction& transaction, RowId row) {
  if (!region.world.protocol.state_lock) co_return;
  Patience patience(region.world.dice);
  while (region.database.LockState(transaction, row) == Try::kWait) {
    patience.Spend();
    co_await Step{};
  }
}

// Stamped, written, and visible later.
inline Task<void> Commit(Region& region, Transaction& transaction) {
  const CommitTime stamp = region.Clock();
  const Scope& scope = region.world.scope;
  co_await Pause(region.world, 1, scope.late_percent / 3, scope.late_max / 3);
  region.database.WriteRecord(transaction, stamp);
  co_await Pause(region.world, 1, scope.late_percent, scope.late_max);
  region.database.MakeVisible(transaction);
}

// One write into a state. The row as it has to stand comes out of `visible`.
inline Outcome TakeInto(Region& region, RowId row, const RowWrite& write, RowState& state,
                        std::optional<RowImage>& visible, Effects& effects) {
  const RowEngine& engine = region.world.EngineOf(row);
  Outcome outcome = engine.Take(write, region.Stable(), state, visible);
  if (outcome.shown == Shown::kFunction)
    visible = testing::AskFunction(RowEngine::CustomOrder(state));
  const bool merged = engine.shape().policy.kind == PolicyKind::kMerge;
  if (merged && visible && testing::BreaksCheck(*visible)) engine.ShowNewest(state, visible);
  effects.taken.push_back({row, write.dot, outcome.concurrent});
  return outcome;
}

}  // namespace pgduet::policy_simulation
