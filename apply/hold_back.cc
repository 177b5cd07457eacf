#include "apply/hold_back.h"

#include <fmt/format.h>

#include "base/backoff.h"
#include "base/named_error.h"

namespace pgduet {

absl::Status HoldBack::Wait(TargetSession& session, const AppliedVector& seen, CommitTime time) {
  PGDUET_RETURN_IF_ERROR(WaitForCauses(session, seen));
  WaitForDecoder(seen);
  return WaitForLikelyClock(session, time);
}

absl::Status HoldBack::WaitForCauses(TargetSession& session, const AppliedVector& seen) {
  while (!applied_.WaitForCauses(seen, origin_, identity_.rank, absl::Seconds(1), stop_)) {
    if (stop_.stop_requested())
      return absl::CancelledError("stopped while holding a transaction back");
    set_state_("holding");
    // A crash of the database may have taken back what this stream had applied. Another stream may
    // wait for that, and this one for the other: whoever waits must notice, open anew and read
    // again what is lost.
    PGDUET_RETURN_IF_ERROR(session.Query("SELECT 1").status());
  }
  return absl::OkStatus();
}

// What the peer had seen of us must have passed our own decoder, or it looks concurrent. A decoder
// that does not move (capture is stopped) is not waited for again and again: then what it has not
// seen counts as concurrent.
void HoldBack::WaitForDecoder(const AppliedVector& seen) {
  const Position& ours = seen.At(identity_.rank);
  if (ours.incarnation != identity_.incarnation || ours.commit_lsn <= identity_.baseline_lsn)
    return;
  const absl::Duration patience = decoder_is_late_ ? absl::ZeroDuration() : absl::Seconds(10);
  decoder_is_late_ = !barrier_.WaitDecoded(ours.commit_lsn, patience, stop_);
}

absl::Status HoldBack::WaitForLikelyClock(TargetSession& session, CommitTime time) {
  if (session.clock().IsLikelyPast(time, TargetClock::Steady::now())) return absl::OkStatus();
  return WaitForClock(session, time);
}

absl::Status HoldBack::WaitForClock(TargetSession& session, CommitTime time) {
  while (session.clock().at_least() <= time) {
    PGDUET_ASSIGN_OR_RETURN(const CommitTime now, session.Clock());
    if (now > time) break;
    const absl::Duration ahead = absl::Microseconds(time - now + 1);
    if (ahead > max_clock_skew_) {
      return NamedError(
          absl::StatusCode::kFailedPrecondition, "clock_ahead",
          fmt::format("the origin's clock is ahead of this database's: origin={} ahead={}",
                      identity_.NameOf(origin_), absl::FormatDuration(ahead)),
          "Correct the clocks (NTP) of the two database hosts; the stream goes on when this clock "
          "has passed that time.");
    }
    set_state_("holding");
    if (!SleepFor(ahead, stop_)) return absl::CancelledError("stopped while waiting for the clock");
  }
  return absl::OkStatus();
}

}  // namespace pgduet
