// "Everything committed here before now has been decoded by capture." See docs/decisions/0001.
#pragma once

#include <algorithm>
#include <stop_token>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "schemas/lsn.h"

namespace pgduet {

class DecoderBarrier {
 public:
  virtual ~DecoderBarrier() = default;
  // OK once all that was committed in this database before the call has passed capture and its
  // deletes are known. DeadlineExceeded when the time is over; Cancelled when stopped.
  virtual absl::Status Wait(absl::Duration timeout, std::stop_token stop) = 0;
  // Until capture has passed this commit, and its deletes are known: what a peer had seen of us
  // when it wrote. False when the time is over or a stop was requested.
  virtual bool WaitDecoded(Lsn commit_lsn, absl::Duration timeout, std::stop_token stop) = 0;
  // Until our own capture has begun, and nobody else writes for this region any
  // more (apply/sole_writer.h), or until it is known to be stopped by something else. False when
  // the time is over or a stop was requested.
  virtual bool WaitSoleWriter(absl::Duration timeout, std::stop_token stop) = 0;
  // What was committed here before this place has passed capture and is known to the journals.
  virtual Lsn Decoded() const = 0;
};

// Aborted/decoder_behind: the transaction is rolled back, the barrier awaited without locks, and
// the transaction applied again.
absl::Status DecoderBehind();
// How long to wait while row locks are held. Capture itself may wait for one of them, so the first
// time is short; it grows with each refusal, because where clients write a row again and again
// nothing is gained by giving it back and waiting outside.
class LockPatience {
 public:
  absl::Duration duration() const { return duration_; }
  void Refused() { duration_ = std::min(duration_ * 2, kLongest); }
  void Reset() { duration_ = kShortest; }

 private:
  static constexpr absl::Duration kShortest = absl::Milliseconds(200);
  static constexpr absl::Duration kLongest = absl::Seconds(5);
  absl::Duration duration_ = kShortest;
};

// Waits until then; then DecoderBehind().
absl::Status AwaitHoldingLocks(DecoderBarrier& barrier, const LockPatience& patience,
                               const std::stop_token& stop);

}  // namespace pgduet
