// One region: its database, its agent's memory, its topic, its clock, and what the actors need to
// find each other.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/knowledge.h"
#include "tests/simulation/task.h"

namespace pgduet::simulation {

// A record on a topic.
struct Record {
  bool heartbeat = false;
  uint64_t sequence = 0;  // heartbeat: of the last transaction before
  Serial serial = 0;
  Position position;
  AppliedVector vector;
  std::vector<RowWrite> changes;
  CommitTime closed = kOldestTime;  // no later transaction of this stream has a time at or below it

  Version version(Rank rank) const { return {position.commit_time, rank, position.commit_lsn}; }
};

// What all regions share.
struct World {
  Protocol protocol;
  Scope scope;
  Dice dice;
  int regions = 2;
  int keys = 3;
  CommitTime now = 0;  // true time
  uint64_t step = 0;
  bool stopping = false;  // clients end after their transaction
  Serial next_serial = 1;
  uint64_t next_token = 1;
};

struct Region {
  Region(World& shared, Rank own_rank, std::vector<std::unique_ptr<Region>>& everybody)
      : world(shared), rank(own_rank), all(everybody) {
    NewMemory();
  }
  CommitTime Clock() const { return world.now + skew; }
  Incarnation IncarnationOf(Rank region) const { return 1000 + region; }
  Position PositionOf(Lsn lsn, CommitTime time, uint64_t sequence) const {
    return {IncarnationOf(rank), sequence, lsn, time};
  }
  bool Two() const { return world.regions == 2; }
  Region& Peer(Rank peer) { return *all[peer]; }
  // A synchronous commit: what is read after it cannot be taken back by a crash.
  void FlushBeforeLoad() {
    if (world.protocol.flush_before_load) database.Flush(database.end());
  }
  void NewMemory() {
    FlushBeforeLoad();
    memory = std::make_unique<Memory>(world.protocol, rank, world.regions);
    for (const auto& [key, tombstone] : database.tombstones()) memory->gate.Add(key);
  }

  World& world;
  const Rank rank;
  std::vector<std::unique_ptr<Region>>& all;
  CommitTime skew = 0;
  Database database;
  std::unique_ptr<Memory> memory;
  std::vector<Record> topic;
  Lsn confirmed;  // of the slot
  Lsn decoded;    // where capture stands
  bool history_lost = false;
};

// On each new session: what memory holds beyond the database was lost in a crash.
inline void SetMemoryBack(Region& region) {
  if (!region.world.protocol.memory_set_back) return;
  Memory& memory = *region.memory;
  for (Rank rank = 0; rank < region.world.regions; ++rank) {
    const Progress* held = region.database.LastProgress(rank);
    const Position position = held != nullptr ? held->position : Position{};
    if (memory.applied.At(rank).commit_lsn <= position.commit_lsn) continue;
    memory.applied.Set(rank, position);
    memory.history.Reload(rank, region.database.progress());
    memory.peers[rank] = held != nullptr ? held->vector : AppliedVector{};
    memory.closed[rank] = kOldestTime;
  }
}

// Bounded waiting for locks: deadlocks end with a rollback.
class Patience {
 public:
  explicit Patience(Dice& dice) : left_(dice.Between(10, 60)) {}
  void Spend() {
    if (--left_ < 0) throw Aborted{};
  }

 private:
  int left_;
};

// Some steps, now and then many.
inline Task<void> Pause(World& world, int usual_max, int long_percent, int long_max) {
  int steps = world.dice.Between(0, usual_max);
  if (world.dice.Percent(long_percent)) steps = world.dice.Between(usual_max, long_max);
  for (; steps > 0; --steps) co_await Step{};
}

// The visible row under the key, locked; or nothing.
inline Task<std::optional<Row>> LockRow(Region& region, Transaction& transaction, Key key) {
  Patience patience(region.world.dice);
  while (true) {
    const Try got = region.database.Lock(transaction, key);
    if (got == Try::kNone) co_return std::nullopt;
    if (got == Try::kDone) co_return region.database.Visible(transaction, key);
    patience.Spend();
    co_await Step{};
  }
}

// False: a row stands there.
inline Task<bool> InsertRow(Region& region, Transaction& transaction, Key key, Row row) {
  Patience patience(region.world.dice);
  while (true) {
    const Try got = region.database.Insert(transaction, key, row);
    if (got != Try::kWait) co_return got == Try::kDone;
    patience.Spend();
    co_await Step{};
  }
}

inline Task<void> RaiseTombstone(Region& region, Transaction& transaction, Key key,
                                 Tombstone tombstone) {
  Patience patience(region.world.dice);
  while (region.database.RaiseTombstone(transaction, key, tombstone) == Try::kWait) {
    patience.Spend();
    co_await Step{};
  }
}

// An asynchronous commit: written, then visible, flushed whenever.
inline Task<Lsn> CommitAsynchronously(Region& region, Transaction& transaction) {
  const Lsn lsn = region.database.WriteRecord(transaction);
  co_await Pause(region.world, 1, 3, 10);
  region.database.MakeVisible(transaction);
  co_return lsn;
}

}  // namespace pgduet::simulation
