#include "agent/policy_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/policy_text.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr char kGroup[] = R"(
group: shop
transport: direct
regions:
  a: {postgres: "host=a dbname=x password=secret"}
  b: {postgres: "host=b dbname=x"}
)";
constexpr char kFirst[] = R"(
defaults: {max_clock_skew: 7s}
tables:
  public.item: {}
  '"My Schema"."Tab.le"': {policy: merge, columns: {"count er": counter}, groups: [[x, y]]}
)";
constexpr char kSecond[] = R"(
defaults: {policy: region_priority, priority: [b, a], max_clock_skew: 1s}
tables:
  '"My Schema"."Tab.le"': {policy: merge, columns: {"count er": counter, z: max}, groups: [[x, y]]}
  public.item:
)";

Config Parsed(const std::string& tables) {
  ParsedConfig parsed = ParseConfig(std::string(kGroup) + tables, "pgduet.yaml",
                                    [](const std::string&) { return std::nullopt; });
  EXPECT_TRUE(parsed.problems.empty());
  return std::move(parsed.config);
}

TEST(PolicySetTest, AnotherSetTakesThePlaceOfTheFilesOwn) {
  const Config file = Parsed(kFirst), other = Parsed(kSecond);
  const auto both = WithPolicySettings(file, PolicySettingsText(other), CanonicalPolicyText(other));
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_EQ(PolicyHash(*both), PolicyHash(other));
  EXPECT_EQ(both->regions[0].postgres, file.regions[0].postgres);
  EXPECT_EQ(both->max_clock_skew, absl::Seconds(7));  // decides nothing: each file has its own
  const auto back = WithPolicySettings(*both, PolicySettingsText(file), CanonicalPolicyText(file));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(PolicyHash(*back), PolicyHash(file));
}

TEST(PolicySetTest, WhatIsStoredHoldsNoPassword) {
  EXPECT_THAT(PolicySettingsText(Parsed(kFirst)), testing::Not(testing::HasSubstr("secret")));
}

TEST(PolicySetTest, SettingsThatDoNotGiveTheSetAreRefused) {
  const Config file = Parsed(kFirst), other = Parsed(kSecond);
  for (const std::string& settings :
       {PolicySettingsText(file), std::string("tables: ["), std::string("tables: {x: {}}")}) {
    EXPECT_EQ(ErrorName(WithPolicySettings(file, settings, CanonicalPolicyText(other)).status()),
              "policy_set_unreadable");
  }
}

TEST(PolicySetTest, ChangedTablesAreThoseThatAreDecidedInAnotherWay) {
  const Config first = Parsed(kFirst), second = Parsed(kSecond);
  EXPECT_THAT(ChangedTables(first, first), testing::IsEmpty());
  EXPECT_THAT(ChangedTables(first, second),
              testing::ElementsAre(testing::Field(&TableConfig::name, "Tab.le"),
                                   testing::Field(&TableConfig::name, "item")));
  Config only_item = first;
  for (TableConfig& table : only_item.tables) {
    if (table.name == "item") table.policy.kind = PolicyKind::kVersions;
  }
  EXPECT_THAT(ChangedTables(first, only_item),
              testing::ElementsAre(testing::Field(&TableConfig::name, "item")));
}

TEST(PolicySetTest, OnlyPoliciesChangeOnline) {
  const std::string first = CanonicalPolicyText(Parsed(kFirst));
  EXPECT_TRUE(CheckPoliciesAlone(first, CanonicalPolicyText(Parsed(kSecond))).ok());
  Config more = Parsed(kFirst);
  more.tables.push_back({.schema = "public", .name = "third"});
  const absl::Status tables = CheckPoliciesAlone(first, CanonicalPolicyText(more));
  EXPECT_EQ(ErrorName(tables), "policy_change_too_large");
  EXPECT_THAT(std::string(tables.message()), testing::HasSubstr("third"));
  Config regions = Parsed(kFirst);
  std::swap(regions.regions[0].name, regions.regions[1].name);
  EXPECT_EQ(ErrorName(CheckPoliciesAlone(first, CanonicalPolicyText(regions))),
            "policy_change_too_large");
}

}  // namespace
}  // namespace pgduet
