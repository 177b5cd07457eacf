#include "base/backoff.h"

#include <thread>

#include <gtest/gtest.h>

namespace pgduet {
namespace {

const Backoff::Options kOptions = {.first = absl::Milliseconds(10), .max = absl::Milliseconds(80)};

void ExpectStep(Backoff& backoff, absl::Duration step) {
  const absl::Duration next = backoff.Next();
  EXPECT_GE(next, step / 2);
  EXPECT_LE(next, step);
}

TEST(BackoffTest, StepsDoubleUpToTheirBound) {
  Backoff backoff(kOptions);
  for (int step : {10, 20, 40, 80, 80, 80}) ExpectStep(backoff, absl::Milliseconds(step));
}

TEST(BackoffTest, ResetBeginsAnew) {
  Backoff backoff(kOptions);
  for (int i = 0; i < 5; ++i) backoff.Next();
  backoff.Reset();
  ExpectStep(backoff, absl::Milliseconds(10));
}

TEST(BackoffTest, TwoClientsDoNotStepTogether) {
  Backoff one(kOptions), other(kOptions);
  int equal = 0;
  for (int i = 0; i < 20; ++i) equal += one.Next() == other.Next() ? 1 : 0;
  EXPECT_LT(equal, 20);
}

TEST(SleepForTest, SleepsItsTimeWhenNobodyStopsIt) {
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_TRUE(SleepFor(absl::Milliseconds(5), std::stop_token()));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(5));
}

TEST(SleepForTest, AStopEndsItAtOnce) {
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_FALSE(SleepFor(absl::Hours(1), stop.get_token()));
}

TEST(SleepForTest, AStopFromBeforeCounts) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(SleepFor(absl::Hours(1), stop.get_token()));
  EXPECT_FALSE(SleepFor(absl::ZeroDuration(), stop.get_token()));
}

}  // namespace
}  // namespace pgduet
