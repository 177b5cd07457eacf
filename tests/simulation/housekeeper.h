// The housekeeping of one region: samples for coverage and closed times, sweeps of missed deletes,
// removal of stable tombstones.
#pragma once

#include <algorithm>
#include <deque>

#include "tests/simulation/region.h"

namespace pgduet::simulation {

class Housekeeper {
 public:
  explicit Housekeeper(Region& region)
      : region_(region), protocol_(region.world.protocol), database_(region.database) {}

  Task<void> Run() {
    SetMemoryBack(region_);
    while (true) {
      co_await Pause(region_.world, 10, 10, 100);
      co_await Step{};
      co_await Sample();
      try {
        co_await Sweep();
        co_await RemoveStableTombstones();
        ForgetRemoved();
      } catch (const Aborted&) {
      }
    }
  }

 private:
  Memory& memory() { return *region_.memory; }

  Task<void> Sample() {
    const CommitTime time = region_.Clock();
    co_await Step{};
    const Xid oldest = database_.OldestRunning();
    opened_.push_back({time, database_.NextXid()});
    co_await Step{};
    const Lsn lsn = database_.end();
    unflushed_.push_back({oldest, lsn});
    while (!opened_.empty() && opened_.front().next <= oldest) {
      memory().closings.push_back({opened_.front().time, lsn});
      opened_.pop_front();
    }
    while (!unflushed_.empty() &&
           (unflushed_.front().lsn <= database_.flushed() || !protocol_.samples_flushed)) {
      memory().history.Sampled(unflushed_.front().horizon, unflushed_.front().lsn);
      unflushed_.pop_front();
    }
  }

  // No row is lower than a tombstone of its key. Each round makes that true again for what is
  // unswept. It has been swept once every transaction that ran when we first saw the tombstone had
  // ended before the round.
  Task<void> Sweep() {
    if (!protocol_.sweep) co_return;
    const std::map<Key, Tombstone> all = database_.tombstones();
    for (const auto& [key, tombstone] : all) {
      if (tombstone.unswept) co_await SweepOne(key, tombstone);
    }
  }
  Task<void> SweepOne(Key key, Tombstone seen) {
    FirstSight& sight = first_sights_[key];
    if (sight.version != seen.version) sight = {seen.version, database_.NextXid()};
    const bool last = sight.next <= database_.OldestRunning();
    Transaction transaction(database_, RecordKind::kInternal, region_.world.step);
    database_.AssignXid(transaction);
    transaction.record.origin = region_.rank;
    for (Key row = 0; row < region_.world.keys; ++row) {
      if (key == row || key == kTable) co_await SweepRow(transaction, row, seen);
    }
    const auto now = database_.VisibleTombstone(transaction, key);
    if (last && now && now->version == seen.version) {
      seen = *now;
      seen.unswept = false;
      if (database_.SetTombstone(transaction, key, seen) == Try::kWait) co_return;
    }
    const bool wrote = !transaction.record.rows.empty() || !transaction.record.tombstones.empty();
    if (wrote) co_await CommitAsynchronously(region_, transaction);
  }
  Task<void> SweepRow(Transaction& transaction, Key key, const Tombstone& tombstone) {
    const std::optional<Row> row = co_await LockRow(region_, transaction, key);
    if (!row) co_return;
    const Database::Stamp stamp = database_.StampOf(transaction, row->xmin);
    // Of one region's own stream nothing can be missed (and rows of a batch carry a time that is
    // not their own).
    if (stamp.origin == tombstone.version.rank) co_return;
    if (Version{stamp.time, stamp.origin, Lsn()} > tombstone.version) co_return;
    const Coverage coverage = Covered(tombstone, stamp, row->xmin, key);
    if (!coverage.covered) {
      transaction.record.log.push_back({key, ConflictKind::kDeleteOriginDiffers,
                                        Decision::kApplyRemote, tombstone.writer, row->writer,
                                        coverage.ambiguous});
    }
    database_.Put(transaction, key, std::nullopt);
  }

  // The delete may have seen the row: what is not visible here yet may have been published.
  Coverage Covered(const Tombstone& tombstone, const Database::Stamp& stamp, Xid xmin, Key key) {
    const CoverageHistory& history = memory().history;
    return stamp.origin == region_.rank
               ? history.LocalCovered(xmin, stamp.time, tombstone.vector)
               : history.OriginCovered(stamp.origin, xmin, key, tombstone.vector);
  }

  Task<void> RemoveStableTombstones() {
    const std::map<Key, Tombstone> all = database_.tombstones();
    for (const auto& [key, tombstone] : all) {
      if (!Stable(tombstone)) continue;
      const uint64_t generation = memory().gate.generation();
      Transaction transaction(database_, RecordKind::kInternal, region_.world.step);
      if (database_.SetTombstone(transaction, key, std::nullopt) == Try::kWait) continue;
      const auto now = database_.tombstones().find(key);
      if (now == database_.tombstones().end() || now->second.version != tombstone.version ||
          now->second.unswept) {
        continue;
      }
      database_.AssignXid(transaction);
      co_await Step{};
      const Lsn written = co_await CommitAsynchronously(region_, transaction);
      removed_.push_back({key, generation, written});
    }
  }
  // The gate forgets a tombstone only when a crash cannot bring it back.
  void ForgetRemoved() {
    std::erase_if(removed_, [&](const Removed& one) {
      if (protocol_.removal_flushed && database_.flushed() < one.written) return false;
      memory().gate.Remove(one.key, one.generation);
      return true;
    });
  }

  bool Stable(const Tombstone& tombstone) {
    const Version& version = tombstone.version;
    if (!protocol_.stability) return region_.Clock() - version.commit_time > 15;
    if (tombstone.unswept) return false;
    const Rank origin = version.rank;
    if (origin != region_.rank && !Closed(region_.rank, version)) return false;
    for (Rank peer = 0; peer < region_.world.regions; ++peer) {
      if (peer == region_.rank || peer == origin) continue;
      const bool knows =
          memory().peers[peer].Contains(origin, region_.IncarnationOf(origin), version.commit_lsn);
      if (!knows || !Closed(peer, version)) return false;
    }
    return true;
  }
  bool Closed(Rank rank, const Version& version) {
    return !protocol_.closed_time || memory().closed[rank] > version.commit_time;
  }

  struct Removed {
    Key key;
    uint64_t generation;
    Lsn written;
  };
  struct FirstSight {
    Version version;
    Xid next = 0;
  };
  struct UnflushedSample {
    Xid horizon;
    Lsn lsn;
  };
  struct Opened {
    CommitTime time;
    Xid next;
  };
  Region& region_;
  const Protocol& protocol_;
  Database& database_;
  std::deque<UnflushedSample> unflushed_;
  std::deque<Opened> opened_;
  std::map<Key, FirstSight> first_sights_;
  std::vector<Removed> removed_;
};

}  // namespace pgduet::simulation
