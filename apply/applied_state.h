// What is in effect in this database, shared by all threads of the agent: our applied vector; the
// last vector and closed time that each peer sent us (for stability); our own closed time.
// Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <vector>

#include <absl/time/time.h>

#include "schemas/version.h"

namespace pgduet {

class AppliedState {
 public:
  explicit AppliedState(int regions) : peer_vectors_(regions), closed_(regions, kOldestTime) {}

  AppliedVector Vector() const;
  // A transaction of `rank` was committed here.
  void Advance(Rank rank, const Position& position);
  // What the database says after a reconnection; may be older than what was in memory (asynchronous
  // commits were lost).
  void Reload(Rank rank, const Position& position);

  // Causal hold: waits until `needed` is contained, the entries of `origin` and `self` left out.
  // False when the time was over or a stop was requested.
  bool WaitForCauses(const AppliedVector& needed, Rank origin, Rank self, absl::Duration timeout,
                     std::stop_token stop);

  // The peer's vector and closed time at the last place of its stream that is in effect here.
  void PeerSeen(Rank peer, const AppliedVector& vector, CommitTime closed);
  // That place is further back than it was (the database lost what came after).
  void PeerSetBack(Rank peer, const AppliedVector& vector);
  AppliedVector PeerVector(Rank peer) const;

  // What had been applied here at the place in the WAL that capture has reached. May move back.
  void PlaceDecoded(const AppliedVector& vector);
  // What every write to come has seen, of any region: our own from the place on that capture has
  // reached, the others' by what they have told us.
  AppliedVector StableVector(Rank self) const;

  // No transaction of this region that is still to come has a commit time at or below this: of a
  // peer, in its stream; of our own, before capture and the delete journal.
  CommitTime ClosedTime(Rank rank) const;
  // The least of all regions' but this one's.
  CommitTime ClosedTimeBesides(Rank origin) const;
  void OwnTimeClosed(Rank self, CommitTime time);
  // A backlog waits for our own closed time to pass it: the housekeeper hurries. TakeWish() says so
  // once.
  void WantClosedTime() { wanted_.store(true, std::memory_order_relaxed); }
  bool TakeWish() { return wanted_.exchange(false, std::memory_order_relaxed); }
  // Capture begins again further back.
  void OwnTimeReopened(Rank self);

 private:
  mutable std::mutex mutex_;
  std::condition_variable_any advanced_;
  AppliedVector vector_;
  std::vector<AppliedVector> peer_vectors_;
  AppliedVector place_;
  std::vector<CommitTime> closed_;
  std::atomic<bool> wanted_ = false;
};

}  // namespace pgduet
