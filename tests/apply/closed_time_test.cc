#include "apply/closed_time.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <string>

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

TEST(ClosingAlongTest, OnlyWhoWaitsIsTold) {
  ClosingAlong closing;
  closing.Began(50, 700);
  closing.Committed(700);
  closing.Began(60, 701);  // 701 runs, and is another's
  closing.Committed(702);
  EXPECT_EQ(closing.ToTell(), std::nullopt);
  closing.Want();
  EXPECT_EQ(closing.ToTell(), 49);
}

TEST(ClosingAlongTest, WhatARolledBackTransactionWasToTellTheNextOneTells) {
  ClosingAlong closing;
  closing.Want();
  closing.Began(50, 700);
  closing.Committed(700);
  closing.Began(60, 701);
  EXPECT_EQ(closing.ToTell(), 49);
  EXPECT_EQ(closing.ToTell(), 49);
  closing.Committed(702);
  EXPECT_EQ(closing.ToTell(), std::nullopt);
}

// A database as far as the rule looks at it: ids are given out in order, a commit is stamped some
// time before its record is written.
class StampedLog {
 public:
  enum class Fault { kNone, kIdBeforeTheClock, kNewestEndedId };
  StampedLog(unsigned seed, Fault fault) : random_(seed), fault_(fault) {}

  // Whether a commit record with a time that had been told to be closed came later.
  bool Violates() {
    for (int step = 0; step < 3000; ++step) {
      clock_ += Dice(3);
      if (Dice(2) == 0) {
        OthersGoOn();
      } else {
        SessionGoesOn();
      }
      if (violated_) return true;
    }
    return false;
  }
  int told() const { return told_; }

 private:
  int Dice(int sides) { return std::uniform_int_distribution<int>(0, sides - 1)(random_); }
  FullXid OldestRunning() const { return running_.empty() ? next_ : running_.begin()->first; }

  void OthersGoOn() {
    if (running_.size() < 4 && Dice(3) == 0) {
      running_[next_++] = std::nullopt;
      return;
    }
    if (running_.empty()) return;
    const auto one = std::next(running_.begin(), Dice(static_cast<int>(running_.size())));
    if (one->first == own_) return;
    if (!one->second) {
      one->second = clock_;
      return;
    }
    violated_ |= *one->second <= closed_;
    newest_ended_ = std::max(newest_ended_, one->first);
    running_.erase(one);
  }

  void SessionGoesOn() {
    switch (phase_++) {
      case 0:
        closing_.Want();
        tells_ = closing_.ToTell();
        if (fault_ == Fault::kIdBeforeTheClock) TakeId();
        return;
      case 1:
        closing_.Began(clock_,
                       fault_ == Fault::kNewestEndedId ? newest_ended_ + 1 : OldestRunning());
        return;
      case 2:
        if (fault_ != Fault::kIdBeforeTheClock) TakeId();
        return;
      default:
        phase_ = 0;
        running_.erase(own_);
        if (Dice(5) == 0) return;  // rolled back
        newest_ended_ = std::max(newest_ended_, own_);
        closing_.Committed(own_);
        if (!tells_) return;
        closed_ = std::max(closed_, *tells_);
        ++told_;
    }
  }
  void TakeId() { running_[own_ = next_++] = std::nullopt; }

  std::mt19937 random_;
  const Fault fault_;
  ClosingAlong closing_;
  CommitTime clock_ = 1000;
  FullXid next_ = 700, own_ = 0, newest_ended_ = 699;
  std::map<FullXid, std::optional<CommitTime>> running_;  // and when it was stamped
  std::optional<CommitTime> tells_;
  CommitTime closed_ = kOldestTime;
  int phase_ = 0, told_ = 0;
  bool violated_ = false;
};

TEST(ClosingAlongTest, NoCommitRecordBelowAToldTimeComesLater) {
  const char* wanted = std::getenv("PGDUET_SEED");
  const unsigned seed = wanted != nullptr ? static_cast<unsigned>(std::strtoul(wanted, nullptr, 10))
                                          : std::random_device()();
  SCOPED_TRACE("PGDUET_SEED=" + std::to_string(seed));
  int told = 0;
  for (unsigned run = 0; run < 200; ++run) {
    StampedLog log(seed + run, StampedLog::Fault::kNone);
    EXPECT_FALSE(log.Violates());
    told += log.told();
  }
  EXPECT_GT(told, 1000);
}

TEST(ClosingAlongTest, PlantedFaultsAreFound) {
  for (const auto fault :
       {StampedLog::Fault::kIdBeforeTheClock, StampedLog::Fault::kNewestEndedId}) {
    bool found = false;
    for (unsigned seed = 1; seed <= 200 && !found; ++seed)
      found = StampedLog(seed, fault).Violates();
    EXPECT_TRUE(found) << static_cast<int>(fault);
  }
}

}  // namespace
}  // namespace pgduet
