// The table of last_write_wins.h, line by line, and the order of versions.
#include "resolve/last_write_wins.h"

#include <gtest/gtest.h>

namespace pgduet {

// Found by gtest, for readable failures.
void PrintTo(const Resolution& resolution, std::ostream* out) {
  *out << DecisionName(resolution.decision) << " "
       << (resolution.conflict ? ConflictKindName(*resolution.conflict) : "no conflict")
       << (resolution.clock_anomaly ? " clock anomaly" : "");
}

namespace {

constexpr Version kEarly{.commit_time = 100, .rank = 1, .commit_lsn = Lsn(10)};
constexpr Version kLate{.commit_time = 200, .rank = 0, .commit_lsn = Lsn(20)};

constexpr ChangeKind kRowKinds[] = {ChangeKind::kInsert, ChangeKind::kUpdate, ChangeKind::kDelete,
                                    ChangeKind::kTruncate};

LocalState Live(const Version& version, bool covered) {
  return {.kind = LocalState::Kind::kLive, .version = version, .covered = covered};
}
LocalState Deleted(const Version& version, bool covered) {
  return {.kind = LocalState::Kind::kDeleted, .version = version, .covered = covered};
}
constexpr Resolution kApply{.decision = Decision::kApplyRemote};
constexpr Resolution kKeep{.decision = Decision::kKeepLocal};
Resolution Apply(ConflictKind kind) { return {Decision::kApplyRemote, kind}; }
Resolution Keep(ConflictKind kind) { return {Decision::kKeepLocal, kind}; }

// A remote change that the local version loses to, and one that it beats: the kind is the same.
void ExpectByVersion(ChangeKind remote, LocalState::Kind local, ConflictKind kind) {
  const LocalState early{.kind = local, .version = kEarly};
  const LocalState late{.kind = local, .version = kLate};
  EXPECT_EQ(LastWriteWins(remote, kLate, early), Apply(kind));
  EXPECT_EQ(LastWriteWins(remote, kEarly, late), Keep(kind));
}

TEST(LastWriteWinsTest, LaterCommitTimeWins) {
  EXPECT_EQ(LastWriteWins(ChangeKind::kUpdate, kLate, Live(kEarly, false)).decision,
            Decision::kApplyRemote);
  EXPECT_EQ(LastWriteWins(ChangeKind::kUpdate, kEarly, Live(kLate, false)).decision,
            Decision::kKeepLocal);
}

TEST(LastWriteWinsTest, EqualCommitTimesGoToTheHigherRank) {
  const Version low{.commit_time = 100, .rank = 1, .commit_lsn = Lsn(99)};
  const Version high{.commit_time = 100, .rank = 2, .commit_lsn = Lsn(1)};
  EXPECT_EQ(LastWriteWins(ChangeKind::kUpdate, high, Live(low, false)).decision,
            Decision::kApplyRemote);
  EXPECT_EQ(LastWriteWins(ChangeKind::kUpdate, low, Live(high, false)).decision,
            Decision::kKeepLocal);
}

TEST(LastWriteWinsTest, EqualTimesOfOneRegionGoToTheLaterCommitRecord) {
  const Version first{.commit_time = 100, .rank = 1, .commit_lsn = Lsn(1)};
  const Version second{.commit_time = 100, .rank = 1, .commit_lsn = Lsn(2)};
  EXPECT_EQ(LastWriteWins(ChangeKind::kUpdate, second, Live(first, true)), kApply);
}

TEST(LastWriteWinsTest, RowsThatNobodyStampedLoseToEveryWrite) {
  const Version unstamped;
  EXPECT_EQ(LastWriteWins(ChangeKind::kUpdate, kEarly, Live(unstamped, true)), kApply);
}

TEST(LastWriteWinsTest, InsertOfAKeyNeverSeenIsApplied) {
  EXPECT_EQ(LastWriteWins(ChangeKind::kInsert, kEarly, LocalState{}), kApply);
}

TEST(LastWriteWinsTest, UpdateOfAKeyNeverSeenIsAppliedAsUpdateMissing) {
  EXPECT_EQ(LastWriteWins(ChangeKind::kUpdate, kEarly, LocalState{}),
            Apply(ConflictKind::kUpdateMissing));
}

TEST(LastWriteWinsTest, DeleteOfAKeyNeverSeenLeavesATombstoneAsDeleteMissing) {
  for (ChangeKind remote : {ChangeKind::kDelete, ChangeKind::kTruncate}) {
    EXPECT_EQ(LastWriteWins(remote, kEarly, LocalState{}), Apply(ConflictKind::kDeleteMissing));
  }
}

TEST(LastWriteWinsTest, InsertOntoAConcurrentRowIsInsertExists) {
  ExpectByVersion(ChangeKind::kInsert, LocalState::Kind::kLive, ConflictKind::kInsertExists);
}

TEST(LastWriteWinsTest, UpdateOfAConcurrentRowIsUpdateOriginDiffers) {
  ExpectByVersion(ChangeKind::kUpdate, LocalState::Kind::kLive, ConflictKind::kUpdateOriginDiffers);
}

TEST(LastWriteWinsTest, DeleteOfAConcurrentRowIsDeleteOriginDiffers) {
  for (ChangeKind remote : {ChangeKind::kDelete, ChangeKind::kTruncate}) {
    ExpectByVersion(remote, LocalState::Kind::kLive, ConflictKind::kDeleteOriginDiffers);
  }
}

TEST(LastWriteWinsTest, InsertOrUpdateAgainstAConcurrentDeleteIsUpdateDeleted) {
  for (ChangeKind remote : {ChangeKind::kInsert, ChangeKind::kUpdate}) {
    ExpectByVersion(remote, LocalState::Kind::kDeleted, ConflictKind::kUpdateDeleted);
  }
}

TEST(LastWriteWinsTest, DeleteAgainstAConcurrentDeleteIsDeleteMissing) {
  for (ChangeKind remote : {ChangeKind::kDelete, ChangeKind::kTruncate}) {
    ExpectByVersion(remote, LocalState::Kind::kDeleted, ConflictKind::kDeleteMissing);
  }
}

TEST(LastWriteWinsTest, WhatTheRemoteTransactionHadSeenIsNoConflict) {
  for (ChangeKind remote : kRowKinds) {
    EXPECT_EQ(LastWriteWins(remote, kLate, Live(kEarly, true)), kApply);
    EXPECT_EQ(LastWriteWins(remote, kLate, Deleted(kEarly, true)), kApply);
  }
}

TEST(LastWriteWinsTest, TheSameWriteAgainChangesNothing) {
  for (ChangeKind remote : kRowKinds) {
    for (bool covered : {false, true}) {
      EXPECT_EQ(LastWriteWins(remote, kEarly, Live(kEarly, covered)), kKeep);
      EXPECT_EQ(LastWriteWins(remote, kEarly, Deleted(kEarly, covered)), kKeep);
    }
  }
}

TEST(LastWriteWinsTest, ACoveredButHigherVersionStandsAndIsAnAnomalyNotAConflict) {
  const Resolution anomaly{.decision = Decision::kKeepLocal, .clock_anomaly = true};
  for (ChangeKind remote : kRowKinds) {
    EXPECT_EQ(LastWriteWins(remote, kEarly, Live(kLate, true)), anomaly);
    EXPECT_EQ(LastWriteWins(remote, kEarly, Deleted(kLate, true)), anomaly);
  }
}

TEST(LastWriteWinsTest, CoverageNeverChangesTheOutcome) {
  for (ChangeKind remote : kRowKinds) {
    for (const auto& [mine, theirs] : {std::pair(kEarly, kLate), std::pair(kLate, kEarly)}) {
      EXPECT_EQ(LastWriteWins(remote, theirs, Live(mine, true)).decision,
                LastWriteWins(remote, theirs, Live(mine, false)).decision);
      EXPECT_EQ(LastWriteWins(remote, theirs, Deleted(mine, true)).decision,
                LastWriteWins(remote, theirs, Deleted(mine, false)).decision);
    }
  }
}

}  // namespace
}  // namespace pgduet
