#include "apply/applied_state.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace pgduet {

AppliedVector AppliedState::Vector() const {
  std::scoped_lock lock(mutex_);
  return vector_;
}

void AppliedState::Advance(Rank rank, const Position& position) {
  std::scoped_lock lock(mutex_);
  vector_.Advance(rank, position);
  advanced_.notify_all();
}

void AppliedState::Reload(Rank rank, const Position& position) {
  std::scoped_lock lock(mutex_);
  vector_.Set(rank, position);
  advanced_.notify_all();
}

bool AppliedState::WaitForCauses(const AppliedVector& needed, Rank origin, Rank self,
                                 absl::Duration timeout, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  return advanced_.wait_for(lock, stop, absl::ToChronoNanoseconds(timeout), [&] {
    return vector_.ContainsAll(needed, {origin, self});
  });
}

void AppliedState::PeerSeen(Rank peer, const AppliedVector& vector, CommitTime closed) {
  std::scoped_lock lock(mutex_);
  peer_vectors_[peer] = vector;
  closed_[peer] = std::max(closed_[peer], closed);
}

void AppliedState::PeerSetBack(Rank peer, const AppliedVector& vector) {
  std::scoped_lock lock(mutex_);
  peer_vectors_[peer] = vector;
  closed_[peer] = kOldestTime;
}

CommitTime AppliedState::ClosedTime(Rank rank) const {
  std::scoped_lock lock(mutex_);
  return closed_[rank];
}

CommitTime AppliedState::ClosedTimeBesides(Rank origin) const {
  std::scoped_lock lock(mutex_);
  CommitTime least = std::numeric_limits<CommitTime>::max();
  for (Rank rank = 0; rank < closed_.size(); ++rank) {
    if (rank != origin) least = std::min(least, closed_[rank]);
  }
  return least;
}

void AppliedState::OwnTimeClosed(Rank self, CommitTime time) {
  std::scoped_lock lock(mutex_);
  closed_[self] = std::max(closed_[self], time);
}

void AppliedState::OwnTimeReopened(Rank self) {
  std::scoped_lock lock(mutex_);
  closed_[self] = kOldestTime;
}

AppliedVector AppliedState::PeerVector(Rank peer) const {
  std::scoped_lock lock(mutex_);
  return peer_vectors_[peer];
}

void AppliedState::PlaceDecoded(const AppliedVector& vector) {
  std::scoped_lock lock(mutex_);
  place_ = vector;
}

AppliedVector AppliedState::StableVector(Rank self) const {
  std::scoped_lock lock(mutex_);
  AppliedVector stable;
  for (Rank origin = 0; origin < peer_vectors_.size(); ++origin) {
    // Our own writes are known here once they are decoded; what is kept of them is.
    std::optional<Position> least;
    if (origin != self) least = place_.At(origin);
    for (Rank peer = 0; peer < peer_vectors_.size(); ++peer) {
      if (peer == self || peer == origin) continue;
      const Position& known = peer_vectors_[peer].At(origin);
      if (least && least->incarnation != known.incarnation) {
        least = Position{};
        break;
      }
      if (!least || known.commit_lsn < least->commit_lsn) least = known;
    }
    if (least) stable.Set(origin, *least);
  }
  return stable;
}

}  // namespace pgduet
