#include "agent/config.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/named_error.h"
#include "tests/agent/config_samples.h"

namespace pgduet {
namespace {

class LoadConfigTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  void Write(const std::string& text) { std::ofstream(path_, std::ios::binary) << text; }
  const std::string path_ =
      testing::TempDir() + "pgduet-unit-" + std::to_string(getpid()) + ".yaml";
};

TEST_F(LoadConfigTest, AFileIsReadAndRemembersItsPath) {
  Write(kSoundConfig);
  const auto config = LoadConfig(path_, EnvironmentOf({}), "main");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->path, path_);
  EXPECT_EQ(config->group, "shop");
}

TEST_F(LoadConfigTest, AllProblemsAreInOneErrorOneALine) {
  Write("group: Shop\nregions: {}\ntables: {}\n");
  const auto config = LoadConfig(path_, EnvironmentOf({}), "main");
  EXPECT_EQ(ErrorName(config.status()), "invalid_config");
  EXPECT_THAT(std::string(config.status().message()),
              testing::AllOf(testing::HasSubstr(path_ + ":1: group"),
                             testing::HasSubstr("too few regions: 0"), testing::HasSubstr("\n")));
}

TEST_F(LoadConfigTest, AMissingFileAndAFolderAreUnreadable) {
  EXPECT_EQ(ErrorName(LoadConfig(path_, EnvironmentOf({}), "main").status()), "config_unreadable");
  EXPECT_EQ(ErrorName(LoadConfig(testing::TempDir(), EnvironmentOf({}), "main").status()),
            "config_unreadable");
}

TEST(ConfigTest, TableNamesAreQuotedForSqlAndPlainForPeople) {
  const TableConfig table{.schema = "My Schema", .name = "a\"b"};
  EXPECT_EQ(table.QuotedName(), "\"My Schema\".\"a\"\"b\"");
  EXPECT_EQ(table.QualifiedName(), "My Schema.a\"b");
}

TEST(ConfigTest, TheAdminConninfoIsTheAgentsWhenNoneIsGiven) {
  EXPECT_EQ((RegionConfig{.postgres = "a"}.admin_conninfo()), "a");
  EXPECT_EQ((RegionConfig{.postgres = "a", .postgres_admin = "b"}.admin_conninfo()), "b");
}

TEST(ConfigTest, AProblemNamesFileLineKeyTextAndRemedyAsFarAsThereAre) {
  EXPECT_EQ((ConfigProblem{7, "group", "wrong", "mend it"}.ToString("p.yaml")),
            "p.yaml:7: group: wrong; mend it");
  EXPECT_EQ((ConfigProblem{0, "", "wrong", ""}.ToString("p.yaml")), "p.yaml: wrong");
}

}  // namespace
}  // namespace pgduet
