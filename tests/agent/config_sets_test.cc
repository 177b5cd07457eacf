#include "agent/config_sets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/policy_set.h"
#include "agent/policy_text.h"
#include "apply/sole_writer.h"
#include "base/named_error.h"
#include "tests/agent/config_samples.h"

namespace pgduet {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kTwoSets[] = R"(group: shop
regions:
  us-east: {postgres: "host=a dbname=shop user=pgduet", kafka: {brokers: "k1:9092"}}
  eu-west: {postgres: "host=b dbname=shop user=pgduet", kafka: {brokers: "k2:9092"}}
sets:
  orders: {http: {us-east: "127.0.0.1:9287"}}
tables:
  public.accounts: {}
  public.lines: {set: orders, policy: merge, columns: {n: counter}}
  public.orders: {set: orders}
)";

Config Of(const std::string& set, const std::string& text = kTwoSets) {
  ParsedConfig parsed = Parsed(text);
  EXPECT_TRUE(parsed.problems.empty()) << ProblemsOf(text);
  absl::StatusOr<Config> config = OfSet(std::move(parsed.config), set);
  EXPECT_TRUE(config.ok()) << config.status();
  return *std::move(config);
}

std::vector<std::string> NamesOf(const std::vector<TableConfig>& tables) {
  std::vector<std::string> names;
  for (const TableConfig& table : tables) names.push_back(table.QualifiedName());
  return names;
}

std::string TwoSetsWith(std::string_view piece, std::string_view replacement) {
  std::string text = kTwoSets;
  return text.replace(text.find(piece), piece.size(), replacement);
}

TEST(ConfigSetsTest, ATableWithoutASetIsInMain) {
  const Config main = Of("main");
  EXPECT_EQ(main.set, "main");
  EXPECT_THAT(NamesOf(main.tables), ElementsAre("public.accounts"));
  EXPECT_THAT(NamesOf(main.others), ElementsAre("public.lines", "public.orders"));
  EXPECT_EQ(main.regions[0].http, "127.0.0.1:9187");
}

TEST(ConfigSetsTest, ASetHasItsTablesAndItsAgentsAddresses) {
  const Config orders = Of("orders");
  EXPECT_EQ(orders.set, "orders");
  EXPECT_THAT(NamesOf(orders.tables), ElementsAre("public.lines", "public.orders"));
  EXPECT_THAT(NamesOf(orders.others), ElementsAre("public.accounts"));
  EXPECT_EQ(orders.regions[0].http, "127.0.0.1:9287");
  EXPECT_EQ(orders.regions[1].http, "off");
}

TEST(ConfigSetsTest, AFileWithoutSetsIsMainAsItWas) {
  const Config whole = Parsed(kSoundConfig).config;
  const Config main = Of("main", kSoundConfig);
  EXPECT_EQ(CanonicalPolicyText(main), CanonicalPolicyText(whole));
  EXPECT_TRUE(main.others.empty());
}

TEST(ConfigSetsTest, TheHashOfASetSaysNothingOfOtherSets) {
  const std::string other_main = TwoSetsWith("accounts: {}", "accounts: {policy: versions}");
  EXPECT_EQ(PolicyHash(Of("orders", other_main)), PolicyHash(Of("orders")));
  EXPECT_NE(PolicyHash(Of("main", other_main)), PolicyHash(Of("main")));
  EXPECT_NE(PolicyHash(Of("orders")), PolicyHash(Of("main")));
}

TEST(ConfigSetsTest, AnUnknownSetIsRefusedByItsName) {
  const absl::StatusOr<Config> config = OfSet(Parsed(kTwoSets).config, "nope");
  EXPECT_EQ(ErrorName(config.status()), "unknown_set");
  EXPECT_THAT(ErrorRemedy(config.status()), HasSubstr("main orders"));
}

TEST(ConfigSetsTest, MainMayBeEmptyButNobodyCanRunIt) {
  const std::string text = TwoSetsWith("accounts: {}", "accounts: {set: orders}");
  EXPECT_EQ(NamesOf(Of("orders", text).tables).size(), 3U);
  EXPECT_EQ(ErrorName(OfSet(Parsed(text).config, "main").status()), "set_without_tables");
}

struct SetMistake {
  const char* piece;
  const char* replacement;
  const char* problem;
};

TEST(ConfigSetsTest, EachMistakeHasItsLineAndItsRemedy) {
  const SetMistake mistakes[] = {
      {"public.orders: {set: orders}", "public.orders: {set: order}",
       "pgduet.yaml:10: tables.public.orders.set: unknown set: 'order'; declare it under 'sets', "
       "or "
       "use one of: main, orders"},
      {"orders: {http", "main: {http",
       "pgduet.yaml:6: sets.main: the set 'main' is always there; remove it"},
      {"orders: {http", "Orders: {http", "pgduet.yaml:6: sets.Orders: not a set name: 'Orders'"},
      {"orders: {http", "conflicts: {http", "the set name 'conflicts' is reserved"},
      {"orders: {http", "main-to-eu-west: {http",
       "a slot would have the name of another set's: set=main slot=pgduet_shop_main_to_eu_west"},
      {"sets:", "sets:\n  empty:",
       "pgduet.yaml:6: sets.empty: the set has no tables; give a table "
       "'set: empty'"},
      {"http: {us-east", "http: {mars", "pgduet.yaml:6: sets.orders.http.mars: unknown region"},
      {"127.0.0.1:9287", "nine", "sets.orders.http.us-east: not an address: 'nine'"},
      {"127.0.0.1:9287", "127.0.0.1:9187", "the address is that of the region's agent"},
      {"public.accounts", "pgduet_orders.accounts",
       "tables of schema pgduet_orders cannot replicate"},
      {"{http: {us-east: \"127.0.0.1:9287\"}}", "{https: off}", "unknown key"},
  };
  for (const SetMistake& mistake : mistakes) {
    EXPECT_THAT(ProblemsOf(TwoSetsWith(mistake.piece, mistake.replacement)),
                HasSubstr(mistake.problem));
  }
}

TEST(ConfigSetsTest, TwoSetsCannotShareAnAddress) {
  std::string text = TwoSetsWith("sets:", "sets:\n  stock: {http: {us-east: \"127.0.0.1:9287\"}}");
  text += "  public.stock: {set: stock}\n";
  EXPECT_THAT(ProblemsOf(text), HasSubstr("the address is another set's"));
}

TEST(ConfigSetsTest, TwoSetsCannotShareTheirLocks) {
  ASSERT_EQ(LockClassOf("set-646"), LockClassOf("set-11535"));  // the first pair that collides
  std::string text = TwoSetsWith("sets:", "sets:\n  set-646: {}\n  set-11535: {}");
  text += "  public.stock: {set: set-646}\n  public.bills: {set: set-11535}\n";
  EXPECT_THAT(ProblemsOf(text), HasSubstr("sets.set-11535: its locks would have the number of "
                                          "another set's: set=set-646"));
}

TEST(ConfigSetsTest, WhatASetStoresOfItsPoliciesLeavesOtherSetsAlone) {
  const Config before = Of("orders");
  const std::string stored = PolicySettingsText(before);
  EXPECT_THAT(stored, testing::Not(HasSubstr("accounts")));
  const Config file = Of(
      "orders", TwoSetsWith("accounts: {}\n  public.lines: {set: orders, policy: merge, columns: "
                            "{n: counter}}",
                            "accounts: {policy: versions}\n  public.lines: {set: orders}"));
  const absl::StatusOr<Config> with = WithPolicySettings(file, stored, CanonicalPolicyText(before));
  ASSERT_TRUE(with.ok()) << with.status();
  EXPECT_EQ(with->set, "orders");
  EXPECT_EQ(with->tables[0].policy.kind, PolicyKind::kMerge);
  ASSERT_EQ(with->others.size(), 1U);
  EXPECT_EQ(with->others[0].policy.kind, PolicyKind::kVersions);
}

}  // namespace
}  // namespace pgduet
