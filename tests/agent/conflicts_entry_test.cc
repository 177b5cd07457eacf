// What is pure in it; the queries are for the integration tests.
#include "agent/commands/conflicts_entry.h"

#include <gtest/gtest.h>

namespace pgduet {
namespace {

TEST(ShownTest, KeepsWhatFitsOneLine) {
  EXPECT_EQ(Shown("ada"), "ada");
  EXPECT_EQ(Shown(std::string(100, 'x')), std::string(100, 'x'));
}

TEST(ShownTest, EscapesWhatWouldBreakTheLineOrTheTerminal) {
  EXPECT_EQ(Shown("a\nb\tc\x1b[31m\x7f"), "a\\nb\\tc\\x1b[31m\\x7f");
}

TEST(ShownTest, CutsByCharactersAndTellsTheSize) {
  std::string umlauts;
  for (int count = 0; count < 101; ++count) umlauts += "ä";
  EXPECT_EQ(Shown(umlauts), umlauts.substr(0, 200) + "... (202 bytes)");
}

TEST(ShortTimeTest, HasThreeDigitsOfASecond) {
  EXPECT_EQ(ShortTime("2026-11-24T04:00:00.123456+00:00"), "2026-11-24T04:00:00.123");
  EXPECT_EQ(ShortTime("2026-11-24T04:00:00.1+00:00"), "2026-11-24T04:00:00.100");
  EXPECT_EQ(ShortTime("2026-11-24T04:00:00+00:00"), "2026-11-24T04:00:00.000");
}

TEST(CellTest, TellsNullFromAbsent) {
  const Json row = {{"name", "ada"}, {"note", nullptr}};
  EXPECT_EQ(Cell(row, "name"), "ada");
  EXPECT_EQ(Cell(row, "note"), "NULL");
  EXPECT_EQ(Cell(row, "other"), "-");
  EXPECT_EQ(Cell(Json(nullptr), "name"), "-");
}

TEST(ConditionOfTest, NumbersItsParametersInTheirOrder) {
  const Condition condition = ConditionOf(
      {.table = "public.t", .kind = {}, .region = "east", .since = "1 hour", .before = 7});
  EXPECT_EQ(condition.sql,
            "WHERE true AND c.\"table\" = $1 AND $2 IN (c.remote_region, c.local_region) AND "
            "c.logged_at >= now() - $3::interval AND c.id < $4::bigint");
  EXPECT_EQ(condition.parameters,
            (std::vector<std::optional<std::string>>{"public.t", "east", "1 hour", "7"}));
}

TEST(ConditionOfTest, ATimeIsNoInterval) {
  EXPECT_EQ(ConditionOf({.until = "2026-11-24"}).sql,
            "WHERE true AND c.logged_at < $1::timestamptz");
  EXPECT_EQ(ConditionOf({.open = true}).sql, "WHERE true AND c.state = 'open'");
}

}  // namespace
}  // namespace pgduet
