// The applier of one origin at one region: reads the origin's topic, drops what is applied already,
// holds back what came too early, and applies in order.
#pragma once

#include <algorithm>
#include <vector>

#include "tests/simulation/apply_transaction.h"

namespace pgduet::simulation {

class Applier {
 public:
  Applier(Region& region, Rank origin) : region_(region), origin_(origin) {}

  Task<void> Run() {
    LoadProgress();
    while (true) {
      co_await Step{};
      const std::vector<Record> units = Collect();
      if (units.empty()) continue;
      co_await HoldBack(units);
      co_await Apply(units);
    }
  }

 private:
  Memory& memory() { return *region_.memory; }

  void LoadProgress() {
    SetMemoryBack(region_);
    Database& database = region_.database;
    memory().history.Reload(origin_, database.progress());
    const Progress* last = database.LastProgress(origin_);
    memory().applied.Set(origin_, last != nullptr ? last->position : Position{});
    if (last != nullptr) {
      sequence_ = last->position.sequence;
      offset_ = last->offset + 1;
      memory().peers[origin_] = last->vector;
    }
  }

  // What has arrived. The rows of a batch carry one time, which must not be compared with what lies
  // below it: so only what is closed everywhere is batched (docs/decisions/0008).
  std::vector<Record> Collect() {
    const std::vector<Record>& topic = region_.Peer(origin_).topic;
    const size_t units_max = region_.world.dice.Below(4) + 1;
    std::vector<Record> units;
    while (offset_ < topic.size() && units.size() < units_max) {
      const Record& record = topic[offset_];
      if (record.heartbeat) {
        if (!units.empty()) break;
        PeerSeen(record);
        ++offset_;
        continue;
      }
      if (!units.empty() && !MayJoin(units, record)) break;
      ++offset_;
      if (record.sequence <= sequence_) continue;  // sent twice
      if (record.sequence != sequence_ + 1) throw Violation("a gap in the sequence");
      sequence_ = record.sequence;
      units.push_back(record);
    }
    return units;
  }

  bool MayJoin(const std::vector<Record>& units, const Record& record) {
    const Protocol& protocol = region_.world.protocol;
    const CommitTime highest = std::max(HighestTime(units), record.position.commit_time);
    for (Rank rank = 0; rank < region_.world.regions; ++rank) {
      if (rank == origin_) continue;
      const bool counts =
          rank == region_.rank ? protocol.batch_closed : protocol.batch_peers_closed;
      if (counts && memory().closed[rank] < highest) return false;
    }
    // What it has seen is older, and so in effect here: it waits for nothing that could wait for
    // it.
    return true;
  }
  static CommitTime HighestTime(const std::vector<Record>& units) {
    CommitTime highest = kOldestTime;
    for (const Record& unit : units) highest = std::max(highest, unit.position.commit_time);
    return highest;
  }

  void PeerSeen(const Record& record) {
    memory().peers[origin_] = record.vector;
    memory().closed[origin_] = std::max(memory().closed[origin_], record.closed);
  }

  Task<void> HoldBack(const std::vector<Record>& units) {
    const AppliedVector& needed = units.back().vector;
    while (region_.world.protocol.causal_hold &&
           !memory().applied.ContainsAll(needed, {origin_, region_.rank})) {
      co_await Step{};
    }
    const CommitTime newest = region_.world.protocol.batch_highest_time
                                  ? HighestTime(units)
                                  : units.back().position.commit_time;
    while (region_.world.protocol.clock_wait && region_.Clock() <= newest) co_await Step{};
  }

  Task<void> Apply(const std::vector<Record>& units) {
    for (bool applied = false; !applied;) {
      bool behind = false;
      try {
        ApplyTransaction transaction(region_, origin_, units, offset_ - 1);
        co_await transaction.Run();
        applied = true;
      } catch (const Aborted&) {
      } catch (const DecoderBehind&) {
        behind = true;
      }
      if (behind) co_await AwaitBarrier(region_, 1'000'000);
      co_await Step{};
    }
    memory().applied.Advance(origin_, units.back().position);
    co_await Step{};
    PeerSeen(units.back());
  }

  Region& region_;
  const Rank origin_;
  uint64_t sequence_ = 0;
  size_t offset_ = 0;
};

}  // namespace pgduet::simulation
