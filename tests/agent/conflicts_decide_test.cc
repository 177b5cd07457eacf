#include "agent/commands/conflicts_decide.h"

#include <gtest/gtest.h>

namespace pgduet {
namespace {

const PolicyRule kRule = {.policy = {}, .regions = {"east", "west"}};

LoggedSide Side(std::string region, CommitTime time) {
  return {.region = std::move(region), .version = {.commit_time = time}};
}

LoggedConflict Rows(CommitTime remote, CommitTime local) {
  return {.remote = Side("west", remote), .local_row = true, .local = Side("east", local)};
}

TEST(DecideAgainTest, TheLaterCommitWins) {
  EXPECT_EQ(*DecideAgain(kRule, Rows(/*remote=*/20, /*local=*/10)), Decision::kApplyRemote);
  EXPECT_EQ(*DecideAgain(kRule, Rows(/*remote=*/10, /*local=*/20)), Decision::kKeepLocal);
}

TEST(DecideAgainTest, EqualTimesGoToTheRegionThatStandsLaterInTheOtherList) {
  EXPECT_EQ(*DecideAgain(kRule, Rows(10, 10)), Decision::kApplyRemote);
  const PolicyRule reversed = {.policy = {}, .regions = {"west", "east"}};
  EXPECT_EQ(*DecideAgain(reversed, Rows(10, 10)), Decision::kKeepLocal);
}

TEST(DecideAgainTest, ADeleteIsAWriteLikeAnyOther) {
  LoggedConflict conflict = Rows(/*remote=*/10, /*local=*/20);
  conflict.local_row = false;
  conflict.local_deleted = true;
  EXPECT_EQ(*DecideAgain(kRule, conflict), Decision::kKeepLocal);
  conflict = Rows(/*remote=*/20, /*local=*/10);
  conflict.remote_operation = ChangeKind::kDelete;
  EXPECT_EQ(*DecideAgain(kRule, conflict), Decision::kApplyRemote);
}

TEST(DecideAgainTest, WhatHasNoVersionLoses) {
  LoggedConflict older_than_everything = Rows(20, 10);
  older_than_everything.local.reset();
  EXPECT_EQ(*DecideAgain(kRule, older_than_everything), Decision::kApplyRemote);
  LoggedConflict nothing_known = older_than_everything;
  nothing_known.local_row = false;
  EXPECT_EQ(*DecideAgain(kRule, nothing_known), Decision::kApplyRemote);
}

TEST(DecideAgainTest, WhatItCannotDecideIsSaid) {
  EXPECT_TRUE(
      absl::IsNotFound(DecideAgain({.policy = {}, .regions = {"east"}}, Rows(1, 2)).status()));
  EXPECT_TRUE(absl::IsUnimplemented(
      DecideAgain({.policy = {.kind = PolicyKind::kCustom}, .regions = {"east", "west"}},
                  Rows(1, 2))
          .status()));
}

Decision With(const TablePolicy& policy, const LoggedConflict& conflict) {
  return *DecideAgain({.policy = policy, .regions = {"east", "west"}}, conflict);
}

TEST(DecideAgainTest, PoliciesThatKeepVersionsPickAsInTheAgent) {
  const LoggedConflict later = Rows(/*remote=*/20, /*local=*/10);
  EXPECT_EQ(With({.kind = PolicyKind::kFirstWriteWins}, later), Decision::kKeepLocal);
  EXPECT_EQ(With({.kind = PolicyKind::kVersions}, later), Decision::kApplyRemote);
  EXPECT_EQ(With({.kind = PolicyKind::kRegionPriority, .priority = {0, 1}}, later),
            Decision::kKeepLocal);
  EXPECT_EQ(With({.kind = PolicyKind::kRegionPriority, .priority = {1, 0}}, later),
            Decision::kApplyRemote);
  EXPECT_EQ(With({.kind = PolicyKind::kMerge}, later), Decision::kMerge);
}

TEST(DecideAgainTest, DeletesGoByTheTablesRule) {
  LoggedConflict deleted_later = Rows(/*remote=*/20, /*local=*/10);
  deleted_later.remote_operation = ChangeKind::kDelete;
  for (const PolicyKind kind : {PolicyKind::kMerge, PolicyKind::kVersions}) {
    EXPECT_EQ(With({.kind = kind}, deleted_later), Decision::kApplyRemote);
    EXPECT_EQ(With({.kind = kind, .on_delete = OnDelete::kUpdateWins}, deleted_later),
              Decision::kKeepLocal);
  }
}

TEST(DecideAgainTest, OperationsAreTheLogsWords) {
  EXPECT_EQ(OperationOf("insert"), ChangeKind::kInsert);
  EXPECT_EQ(OperationOf("update"), ChangeKind::kUpdate);
  EXPECT_EQ(OperationOf("row"), ChangeKind::kUpdate);
  EXPECT_EQ(OperationOf("delete"), ChangeKind::kDelete);
  EXPECT_EQ(OperationOf("truncate"), ChangeKind::kTruncate);
}

}  // namespace
}  // namespace pgduet
