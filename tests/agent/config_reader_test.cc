#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/config_samples.h"

namespace pgduet {
namespace {

TEST(ConfigReaderTest, ASoundFileGivesItsValuesAndTheDefaults) {
  const ParsedConfig parsed = Parsed(kSoundConfig);
  EXPECT_TRUE(parsed.problems.empty()) << ProblemsOf(kSoundConfig);
  const Config& config = parsed.config;
  EXPECT_EQ(config.group, "shop");
  EXPECT_EQ(config.set, "main");
  EXPECT_EQ(config.transport, TransportKind::kKafka);
  ASSERT_EQ(config.regions.size(), 2u);
  EXPECT_EQ(config.regions[0].name, "us-east");
  EXPECT_EQ(config.regions[0].kafka_brokers, "k1:9092");
  EXPECT_EQ(config.regions[0].http, "127.0.0.1:9187");
  EXPECT_EQ(config.kafka_retention_min, absl::Hours(7 * 24));
  EXPECT_EQ(config.kafka_replication_factor, -1);
  EXPECT_EQ(config.max_clock_skew, absl::Seconds(5));
  ASSERT_EQ(config.tables.size(), 1u);
  EXPECT_EQ(config.tables[0].QualifiedName(), "public.accounts");
  EXPECT_EQ(config.tables[0].policy, TablePolicy());
}

TEST(ConfigReaderTest, RanksAreThePlacesInTheFileAndTablesAreSorted) {
  const ParsedConfig parsed =
      Parsed(SoundWith("public.accounts: {}", "z.a: {}\n  a.z: {}\n  a.b:"));
  ASSERT_TRUE(parsed.problems.empty());
  EXPECT_EQ(parsed.config.FindRegion("eu-west")->rank, 1);
  EXPECT_EQ(parsed.config.FindRegion("nowhere"), nullptr);
  std::vector<std::string> names;
  for (const TableConfig& table : parsed.config.tables) names.push_back(table.QualifiedName());
  EXPECT_THAT(names, testing::ElementsAre("a.b", "a.z", "z.a"));
}

TEST(ConfigReaderTest, VariablesOfTheEnvironmentAreReplaced) {
  const std::string text =
      SoundWith("host=a dbname=shop user=pgduet", "host=${HOST} dbname=${DB:-shop} user=$${x}");
  const ParsedConfig parsed = Parsed(text, EnvironmentOf({{"HOST", "db1"}}));
  ASSERT_TRUE(parsed.problems.empty());
  EXPECT_EQ(parsed.config.regions[0].postgres, "host=db1 dbname=shop user=${x}");
  EXPECT_THAT(
      ProblemsOf(text),
      testing::HasSubstr(
          "pgduet.yaml:3: regions.us-east.postgres: the environment variable HOST is not set"));
}

struct Mistake {
  const char* name;
  const char* piece;  // of the sound file, and what stands there instead
  const char* replacement;
  const char* problem;
};

const Mistake kMistakes[] = {
    {"UnknownKey", "group: shop", "group: shop\ntransprot: direct",
     "pgduet.yaml:2: transprot: unknown key; did you mean 'transport'?"},
    {"UnknownKeyFarFromAll", "group: shop", "group: shop\nx1y2z3w4: 1",
     "x1y2z3w4: unknown key; the keys here are: group, transport"},
    {"KeyOfALaterVersion", "accounts: {}", "accounts: {owner: us-east}",
     "owner: this setting is not available in this version; remove it"},
    {"DuplicateKey", "group: shop", "group: shop\ngroup: other",
     "pgduet.yaml:2: group: duplicate key, first on line 1"},
    {"MissingGroup", "group: shop\n", "", "group: the setting is missing; add 'group: shop'"},
    {"GroupName", "group: shop", "group: Shop", "group: not a group name: 'Shop'"},
    {"GroupIsAList", "group: shop", "group: [a]", "group: the value must be a single one"},
    {"GroupWithoutValue", "group: shop", "group:", "group: the value is missing"},
    {"Transport", "group: shop", "group: shop\ntransport: pigeon",
     "transport: unknown transport: 'pigeon'; use 'kafka' or 'direct'"},
    {"MissingPostgres", "postgres: \"host=a dbname=shop user=pgduet\", ", "",
     "regions.us-east.postgres: the setting is missing"},
    {"Conninfo", "host=a dbname=shop", "host=a dbnam=shop",
     "regions.us-east.postgres: bad connection string: invalid connection option"},
    {"ConninfoWithoutDatabase", "host=a dbname=shop", "host=a", "it names no database"},
    {"MissingBrokers", ", kafka: {brokers: \"k1:9092\"}", "",
     "regions.us-east.kafka.brokers: the setting is missing"},
    {"Brokers", "k1:9092", "k1:9092,k2", "not a list of brokers: 'k1:9092,k2'"},
    {"RegionName", "us-east:", "US_east:", "regions.US_east: not a region name"},
    {"ReservedRegionName", "us-east:", "local:", "the region name 'local' is reserved"},
    {"RegionIsNoMapping",
     "{postgres: \"host=a dbname=shop user=pgduet\", kafka: {brokers: \"k1:9092\"}}", "x",
     "regions.us-east: the value must be a mapping"},
    {"DuplicateRegion", "eu-west:", "us-east:", "regions.us-east: duplicate key, first on line 3"},
    {"OneRegion",
     "  eu-west: {postgres: \"host=b dbname=shop user=pgduet\", kafka: {brokers: \"k2:9092\"}}\n",
     "", "regions: too few regions: 1"},
    {"OneDatabaseForTwo", "host=b dbname=shop", "host=a dbname=shop port=5432",
     "regions.eu-west.postgres: the same database as region us-east"},
    {"NoTable", "  public.accounts: {}\n", "", "tables: no table is listed"},
    {"TableWithoutSchema", "public.accounts", "accounts",
     "tables.accounts: not a table name: the schema is missing"},
    {"DuplicateTable", "public.accounts: {}", "public.a: {}\n  '\"public\".a': {}",
     "duplicate table, first on line 6"},
    {"OwnSchema", "public.accounts", "pgduet.conflict", "tables of schema pgduet cannot replicate"},
    {"PolicyOfALaterVersion", "accounts: {}", "accounts: {policy: owner}",
     "policy 'owner' is not available in this version"},
    {"UnknownPolicy", "accounts: {}", "accounts: {policy: best}",
     "pgduet.yaml:6: tables.public.accounts.policy: unknown policy: 'best'; use last_write_wins, "
     "first_write_wins, region_priority, versions, merge, custom or error\n"},
    {"BatchTransactions", "group: shop", "group: shop\napply: {batch_transactions: 10001}",
     "apply.batch_transactions: not a number of transactions: '10001'; use 1 to 10000"},
    {"ConflictKeep", "group: shop", "group: shop\nconflict_log: {keep: 10s}",
     "conflict_log.keep: duration out of bounds: '10s'; use 1m to 3650d"},
    {"ConflictRows", "group: shop", "group: shop\nconflict_log: {max_rows: many}",
     "conflict_log.max_rows: not a number of rows: 'many'"},
    {"ConflictTopic", "group: shop", "group: shop\nconflict_log: {topic: maybe}",
     "conflict_log.topic: not a truth value: 'maybe'; use true or false"},
    {"ClockSkew", "group: shop", "group: shop\ndefaults: {max_clock_skew: 2h}",
     "duration out of bounds: '2h'; use 100ms to 1h"},
    {"Duration", "group: shop", "group: shop\nkafka: {retention_min: week}",
     "not a duration: 'week'"},
    {"ReplicationFactor", "group: shop", "group: shop\nkafka: {replication_factor: 0}",
     "not a replication factor: '0'"},
    {"OurKafkaProperty", "group: shop", "group: shop\nkafka: {properties: {acks: 1}}",
     "kafka.properties.acks: this setting belongs to pgduet"},
    {"UnknownKafkaProperty", "group: shop", "group: shop\nkafka: {properties: {akcs: 1}}",
     "librdkafka does not know this setting"},
    {"Syntax", "group: shop", "group: [shop", "not valid YAML"},
};

class MistakeTest : public testing::TestWithParam<Mistake> {};

TEST_P(MistakeTest, IsNamedWithItsPlace) {
  EXPECT_THAT(ProblemsOf(SoundWith(GetParam().piece, GetParam().replacement)),
              testing::HasSubstr(GetParam().problem));
}

INSTANTIATE_TEST_SUITE_P(ConfigReaderTest, MistakeTest, testing::ValuesIn(kMistakes),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(ConfigReaderTest, AllProblemsComeAtOnceInTheOrderOfTheFile) {
  const std::string problems = ProblemsOf(
      "group: Shop\nregions:\n  A: {postgres: x}\ntables:\n  accounts: {policy: best}\n");
  size_t at = 0;
  for (const char* expected :
       {"pgduet.yaml:1: group", "pgduet.yaml:3: regions.A: not a region name",
        "pgduet.yaml:3: regions.A.postgres: bad", "pgduet.yaml:5: tables.accounts"}) {
    const size_t found = problems.find(expected, at);
    ASSERT_NE(found, std::string::npos) << expected << " after " << at << " in\n" << problems;
    at = found;
  }
}

TEST(ConfigReaderTest, WhatIsNoMappingIsToldSo) {
  for (const char* text : {"", "- a\n- b\n", "just text"}) {
    EXPECT_THAT(ProblemsOf(text), testing::HasSubstr("the file is not a mapping of settings"))
        << text;
  }
}

TEST(ConfigReaderTest, OneDatabaseNameOnTwoHostsOfTheirOwnIsFineWithKafkaAndWrongWithDirect) {
  std::string text = SoundWith("host=a", "host=/var/run/postgresql");
  text.replace(text.find("host=b"), 6, "host=/var/run/postgresql");
  EXPECT_EQ(ProblemsOf(text), "");
  EXPECT_THAT(ProblemsOf("transport: direct\n" + text),
              testing::HasSubstr("the same database as region us-east"));
}

TEST(ConfigReaderTest, ThirtyTwoRegionsAreTheMost) {
  const auto with_regions = [](int count) {
    std::string text = "group: g\ntransport: direct\nregions:\n";
    for (int i = 0; i < count; ++i)
      text += fmt::format("  r{}: {{postgres: \"host=h{} dbname=d\"}}\n", i, i);
    return ProblemsOf(text + "tables: {public.t: {}}\n");
  };
  EXPECT_EQ(with_regions(32), "");
  EXPECT_THAT(with_regions(33), testing::HasSubstr("regions.r32: more than 32 regions"));
  EXPECT_THAT(with_regions(300), testing::HasSubstr("regions.r32: more than 32 regions"));
}

TEST(ConfigReaderTest, NoProblemShowsAPassword) {
  for (const char* bad :
       {"host=a dbname=shop password='secret", "host=a dbnam=shop password=secret",
        "postgresql://u:secret@[::1/shop", "host=a password=secret"}) {
    const std::string problems = ProblemsOf(SoundWith("host=a dbname=shop user=pgduet", bad));
    EXPECT_NE(problems, "") << bad;
    EXPECT_THAT(problems, testing::Not(testing::HasSubstr("secret"))) << bad;
  }
}

}  // namespace
}  // namespace pgduet
