// What is known of the target database's clock without asking it: its newest answer, and for how
// long that has been known.
//
// A transaction must not become visible before the clock has passed its commit time (design
// section 4), but asking costs a round trip for each. So one begins when the clock is likely past
// that time, asks along with its first statement, and is not committed if the clock was not.
//
// One thread, that of the session.
#pragma once

#include <chrono>

#include "schemas/version.h"

namespace pgduet {

class TargetClock {
 public:
  using Steady = std::chrono::steady_clock;

  // `received`: when the answer was here, so the clock is at least as far on since.
  void Answered(CommitTime time, Steady::time_point received) {
    at_least_ = time;
    received_ = received;
  }
  // The newest answer: the clock is at least there, unless somebody sets it back.
  CommitTime at_least() const { return at_least_; }
  // By our own clock, which may run faster than the database's. An old answer is none: the longer
  // ago, the less alike.
  bool IsLikelyPast(CommitTime time, Steady::time_point now) const {
    constexpr std::chrono::seconds kAgeMax{1};
    const auto age = now - received_;
    if (at_least_ == kOldestTime || age > kAgeMax) return false;
    return at_least_ + std::chrono::duration_cast<std::chrono::microseconds>(age).count() > time;
  }

 private:
  CommitTime at_least_ = kOldestTime;
  Steady::time_point received_;
};

}  // namespace pgduet
