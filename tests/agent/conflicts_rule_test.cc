#include "agent/commands/conflicts_rule.h"

#include <gtest/gtest.h>

namespace pgduet {
namespace {

Json Entry(const char* winner, const char* remote_time, const char* local_time) {
  const bool remote_won = std::string(winner) == "remote";
  return {{"policy", "last_write_wins"},
          {"winner", winner},
          {"decision", remote_won ? "apply_remote" : "keep_local"},
          {"winner_region", remote_won ? "west" : "east"},
          {"remote_region", "west"},
          {"remote_time", remote_time},
          {"local_operation", "row"},
          {"local_region", "east"},
          {"local_time", local_time}};
}

TEST(RuleTextTest, TellsByHowMuchTheWinnerWasLater) {
  EXPECT_EQ(RuleText(Entry("remote", "2026-11-24T04:00:01.25+00:00", "2026-11-24T04:00:01+00:00")),
            "last_write_wins: the later commit wins; west committed 0.250000 s after east");
  EXPECT_EQ(
      RuleText(Entry("local", "2026-11-24T04:00:00+00:00", "2026-11-24T04:01:00.000001+00:00")),
      "last_write_wins: the later commit wins; east committed 60.000001 s after west");
}

TEST(RuleTextTest, SaysWhatBecameOfARowWithoutItsParent) {
  Json entry = Entry("local", "2026-11-24T04:00:00+00:00", "2026-11-24T04:01:00+00:00");
  entry["policy"] = "on_orphan";
  entry["decision"] = "report";
  EXPECT_EQ(RuleText(entry),
            "on_orphan: west deleted the row that this one refers to; this row stays without it");
  entry["decision"] = "delete_child";
  EXPECT_EQ(RuleText(entry),
            "on_orphan: west deleted the row that this one refers to; this row was deleted, too");
  entry["decision"] = "revive_parent";
  EXPECT_EQ(RuleText(entry),
            "on_orphan: west deleted the row that this one refers to; that row was written back");
}

TEST(RuleTextTest, EqualTimesNameTheOrderOfRegions) {
  EXPECT_EQ(
      RuleText(Entry("remote", "2026-11-24T04:00:01.25+00:00", "2026-11-24T04:00:01.25+00:00")),
      "last_write_wins: equal commit times; west stands later in the list of regions than east");
}

TEST(RuleTextTest, WhatHadNoVersionIsSaid) {
  Json entry = Entry("remote", "2026-11-24T04:00:01+00:00", "");
  entry["local_time"] = nullptr;
  EXPECT_EQ(RuleText(entry),
            "last_write_wins: the local row is older than the attachment and has no version");
  entry["local_operation"] = nullptr;
  EXPECT_EQ(RuleText(entry),
            "nothing was known here under this key: the remote change was applied");
}

TEST(RuleTextTest, AnotherPolicyIsNamedAndNotExplainedByClocks) {
  Json entry = Entry("local", "2026-11-24T04:00:01+00:00", "2026-11-24T04:00:00+00:00");
  entry["policy"] = "region_priority";
  EXPECT_EQ(RuleText(entry), "region_priority: the write of east stays");
  entry["policy"] = "versions";
  EXPECT_EQ(RuleText(entry),
            "versions: both are kept ('pgduet siblings show'); the table shows the write of east");
  entry["policy"] = "merge";
  EXPECT_EQ(RuleText(entry), "merge decided");
}

TEST(RuleTextTest, AMergedRowIsNobodys) {
  Json entry = Entry("local", "2026-11-24T04:00:01+00:00", "2026-11-24T04:00:00+00:00");
  entry["decision"] = "merge";
  entry["policy"] = "merge";
  EXPECT_EQ(RuleText(entry), "merge: every column by its own rule");
  entry["policy"] = "custom";
  EXPECT_EQ(RuleText(entry), "custom: the table's function made the row");
}

TEST(TimeOfTest, InfinityAndNullAreNoTimes) {
  EXPECT_FALSE(TimeOf(Json(nullptr)));
  EXPECT_FALSE(TimeOf(Json("infinity")));
  EXPECT_FALSE(TimeOf(Json("-infinity")));
  EXPECT_EQ(TimeOf(Json("1970-01-01T00:00:00.000001+00:00")), absl::FromUnixMicros(1));
}

}  // namespace
}  // namespace pgduet
