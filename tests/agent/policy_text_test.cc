#include "agent/policy_text.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace pgduet {
namespace {

Config Sample() {
  Config config;
  config.group = "shop";
  config.regions = {{.name = "us-east", .rank = 0, .postgres = "host=a"},
                    {.name = "eu-west", .rank = 1, .postgres = "host=b"}};
  config.tables = {{.schema = "public", .name = "b"}, {.schema = "public", .name = "a"}};
  return config;
}

TEST(PolicyTextTest, HasOneSettingALine) {
  EXPECT_EQ(CanonicalPolicyText(Sample()),
            "protocol=1\ngroup=shop\nset=main\nregion.0=us-east\nregion.1=eu-west\n"
            "table.\"public\".\"a\".policy=last_write_wins\ntable.\"public\".\"a\".on_delete="
            "newest_wins\n"
            "table.\"public\".\"b\".policy=last_write_wins\ntable.\"public\".\"b\".on_delete="
            "newest_wins\n");
}

TEST(PolicyTextTest, TheOrderOfTablesInTheFileDoesNotMatter) {
  Config other = Sample();
  std::reverse(other.tables.begin(), other.tables.end());
  EXPECT_EQ(CanonicalPolicyText(other), CanonicalPolicyText(Sample()));
  EXPECT_EQ(PolicyHash(other), PolicyHash(Sample()));
}

TEST(PolicyTextTest, WhatOnlyOneRegionNeedsDoesNotMatter) {
  Config other = Sample();
  other.regions[0].postgres = "host=elsewhere";
  other.regions[0].http = "off";
  other.conflict_keep = absl::Hours(1);
  other.conflict_max_rows = 1;
  other.kafka_properties["compression.codec"] = "lz4";
  EXPECT_EQ(PolicyHash(other), PolicyHash(Sample()));
}

TEST(PolicyTextTest, EverythingThatDecidesConflictsMatters) {
  const auto hash_with = [](auto change) {
    Config config = Sample();
    change(config);
    return PolicyHash(config);
  };
  const uint64_t hash = PolicyHash(Sample());
  EXPECT_NE(hash, hash_with([](Config& config) { config.group = "shop2"; }));
  EXPECT_NE(hash, hash_with([](Config& config) { config.set = "other"; }));
  EXPECT_NE(hash, hash_with([](Config& config) {
              std::swap(config.regions[0].name, config.regions[1].name);
            }));
  EXPECT_NE(hash, hash_with([](Config& config) { config.tables.pop_back(); }));
  EXPECT_NE(hash,
            hash_with([](Config& config) { config.tables[0].policy.kind = PolicyKind::kMerge; }));
  EXPECT_NE(hash, hash_with([](Config& config) {
              config.tables[0].policy.on_delete = OnDelete::kDeleteWins;
            }));
  EXPECT_NE(hash, hash_with([](Config& config) { config.tables[0].on_unique = "park_loser"; }));
  // Files from before the setting existed keep their hash.
  EXPECT_EQ(hash, hash_with([](Config& config) { config.tables[0].on_unique = "stop"; }));
  EXPECT_NE(hash,
            hash_with([](Config& config) { config.tables[0].on_orphan = OnOrphan::kDeleteChild; }));
  EXPECT_EQ(hash,
            hash_with([](Config& config) { config.tables[0].on_orphan = OnOrphan::kReport; }));
  EXPECT_NE(hash, hash_with([](Config& config) { config.tables[0].schema = "other"; }));
}

std::string LinesBeyond(const Config& config) {
  std::string text = CanonicalPolicyText(config);
  const size_t at = text.find(".on_delete=newest_wins\n");
  return at == std::string::npos ? text : text.substr(at + 23);
}

TEST(PolicyTextTest, WhatIsNotTheDefaultStandsBehindItsTable) {
  Config config = Sample();
  config.tables = {{.schema = "public", .name = "a"}};
  TablePolicy& policy = config.tables[0].policy;
  EXPECT_EQ(LinesBeyond(config), "");
  policy.kind = PolicyKind::kRegionPriority;
  policy.priority = {1, 0};
  EXPECT_EQ(LinesBeyond(config), "table.\"public\".\"a\".priority=eu-west,us-east\n");
  policy = {.kind = PolicyKind::kCustom, .function = "\"shop\".\"f\""};
  EXPECT_EQ(LinesBeyond(config), "table.\"public\".\"a\".function=\"shop\".\"f\"\n");
  policy.function_timeout_ms = 250;
  EXPECT_EQ(LinesBeyond(config),
            "table.\"public\".\"a\".function=\"shop\".\"f\"\n"
            "table.\"public\".\"a\".function_timeout=250ms\n");
}

TEST(PolicyTextTest, ColumnsAndGroupsAreSortedAndLatestIsTheDefault) {
  Config config = Sample();
  config.tables = {{.schema = "public", .name = "a"}};
  TablePolicy& policy = config.tables[0].policy;
  policy = {
      .kind = PolicyKind::kMerge,
      .columns = {{"n", ColumnKind::kCounter}, {"l", ColumnKind::kLatest}, {"b", ColumnKind::kMax}},
      .groups = {{"z", "y"}, {"x", "d\"q"}}};
  EXPECT_EQ(LinesBeyond(config),
            "table.\"public\".\"a\".column.\"b\"=max\n"
            "table.\"public\".\"a\".column.\"n\"=counter\n"
            "table.\"public\".\"a\".group=\"d\"\"q\",\"x\"\n"
            "table.\"public\".\"a\".group=\"y\",\"z\"\n");
  Config other = config;
  std::reverse(other.tables[0].policy.columns.begin(), other.tables[0].policy.columns.end());
  std::reverse(other.tables[0].policy.groups.begin(), other.tables[0].policy.groups.end());
  std::erase_if(other.tables[0].policy.columns,
                [](const ColumnPolicy& one) { return one.kind == ColumnKind::kLatest; });
  EXPECT_EQ(PolicyHash(other), PolicyHash(config));
}

// What version 0.1 gave for this configuration: peers that run it must not see another hash.
TEST(PolicyTextTest, TheHashOfAFileWithoutNewSettingsIsTheOldOne) {
  EXPECT_EQ(PolicyHash(Sample()), 0xf1492029605ce9d9u);
}

TEST(PolicyTextTest, ANameOfAColumnCannotForgeALine) {
  Config config = Sample();
  config.tables = {{.schema = "public", .name = "a"}};
  config.tables[0].policy = {.kind = PolicyKind::kMerge,
                             .columns = {{"a\nregion.9=x", ColumnKind::kCounter}},
                             .groups = {{"b\nc", "d"}}};
  const std::string text = CanonicalPolicyText(config);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3 + 2 + 2 + 2);
}

TEST(PolicyTextTest, ANameCannotForgeALine) {
  Config config = Sample();
  config.tables = {{.schema = "public", .name = "a\nregion.9=x\r\\"}};
  const std::string text = CanonicalPolicyText(config);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3 + 2 + 2);
  EXPECT_NE(text.find(R"(a\nregion.9=x\r\\)"), std::string::npos);
}

}  // namespace
}  // namespace pgduet
