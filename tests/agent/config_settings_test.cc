#include "agent/config_settings.h"

#include <set>
#include <tuple>

#include <gtest/gtest.h>

namespace pgduet {
namespace {

TEST(ConfigSettingsTest, DocumentedExamplesAreTaken) {
  for (const Setting& setting : Settings()) {
    if (setting.assign == nullptr || setting.example.empty()) continue;
    Config config;
    RegionConfig region;
    PolicyDraft policy;
    TableConfig table;
    SettingScope scope{config, &region, &policy, &table};
    EXPECT_FALSE(setting.assign(std::string(setting.example), scope).has_value()) << setting.path;
  }
}

TEST(ConfigSettingsTest, TheDefaultsOfTheTableAreThoseOfTheStructs) {
  const auto assigned = [](std::string_view path) {
    Config config;
    RegionConfig region;
    region.http.clear();
    config.max_clock_skew = config.kafka_retention_min = absl::ZeroDuration();
    config.conflict_keep = absl::ZeroDuration();
    config.conflict_max_rows = config.batch_transactions = 0;
    config.conflict_topic = true;
    PolicyDraft policy;
    TableConfig table;
    SettingScope scope{config, &region, &policy, &table};
    const Setting* setting = FindSetting(path);
    EXPECT_FALSE(setting->assign(std::string(setting->fallback), scope).has_value()) << path;
    return std::tuple(config, region, policy);
  };
  const Config defaults;
  EXPECT_EQ(std::get<Config>(assigned("transport")).transport, defaults.transport);
  EXPECT_EQ(std::get<PolicyDraft>(assigned("defaults/policy")).kind, TablePolicy().kind);
  EXPECT_EQ(std::get<PolicyDraft>(assigned("defaults/on_delete")).on_delete,
            TablePolicy().on_delete);
  EXPECT_EQ(std::get<PolicyDraft>(assigned("defaults/on_unique")).on_unique,
            TableConfig().on_unique);
  EXPECT_EQ(std::get<PolicyDraft>(assigned("defaults/on_orphan")).on_orphan,
            TableConfig().on_orphan);
  EXPECT_EQ(std::get<PolicyDraft>(assigned("tables/*/function_timeout")).function_timeout_ms,
            TablePolicy().function_timeout_ms);
  EXPECT_EQ(std::get<Config>(assigned("defaults/max_clock_skew")).max_clock_skew,
            defaults.max_clock_skew);
  EXPECT_EQ(std::get<Config>(assigned("kafka/retention_min")).kafka_retention_min,
            defaults.kafka_retention_min);
  EXPECT_EQ(std::get<RegionConfig>(assigned("regions/*/http")).http, RegionConfig().http);
  EXPECT_EQ(std::get<Config>(assigned("apply/batch_transactions")).batch_transactions,
            defaults.batch_transactions);
  EXPECT_EQ(std::get<Config>(assigned("conflict_log/topic")).conflict_topic,
            defaults.conflict_topic);
  EXPECT_EQ(std::get<Config>(assigned("conflict_log/keep")).conflict_keep, defaults.conflict_keep);
  EXPECT_EQ(std::get<Config>(assigned("conflict_log/max_rows")).conflict_max_rows,
            defaults.conflict_max_rows);
}

TEST(ConfigSettingsTest, EveryKeyStandsOnceUnderAMappingAndIsExplained) {
  std::set<std::string_view> paths;
  for (const Setting& setting : Settings()) {
    EXPECT_TRUE(paths.insert(setting.path).second) << setting.path;
    EXPECT_FALSE(setting.text.empty()) << setting.path;
    const size_t slash = setting.path.rfind('/');
    if (slash == std::string_view::npos) continue;
    const Setting* above = FindSetting(setting.path.substr(0, slash));
    ASSERT_NE(above, nullptr) << setting.path;
    EXPECT_EQ(above->assign, nullptr) << setting.path;
  }
  EXPECT_EQ(FindSetting("regions/*/nothing"), nullptr);
}

TEST(ConfigSettingsTest, KafkaPropertiesThatCorrectnessRestsOnAreRefused) {
  for (const char* name : {"acks", "enable.idempotence", "auto.offset.reset", "bootstrap.servers",
                           "transactional.id"}) {
    EXPECT_TRUE(CheckKafkaProperty(name, "1").has_value()) << name;
  }
  EXPECT_FALSE(CheckKafkaProperty("compression.codec", "lz4").has_value());
}

TEST(ConfigSettingsTest, ARefusedKafkaValueIsNotShown) {
  const auto fault = CheckKafkaProperty("compression.codec", "s3cret");
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ((fault->what + fault->remedy).find("s3cret"), std::string::npos);
}

TEST(ConfigSettingsTest, SecretKafkaPropertiesAreKnownByName) {
  for (const char* name : {"sasl.password", "ssl.key.password", "ssl.key.pem",
                           "sasl.oauthbearer.client.secret", "sasl.oauthbearer.config"}) {
    EXPECT_TRUE(IsSecretKafkaProperty(name)) << name;
  }
  for (const char* name : {"sasl.username", "compression.codec", "ssl.ca.location"}) {
    EXPECT_FALSE(IsSecretKafkaProperty(name)) << name;
  }
}

}  // namespace
}  // namespace pgduet
