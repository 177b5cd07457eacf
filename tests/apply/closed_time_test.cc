#include "apply/closed_time.h"

#include <gtest/gtest.h>

namespace pgduet {
namespace {

TEST(ClosedTimeTest, NothingIsClosedBeforeTheFirstSample) {
  EXPECT_EQ(ClosingTimes().Closed(1'000), kOldestTime);
}

TEST(ClosedTimeTest, ATimeIsClosedWhenAllThatRanThenHaveEnded) {
  ClosingTimes times;
  times.Opened(50, 700);
  EXPECT_EQ(times.Closed(699), kOldestTime);  // 699 is running and may have stamped at 50
  EXPECT_EQ(times.Closed(700), 49);
}

TEST(ClosedTimeTest, TheHighestTimeThatCanBeClosedIs) {
  ClosingTimes times;
  times.Opened(50, 700);
  times.Opened(60, 710);
  times.Opened(70, 720);
  EXPECT_EQ(times.Closed(715), 59);
  EXPECT_EQ(times.Closed(720), 69);
}

TEST(ClosedTimeTest, AClockThatStepsBackDoesNotOpenATimeAgain) {
  ClosingTimes times;
  times.Opened(50, 700);
  times.Opened(40, 710);
  EXPECT_EQ(times.Closed(710), 49);
}

TEST(ClosedTimeTest, ALongRunningTransactionDoesNotMakeItGrow) {
  ClosingTimes times;
  for (CommitTime time = 1; time <= 100'000; ++time)
    times.Opened(time, 700 + static_cast<FullXid>(time));
  EXPECT_EQ(times.Closed(701), 0);
  EXPECT_EQ(times.Closed(200'000), 99'999);
}

}  // namespace
}  // namespace pgduet
