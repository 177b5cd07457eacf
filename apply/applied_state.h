// What is in effect in this database, shared by all threads of the agent: our applied vector, and the last vector that each
// peer sent us (for stability). Thread-safe.
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <vector>

#include <absl/time/time.h>

#include "schemas/version.h"

namespace pgduet {

class AppliedState {
 public:
  explicit AppliedState(int regions) : peer_vectors_(regions) {}

  AppliedVector Vector() const;
  // A transaction of `rank` was committed here.
  void Advance(Rank rank, const Position& position);
  // What the database says after a reconnection; may be older than what was in memory (asynchronous commits were lost).
  void Reload(Rank rank, const Position& position);

  // Causal hold: waits until `needed` is contained, the entries of `origin` and `self` left out. False when the time
  // was over or a stop was requested.
  bool WaitForCauses(const AppliedVector& needed, Rank origin, Rank self, absl::Duration timeout,
                     std::stop_token stop);

  // The peer's vector at the last place of its stream that we have processed.
  void PeerVectorSeen(Rank peer, const AppliedVector& vector);
  AppliedVector PeerVector(Rank peer) const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable_any advanced_;
  AppliedVector vector_;
  std::vector<AppliedVector> peer_vectors_;
};

}  // namespace pgduet
