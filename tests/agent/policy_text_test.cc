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
  config.tables = {
      {.schema = "public", .name = "b", .policy = "last_write_wins", .on_delete = "newest_wins"},
      {.schema = "public", .name = "a", .policy = "last_write_wins", .on_delete = "newest_wins"}};
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
  EXPECT_NE(hash, hash_with([](Config& config) { config.tables[0].policy = "merge"; }));
  EXPECT_NE(hash, hash_with([](Config& config) { config.tables[0].on_delete = "delete_wins"; }));
  EXPECT_NE(hash, hash_with([](Config& config) { config.tables[0].on_unique = "park_loser"; }));
  // Files from before the setting existed keep their hash.
  EXPECT_EQ(hash, hash_with([](Config& config) { config.tables[0].on_unique = "stop"; }));
  EXPECT_NE(hash, hash_with([](Config& config) { config.tables[0].schema = "other"; }));
}

TEST(PolicyTextTest, ANameCannotForgeALine) {
  Config config = Sample();
  config.tables = {
      {.schema = "public", .name = "a\nregion.9=x\r\\", .policy = "p", .on_delete = "d"}};
  const std::string text = CanonicalPolicyText(config);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3 + 2 + 2);
  EXPECT_NE(text.find(R"(a\nregion.9=x\r\\)"), std::string::npos);
}

}  // namespace
}  // namespace pgduet
