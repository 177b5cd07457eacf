#include "apply/closed_time.h"

#include <algorithm>

namespace pgduet {

void ClosingTimes::Opened(CommitTime clock, FullXid xid) {
  // A long-running transaction keeps all of them open; then the newest ones need not be told apart.
  if (open_.size() >= kOpenMax) open_.pop_back();
  open_.emplace_back(clock, xid);
}

CommitTime ClosingTimes::Closed(FullXid oldest_running) {
  while (!open_.empty() && open_.front().second <= oldest_running) {
    // One microsecond less: who got an id above X may have stamped in the same microsecond.
    closed_ = std::max(closed_, open_.front().first - 1);
    open_.pop_front();
  }
  return closed_;
}

std::optional<CommitTime> ClosingAlong::ToTell() {
  const CommitTime closed = times_.Closed(oldest_running_);
  telling_ = wanted_ && closed > told_ ? std::optional(closed) : std::nullopt;
  return telling_;
}

void ClosingAlong::Began(CommitTime clock, FullXid oldest_running) {
  clock_ = clock;
  oldest_running_ = oldest_running;
}

void ClosingAlong::Committed(FullXid xid) {
  times_.Opened(clock_, xid);
  if (!telling_) return;
  told_ = *telling_;
  wanted_ = false;
}

}  // namespace pgduet
