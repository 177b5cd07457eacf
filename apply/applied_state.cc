#include "apply/applied_state.h"

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

void AppliedState::PeerVectorSeen(Rank peer, const AppliedVector& vector) {
  std::scoped_lock lock(mutex_);
  peer_vectors_[peer] = vector;
}

AppliedVector AppliedState::PeerVector(Rank peer) const {
  std::scoped_lock lock(mutex_);
  return peer_vectors_[peer];
}

}  // namespace pgduet
