#include "agent/config_values.h"

#include <gtest/gtest.h>

#include "tests/agent/config_samples.h"

namespace pgduet {
namespace {

TEST(DurationTextTest, NumbersWithUnitsAddUp) {
  EXPECT_EQ(ParseDurationText("500ms"), absl::Milliseconds(500));
  EXPECT_EQ(ParseDurationText("90s"), absl::Seconds(90));
  EXPECT_EQ(ParseDurationText("1h30m"), absl::Minutes(90));
  EXPECT_EQ(ParseDurationText("7d"), absl::Hours(168));
  EXPECT_EQ(ParseDurationText("0s"), absl::ZeroDuration());
}

TEST(DurationTextTest, OtherTextsAreNone) {
  for (const char* text :
       {"", "5", "s", "-5s", "5 s", "5s ", "1.5h", "5x", "5S", "99999999999999999999s"}) {
    EXPECT_EQ(ParseDurationText(text), std::nullopt) << text;
  }
}

TEST(DurationTextTest, TheShortestTextComesBack) {
  EXPECT_EQ(DurationText(absl::Seconds(90)), "1m30s");
  EXPECT_EQ(DurationText(absl::Hours(168)), "7d");
  EXPECT_EQ(DurationText(absl::ZeroDuration()), "0s");
  for (const int64_t ms : {1, 999, 1'000, 61'001, 3'600'000, 90'061'001}) {
    EXPECT_EQ(ParseDurationText(DurationText(absl::Milliseconds(ms))), absl::Milliseconds(ms))
        << ms;
  }
}

void ExpectTable(const char* text, const char* schema, const char* name) {
  const TableNameText table = ParseTableName(text);
  EXPECT_EQ(table.fault, "") << text;
  EXPECT_EQ(table.schema, schema);
  EXPECT_EQ(table.name, name);
}

TEST(TableNameTest, PlainAndQuotedNamesAsInSql) {
  ExpectTable("public.stock", "public", "stock");
  ExpectTable(R"("My Schema"."Tab.le")", "My Schema", "Tab.le");
  ExpectTable(R"(public."a""b")", "public", "a\"b");
  ExpectTable("s_1.t$2", "s_1", "t$2");
  ExpectTable("straße.größe", "straße", "größe");
}

TEST(TableNameTest, WhatSqlWouldFoldOrNotReadIsAFault) {
  for (const char* text : {"", "stock", ".stock", "public.", "public.Stock", "a.b.c", "\"a.b",
                           "\"\".b", "a b.c", "1a.b", "a.\"b\"c"}) {
    EXPECT_NE(ParseTableName(text).fault, "") << text;
  }
  EXPECT_EQ(ParseTableName("public." + std::string(63, 'x')).fault, "");
  EXPECT_NE(ParseTableName("public." + std::string(64, 'x')).fault, "");
  EXPECT_NE(ParseTableName(std::string_view("a.\"b\0c\"", 7)).fault, "");
}

TEST(HostPortTest, NamesAddressesAndBrackets) {
  EXPECT_EQ(ParseHostPort("k1:9092")->host, "k1");
  EXPECT_EQ(ParseHostPort("k1:9092")->port, 9092);
  EXPECT_EQ(ParseHostPort("[::1]:1")->host, "::1");
  EXPECT_EQ(ParseHostPort("127.0.0.1:65535")->port, 65535);
  for (const char* text : {"", "k1", ":9092", "k1:", "k1:0", "k1:65536", "k1:x", "k1:1x",
                           "::1:9092", "[]:1", "k1:-1"}) {
    EXPECT_FALSE(ParseHostPort(text).has_value()) << text;
  }
}

TEST(ConninfoTest, KeywordsAndUrisAreFine) {
  EXPECT_EQ(ConninfoFault("host=/tmp dbname=shop"), "");
  EXPECT_EQ(ConninfoFault("postgresql://u:p@h:5433/shop?sslmode=require"), "");
}

TEST(ConninfoTest, FaultsSayWhatIsWrongAndNoValue) {
  EXPECT_EQ(ConninfoFault("host=/tmp"), "it names no database");
  EXPECT_EQ(ConninfoFault("dbname=x replication=database"), "it must not set 'replication'");
  EXPECT_EQ(ConninfoFault("dbname=x client_encoding=LATIN1"),
            "it must not set 'client_encoding': pgduet uses UTF8");
  EXPECT_EQ(ConninfoFault("dbnam=x"), "invalid connection option \"dbnam\"");
  EXPECT_EQ(ConninfoFault("password='secret"), "it is not a libpq connection string");
}

TEST(ConninfoTest, SecretsAreMasked) {
  EXPECT_EQ(MaskConninfo("host=h dbname=d password=secret").find("secret"), std::string::npos);
  EXPECT_NE(MaskConninfo("host=h dbname=d password=secret").find("password=***"),
            std::string::npos);
  EXPECT_EQ(MaskConninfo("postgresql://u:secret@h/d").find("secret"), std::string::npos);
  EXPECT_EQ(MaskConninfo("password='secret"), "***");
  EXPECT_NE(MaskConninfo("host=h dbname=d").find("host=h"), std::string::npos);
}

TEST(ConninfoTest, TheTargetIsHostPortAndDatabase) {
  EXPECT_EQ(ConninfoTarget("host=h dbname=d"), "h:5432/d");
  EXPECT_EQ(ConninfoTarget("hostaddr=10.0.0.1 port=6 dbname=d user=a"),
            ConninfoTarget("hostaddr=10.0.0.1 port=6 dbname=d user=b"));
  EXPECT_NE(ConninfoTarget("host=h port=1 dbname=d"), ConninfoTarget("host=h port=2 dbname=d"));
  EXPECT_EQ(ConninfoValue("host=h dbname=d", "user"), "");
}

TEST(SubstituteTest, NamesDefaultsAndEscapes) {
  const Environment environment = EnvironmentOf({{"A", "1"}, {"EMPTY", ""}});
  EXPECT_EQ(SubstituteEnvironment("x${A}y", environment).text, "x1y");
  EXPECT_EQ(SubstituteEnvironment("${A:-2}", environment).text, "1");
  EXPECT_EQ(SubstituteEnvironment("${B:-2}", environment).text, "2");
  EXPECT_EQ(SubstituteEnvironment("${EMPTY:-2}", environment).text, "2");
  EXPECT_EQ(SubstituteEnvironment("${EMPTY}", environment).text, "");
  EXPECT_EQ(SubstituteEnvironment("$${A} $5", environment).text, "${A} $5");
}

TEST(SubstituteTest, AReplacementIsNotReplacedAgain) {
  EXPECT_EQ(SubstituteEnvironment("${A}", EnvironmentOf({{"A", "${B}"}, {"B", "no"}})).text,
            "${B}");
}

TEST(SubstituteTest, MissingVariablesAndBrokenFormsAreFaults) {
  const Environment environment = EnvironmentOf({});
  EXPECT_EQ(SubstituteEnvironment("${B}", environment).fault,
            "the environment variable B is not set");
  for (const char* text : {"${", "${A", "${}", "${1A}", "${A B}"}) {
    EXPECT_NE(SubstituteEnvironment(text, environment).fault, "") << text;
  }
}

}  // namespace
}  // namespace pgduet
