// What an agent keeps in memory: the gate between deletes and apply transactions, the coverage
// history, the vectors. All of it is lost with the agent; what must survive is in the database.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <vector>

#include "tests/simulation/database.h"

namespace pgduet::simulation {

// A local delete whose tombstone may not be committed yet.
struct PendingDelete {
  Key key = 0;
  Version version;
  Serial writer = 0;
};

class DeleteGate {
 public:
  bool MayHaveTombstone(Key key) const { return keys_.contains(key) || keys_.contains(kTable); }
  void Add(Key key) { keys_[key] = ++generation_; }
  // An apply transaction writes a tombstone that is not committed yet: whoever removes an older one
  // must not forget the key.
  void Hold(Key key) {
    Add(key);
    held_.insert(key);
  }
  void Release(Key key) {
    Add(key);
    held_.erase(held_.find(key));
  }
  uint64_t generation() const { return generation_; }
  void Remove(Key key, uint64_t generation) {
    const auto at = keys_.find(key);
    if (at != keys_.end() && at->second <= generation && !Pending(key) && !held_.contains(key))
      keys_.erase(at);
  }

  void Register(const PendingDelete& pending) {
    Add(pending.key);
    pending_.push_back(pending);
    log_.push_back(pending);
  }
  // The tombstones are committed.
  void Settled() {
    for (const PendingDelete& one : pending_) Add(one.key);
    pending_.clear();
  }
  std::optional<PendingDelete> Pending(Key key) const {
    std::optional<PendingDelete> newest;
    for (const PendingDelete& one : pending_) {
      if (one.key != key && one.key != kTable) continue;
      if (!newest || newest->version < one.version) newest = one;
    }
    return newest;
  }

  // Deletes registered from `seen` on, which moves to the end.
  std::vector<PendingDelete> RegisteredSince(size_t& seen) const {
    const std::vector<PendingDelete> found(log_.begin() + static_cast<ptrdiff_t>(seen), log_.end());
    seen = log_.size();
    return found;
  }
  size_t registered() const { return log_.size(); }
  uint64_t EnterCommit() {
    committing_.insert(next_ticket_);
    return next_ticket_++;
  }
  void LeaveCommit(uint64_t ticket) { committing_.erase(ticket); }
  // Those that enter from now on have seen what was registered.
  uint64_t next_ticket() const { return next_ticket_; }
  bool CommitsBefore(uint64_t ticket) const {
    return !committing_.empty() && *committing_.begin() < ticket;
  }

 private:
  std::map<Key, uint64_t> keys_;
  uint64_t generation_ = 0;
  std::vector<PendingDelete> pending_;
  std::multiset<Key> held_;
  std::vector<PendingDelete> log_;
  std::set<uint64_t> committing_;
  uint64_t next_ticket_ = 1;
};

struct Coverage {
  bool covered = false;
  bool ambiguous = false;  // not known; counts as not covered
};

class CoverageHistory {
 public:
  CoverageHistory(const Protocol& protocol, Rank self, int regions)
      : protocol_(protocol), self_(self), applied_(regions) {}

  void LocalCommitted(Xid xid, CommitTime time, Lsn lsn) {
    if (!local_.empty() && lsn <= local_.back().lsn) return;
    local_.push_back({xid, time, lsn});
    if (local_.size() > kEntriesMax) local_.pop_front();
  }
  void DecodedThrough(Lsn lsn) { decoded_ = std::max(decoded_, lsn); }
  // Every xid below the horizon had ended before this position.
  void Sampled(Xid horizon, Lsn lsn) {
    if (!samples_.empty() && (lsn <= samples_.back().lsn || horizon < samples_.back().horizon)) {
      return;
    }
    samples_.push_back({horizon, lsn});
  }
  void Applied(const Progress& progress) {
    applied_[progress.origin].push_back({progress.xid, progress.position, progress.written});
  }
  void Reload(Rank origin, const std::vector<Progress>& progress) {
    applied_[origin].clear();
    for (const Progress& one : progress) {
      if (one.origin == origin) Applied(one);
    }
  }

  Xid LocalHorizon(const AppliedVector& vector) const {
    return HorizonAt(vector.At(self_).commit_lsn);
  }
  Xid OriginHorizon(Rank origin, const AppliedVector& vector) const {
    Xid horizon = 0;
    for (const AppliedEntry& entry : applied_[origin]) {
      if (!vector.Contains(origin, entry.position.incarnation, entry.position.commit_lsn)) break;
      horizon = entry.xid + 1;
    }
    return horizon;
  }

  Coverage LocalCovered(Xid xid, CommitTime time, const AppliedVector& vector) const {
    const Position& known = vector.At(self_);
    if (!protocol_.coverage_by_horizon) return {.covered = time <= known.commit_time};
    if (xid < HorizonAt(known.commit_lsn)) return {.covered = true};
    for (const LocalEntry& entry : local_) {
      if (entry.xid == xid) return {.covered = entry.lsn <= known.commit_lsn};
    }
    // A subtransaction's xid, found by the commit time that it shares with its top transaction; or
    // not decoded yet; or older than the history.
    constexpr Coverage kUnknown{.covered = false, .ambiguous = true};
    if (protocol_.time_lookup_bounded && xid >= HorizonAt(decoded_)) return kUnknown;
    bool found = false;
    for (const LocalEntry& entry : local_) {
      if (entry.time != time) continue;
      if (entry.lsn > known.commit_lsn) return kUnknown;
      found = true;
    }
    return found ? Coverage{.covered = true} : kUnknown;
  }
  Coverage OriginCovered(Rank origin, Xid xid, Key key, const AppliedVector& vector) const {
    for (const AppliedEntry& entry : applied_[origin]) {
      if (entry.xid != xid) continue;
      const auto one = entry.written.find(key);
      const bool exact = protocol_.batch_exact && one != entry.written.end();
      const Position& position = exact ? one->second : entry.position;
      return {.covered = vector.Contains(origin, position.incarnation, position.commit_lsn)};
    }
    return {.covered = false, .ambiguous = true};
  }
  Lsn LocalLsn(Xid xid) const {
    for (const LocalEntry& entry : local_) {
      if (entry.xid == xid) return entry.lsn;
    }
    return {};
  }

 private:
  static constexpr size_t kEntriesMax = 60;
  struct LocalEntry {
    Xid xid;
    CommitTime time;
    Lsn lsn;
  };
  struct Sample {
    Xid horizon;
    Lsn lsn;
  };
  struct AppliedEntry {
    Xid xid;
    Position position;
    std::map<Key, Position> written;
  };
  Xid HorizonAt(Lsn lsn) const {
    Xid horizon = 0;
    for (const Sample& sample : samples_) {
      if (sample.lsn <= lsn) horizon = sample.horizon;
    }
    return horizon;
  }

  const Protocol protocol_;
  const Rank self_;
  std::deque<LocalEntry> local_;
  Lsn decoded_;
  std::vector<Sample> samples_;
  std::vector<std::vector<AppliedEntry>> applied_;
};

struct Memory {
  Memory(const Protocol& protocol, Rank self, int regions)
      : history(protocol, self, regions), peers(regions), closed(regions, kOldestTime) {}
  DeleteGate gate;
  CoverageHistory history;
  AppliedVector applied;
  // What each peer had sent at the last place of its stream that is in effect here.
  std::vector<AppliedVector> peers;
  std::vector<CommitTime> closed;  // our own too: what capture has passed
  std::set<uint64_t> barriers_reached;
  // (t, P): every transaction whose record comes after P took its commit time after t.
  struct Closing {
    CommitTime time;
    Lsn position;
  };
  std::vector<Closing> closings;
};

}  // namespace pgduet::simulation
