#include "apply/target_clock.h"

#include <gtest/gtest.h>

namespace pgduet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr CommitTime kAnswer = 1'000'000'000;
const TargetClock::Steady::time_point kReceived{seconds(100)};

TargetClock Answered() {
  TargetClock clock;
  clock.Answered(kAnswer, kReceived);
  return clock;
}

TEST(TargetClockTest, IsPastNothingBeforeItsFirstAnswer) {
  EXPECT_FALSE(TargetClock().IsLikelyPast(kOldestTime, kReceived));
  EXPECT_FALSE(TargetClock().IsLikelyPast(1, TargetClock::Steady::time_point{}));
}

TEST(TargetClockTest, IsPastWhatIsBeforeItsAnswerAndNotPastTheAnswerItself) {
  EXPECT_TRUE(Answered().IsLikelyPast(kAnswer - 1, kReceived));
  EXPECT_FALSE(Answered().IsLikelyPast(kAnswer, kReceived));
}

TEST(TargetClockTest, GoesOnWithTimeSinceItsAnswer) {
  const CommitTime later = kAnswer + 5'000;
  EXPECT_FALSE(Answered().IsLikelyPast(later, kReceived + milliseconds(5)));
  EXPECT_TRUE(Answered().IsLikelyPast(later, kReceived + milliseconds(6)));
}

TEST(TargetClockTest, AnAnswerOfMoreThanASecondAgoIsNone) {
  EXPECT_TRUE(Answered().IsLikelyPast(kAnswer, kReceived + seconds(1)));
  EXPECT_FALSE(Answered().IsLikelyPast(kAnswer, kReceived + seconds(1) + milliseconds(1)));
}

TEST(TargetClockTest, AClockThatWasSetBackIsBelieved) {
  TargetClock clock = Answered();
  clock.Answered(kAnswer - 60'000'000, kReceived + milliseconds(1));
  EXPECT_FALSE(clock.IsLikelyPast(kAnswer, kReceived + milliseconds(500)));
  EXPECT_EQ(clock.at_least(), kAnswer - 60'000'000);
}

}  // namespace
}  // namespace pgduet
