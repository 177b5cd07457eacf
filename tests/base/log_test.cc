#include "base/log.h"

#include <regex>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/named_error.h"

namespace pgduet {
namespace {

// Settings of the log are the process's: each test sets its own and leaves the defaults.
class LogTest : public testing::Test {
 protected:
  void TearDown() override { ConfigureLog(LogFormat::kLogfmt, LogLevel::kInfo, ""); }

  template <typename Write>
  static std::string Written(Write write) {
    testing::internal::CaptureStderr();
    write();
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(LogTest, ALineHasTimeLevelStageEventRegionAndFields) {
  ConfigureLog(LogFormat::kLogfmt, LogLevel::kInfo, "east");
  const std::string line = Written([] {
    LogInfo("apply", "transaction applied", {{"lsn", "0/16B3748"}, {"changes", "12"}});
  });
  const std::regex expected(
      R"(time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z level=info stage=apply event="transaction applied" region=east lsn=0/16B3748 changes=12\n)");
  EXPECT_TRUE(std::regex_match(line, expected)) << line;
}

TEST_F(LogTest, AnErrorBringsItsNameTextAndRemedy) {
  ConfigureLog(LogFormat::kLogfmt, LogLevel::kInfo, "");
  const absl::Status status = NamedError(absl::StatusCode::kDataLoss, "sequence_gap",
                                         "missing: expected=7", "Look for it.");
  const std::string line = Written([&] { LogError("apply", "stream stopped", status); });
  EXPECT_NE(line.find(R"(level=error)"), std::string::npos);
  EXPECT_NE(line.find(R"(error=sequence_gap message="missing: expected=7" remedy="Look for it.")"),
            std::string::npos)
      << line;
}

TEST_F(LogTest, LevelsBelowTheConfiguredOneAreNotWritten) {
  ConfigureLog(LogFormat::kLogfmt, LogLevel::kWarning, "");
  EXPECT_EQ(Written([] { LogInfo("apply", "not worth it"); }), "");
  EXPECT_NE(Written([] { LogWarning("apply", "worth it"); }), "");
  EXPECT_FALSE(LogEnabled(LogLevel::kInfo));
  EXPECT_TRUE(LogEnabled(LogLevel::kError));
}

// Text from a database or a peer must not be able to forge a line or speak to the terminal.
TEST_F(LogTest, ControlCharactersStayInsideTheirValue) {
  ConfigureLog(LogFormat::kLogfmt, LogLevel::kInfo, "");
  for (const char* value : {"a\nlevel=error", "a\rb", "a\x1b[2Jb", "a\"b", "a\\b"}) {
    const std::string line = Written([&] { LogInfo("apply", "event", {{"value", value}}); });
    EXPECT_EQ(line.find_first_of("\n\r\x1b"), line.size() - 1) << testing::PrintToString(line);
    EXPECT_NE(line.find("value=\"a"), std::string::npos) << line;
  }
}

TEST_F(LogTest, JsonLinesAreJson) {
  ConfigureLog(LogFormat::kJson, LogLevel::kInfo, "east");
  const std::string line = Written([] {
    LogInfo("apply", "event", {{"value", "a \"b\"\n\\ \x01"}});
  });
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json.at("value"), "a \"b\"\n\\ \x01");
  EXPECT_EQ(json.at("region"), "east");
  EXPECT_EQ(json.at("level"), "info");
}

}  // namespace
}  // namespace pgduet
