#include "apply/coverage_history.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace pgduet {
namespace {

constexpr Incarnation kOurs = 7, kTheirs = 9;

RegionIdentity Identity() {
  return {.group = "g",
          .set = "main",
          .regions = {"a", "b", "c"},
          .rank = 0,
          .incarnation = kOurs,
          .baseline_lsn = Lsn(100),
          .baseline_xid = 1000,
          .baseline_xids = {1003}};
}

AppliedVector Knows(Lsn ours, CommitTime time = 0) {
  AppliedVector vector;
  vector.Set(0, {.incarnation = kOurs, .sequence = 1, .commit_lsn = ours, .commit_time = time});
  return vector;
}

TEST(CoverageHistoryTest, RowsFromBeforeTheAttachmentAreCoveredByEverything) {
  const CoverageHistory history(Identity(), {});
  EXPECT_TRUE(history.LocalCovered(999, 0, AppliedVector()));
  EXPECT_TRUE(history.LocalCovered(
      1003, 0, AppliedVector()));  // seen by the slot's snapshot, above its oldest running one
  EXPECT_FALSE(history.LocalCovered(1001, 0, AppliedVector()));
  EXPECT_EQ(history.LocalHorizon(AppliedVector()), 1000U);
}

TEST(CoverageHistoryTest, ALocalTransactionIsCoveredFromItsCommitLsnOn) {
  CoverageHistory history(Identity(), {});
  history.LocalCommitted(2000, 50, Lsn(500));
  EXPECT_FALSE(history.LocalCovered(2000, 50, Knows(Lsn(499))));
  EXPECT_TRUE(history.LocalCovered(2000, 50, Knows(Lsn(500))));
}

TEST(CoverageHistoryTest, TimeNeverDecidesWhatTheHistoryKnows) {
  CoverageHistory history(Identity(), {});
  history.LocalCommitted(2000, /*time=*/90, Lsn(500));
  history.LocalCommitted(2001, /*time=*/80, Lsn(600));  // stamped before, written after
  EXPECT_FALSE(history.LocalCovered(2001, 80, Knows(Lsn(500), 90)));
  EXPECT_TRUE(history.LocalCovered(2000, 90, Knows(Lsn(500), 90)));
}

TEST(CoverageHistoryTest, RowsOfSubtransactionsAreFoundByTheCommitTime) {
  CoverageHistory history(Identity(), {});
  history.LocalCommitted(2000, 90, Lsn(500));
  history.Sampled(2010, Lsn(600));
  history.LocalCommitted(2020, 99, Lsn(700));
  EXPECT_TRUE(history.LocalCovered(/*subxid=*/2005, 90, Knows(Lsn(500))));
  EXPECT_FALSE(history.LocalCovered(/*subxid=*/2005, 90, Knows(Lsn(499))));
}

TEST(CoverageHistoryTest, ASubtransactionThatMayBelongToAnUndecodedCommitCountsAsConcurrent) {
  CoverageHistory history(Identity(), {});
  history.LocalCommitted(2000, 90, Lsn(500));
  EXPECT_FALSE(history.LocalCovered(/*subxid=*/2005, 90, Knows(Lsn(500))));
}

TEST(CoverageHistoryTest, EqualTimesOfWhichOneIsUnknownCountAsConcurrent) {
  CoverageHistory history(Identity(), {});
  history.LocalCommitted(2000, 90, Lsn(500));
  history.LocalCommitted(2001, 90, Lsn(600));
  EXPECT_FALSE(history.LocalCovered(/*subxid=*/2005, 90, Knows(Lsn(550))));
}

TEST(CoverageHistoryTest, WhatIsNotDecodedYetIsNotCovered) {
  CoverageHistory history(Identity(), {});
  history.LocalCommitted(2000, 90, Lsn(500));
  EXPECT_FALSE(history.LocalCovered(2001, 91, Knows(Lsn(10'000), 1'000'000)));
}

// Where one record ends the next may begin: the end of what is decoded is not decoded.
TEST(CoverageHistoryTest, ACommitThatBeginsWhereTheDecodedPartEndsIsNotDecoded) {
  CoverageHistory history(Identity(), {});
  history.LocalCommitted(2000, 50, Lsn(500));
  EXPECT_FALSE(history.LocalDecoded(2000, 50, Lsn()));
  EXPECT_FALSE(history.LocalDecoded(2000, 50, Lsn(500)));
  EXPECT_TRUE(history.LocalDecoded(2000, 50, Lsn(501)));
}

TEST(CoverageHistoryTest, ASampleCoversTheXidsThatHadEnded) {
  CoverageHistory history(Identity(), {});
  history.Sampled(1500, Lsn(400));
  history.Sampled(1800, Lsn(700));
  EXPECT_EQ(history.LocalHorizon(Knows(Lsn(399))), 1000U);
  EXPECT_EQ(history.LocalHorizon(Knows(Lsn(400))), 1500U);
  EXPECT_EQ(history.LocalHorizon(Knows(Lsn(9999))), 1800U);
  EXPECT_TRUE(history.LocalCovered(1499, 0, Knows(Lsn(400))));
  EXPECT_FALSE(history.LocalCovered(1500, 0, Knows(Lsn(400))));
}

TEST(CoverageHistoryTest, AnotherIncarnationsPositionSaysNothing) {
  CoverageHistory history(Identity(), {});
  history.Sampled(1500, Lsn(400));
  AppliedVector vector;
  vector.Set(0, {.incarnation = kOurs + 1, .sequence = 1, .commit_lsn = Lsn(9999)});
  EXPECT_EQ(history.LocalHorizon(vector), 1000U);
}

TEST(CoverageHistoryTest, RowsOfAnotherOriginAreCoveredByItsPosition) {
  CoverageHistory history(Identity(), {});
  const auto at = [](uint64_t lsn) {
    return Position{.incarnation = kTheirs,
                    .sequence = 1,
                    .commit_lsn = Lsn(lsn),
                    .commit_time = static_cast<CommitTime>(lsn) * 1'000'000};
  };
  history.Applied(1, 3000, at(10));
  history.Applied(1, 3005, at(20));
  AppliedVector knows;
  knows.Set(1, at(10));
  EXPECT_TRUE(history.OriginCovered(1, 3000, at(10).commit_time, {}, knows));
  EXPECT_FALSE(history.OriginCovered(1, 3005, at(20).commit_time, {}, knows));
  EXPECT_TRUE(history.OriginCovered(1, 2990, 0, {},
                                    knows));  // before the history, and its first entry is known
  EXPECT_EQ(history.OriginHorizon(1, knows), 3001U);
  EXPECT_EQ(history.OriginHorizon(1, AppliedVector()), 0U);
}

TEST(CoverageHistoryTest, RowsOfABatchAreCoveredByTheirOwnTransaction) {
  const auto at = [](uint64_t lsn) {
    return Position{.incarnation = kTheirs,
                    .sequence = lsn,
                    .commit_lsn = Lsn(lsn),
                    .commit_time = static_cast<CommitTime>(lsn) * 1'000'000};
  };
  const auto members = std::make_shared<BatchMembers>();
  members->AddTransaction({Lsn(10), at(10).commit_time});
  members->AddTransaction({Lsn(20), at(20).commit_time});
  members->Wrote({7, 1}, 0);
  members->Wrote({7, 2}, 1);
  members->Finish();
  CoverageHistory history(Identity(), {});
  history.Applied(1, 3000, at(20), members);
  AppliedVector knows;
  knows.Set(1, at(10));
  const CommitTime stamp = at(20).commit_time;
  EXPECT_TRUE(history.OriginCovered(1, 3000, stamp, {7, 1}, knows));
  EXPECT_FALSE(history.OriginCovered(1, 3000, stamp, {7, 2}, knows));
  EXPECT_EQ(history.OriginTime(1, 3000, stamp, {7, 1}), at(10).commit_time);
  EXPECT_EQ(history.OriginTime(1, 3000, stamp, {7, 2}), stamp);
  EXPECT_EQ(history.OriginTime(1, 2999, 5, {7, 1}), 5);
  // As a whole it is covered with its last one only.
  EXPECT_EQ(history.OriginHorizon(1, knows), 0U);
}

TEST(CoverageHistoryTest, ListsOfBatchesAreBounded) {
  CoverageHistory history(Identity(), {.members_bytes_max = 5000});
  for (uint64_t batch = 1; batch <= 100; ++batch) {
    const auto members = std::make_shared<BatchMembers>();
    members->AddTransaction({Lsn(batch), 0});
    for (uint64_t row = 1; row <= 10; ++row) members->Wrote({7, row}, 0);
    members->Finish();
    const Position position{.incarnation = kTheirs, .sequence = batch, .commit_lsn = Lsn(batch)};
    history.Applied(1, 3000 + batch, position, members);
  }
  EXPECT_EQ(history.OriginTime(1, 3100, 5, {7, 1}), 0);
  EXPECT_EQ(history.OriginTime(1, 3001, 5, {7, 1}), 5);  // let go: the stamp is what is left
}

// Against an oracle that knows each transaction's LSN: the answer is never "covered" for what is
// not, and it is exact for what the history holds.
TEST(CoverageHistoryTest, AgreesWithTheTrueOrderOverRandomCommits) {
  const uint64_t seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE(testing::Message() << "seed=" << seed);
  std::mt19937_64 random(seed);
  CoverageHistory history(Identity(), {.local_entries_max = 200});
  struct Commit {
    uint32_t xid;
    CommitTime time;
    Lsn lsn;
  };
  std::vector<Commit> commits;
  std::vector<uint32_t> running;
  uint32_t next_xid = 1001;
  Lsn lsn(1000);
  for (int step = 0; step < 2000; ++step) {
    if (random() % 2 == 0 || running.empty()) running.push_back(next_xid++);
    if (random() % 2 == 0) {
      const size_t which = random() % running.size();
      lsn = Lsn(lsn.value() + 1 + random() % 50);
      const auto inversion = static_cast<CommitTime>(random() % 500);
      commits.push_back({running[which], 1'000'000 + step * 100 - inversion, lsn});
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(which));
      history.LocalCommitted(commits.back().xid, commits.back().time, lsn);
    }
    if (random() % 10 == 0) {
      const uint32_t oldest =
          running.empty() ? next_xid : *std::min_element(running.begin(), running.end());
      history.Sampled(oldest, Lsn(lsn.value() + 1));
    }
  }
  for (int question = 0; question < 3000; ++question) {
    const size_t which = random() % commits.size();
    const Commit& row = commits[which];
    const Commit& known = commits[random() % commits.size()];
    const bool truth = row.lsn <= known.lsn;
    const bool answer = history.LocalCovered(row.xid, row.time, Knows(known.lsn, known.time));
    EXPECT_TRUE(truth || !answer) << row.xid;
    const bool in_history = which + 200 >= commits.size();
    EXPECT_TRUE(!in_history || answer == truth) << row.xid;
    EXPECT_TRUE(truth || row.xid >= history.LocalHorizon(Knows(known.lsn))) << row.xid;
  }
}

}  // namespace
}  // namespace pgduet
