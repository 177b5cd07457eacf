#include "apply/target_table.h"

#include <random>

#include <gtest/gtest.h>

namespace pgduet {
namespace {

TargetTable TableWithKey(TargetColumn column) {
  TargetTable table;
  column.name = "k";
  column.key_index = 0;
  table.columns = {std::move(column)};
  table.source_index = {0};
  table.keys = {0};
  return table;
}

std::string KeyOf(const TargetTable& table, std::string_view text) {
  const std::vector<Value> key = {{ValueKind::kText, text}};
  return KeyText(table, key);
}

TEST(KeyTextTest, NumericKeysThatAreEqualHaveOneText) {
  const TargetTable table = TableWithKey({.numeric = true});
  EXPECT_EQ(KeyOf(table, "1.0"), KeyOf(table, "1.000"));
  EXPECT_EQ(KeyOf(table, "1"), KeyOf(table, "1.0"));
  EXPECT_EQ(KeyOf(table, "100"), KeyOf(table, "100.00"));
  EXPECT_NE(KeyOf(table, "100"), KeyOf(table, "1"));
  EXPECT_NE(KeyOf(table, "1.5"), KeyOf(table, "1.05"));
}

TEST(KeyTextTest, BlanksAtTheEndOfCharacterKeysMeanNothing) {
  const TargetTable padded = TableWithKey({.padded = true});
  EXPECT_EQ(KeyOf(padded, "ab"), KeyOf(padded, "ab   "));
  const TargetTable text = TableWithKey({});
  EXPECT_NE(KeyOf(text, "ab"), KeyOf(text, "ab "));
}

TEST(KeyTextTest, NegativeZeroIsZero) {
  const TargetTable table = TableWithKey({.floating = true});
  EXPECT_EQ(KeyOf(table, "-0"), KeyOf(table, "0"));
}

TEST(KeyTextTest, ValuesComeBackAsTheyWere) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed=" << seed);
  std::mt19937_64 random(seed);
  TargetTable table;
  for (int key = 0; key < 3; ++key) {
    table.columns.push_back({.name = "k", .key_index = key});
    table.source_index.push_back(key);
    table.keys.push_back(key);
  }
  constexpr std::string_view kLetters = "a\"\\,{} \n'é";
  for (int round = 0; round < 500; ++round) {
    std::vector<std::string> texts(3);
    std::vector<Value> values;
    for (std::string& text : texts) {
      for (size_t letter = random() % 6; letter > 0; --letter)
        text.push_back(kLetters[random() % kLetters.size()]);
      values.push_back({ValueKind::kText, text});
    }
    EXPECT_EQ(KeyValues(KeyText(table, values)), texts);
  }
}

TEST(ArrayLiteralTest, QuotesWhatAnArrayWouldMisread) {
  ArrayLiteral literal;
  literal.Add("plain");
  literal.AddNull();
  literal.Add("NULL");
  literal.Add("a\"b\\c,{d}");
  EXPECT_EQ(std::move(literal).Finish(), R"x({"plain",NULL,"NULL","a\"b\\c,{d}"})x");
}

TEST(ArrayLiteralTest, TakesTheTypesOwnDelimiter) {
  ArrayLiteral literal(';');
  literal.Add("(1,1),(0,0)");
  literal.Add("(2,2),(0,0)");
  EXPECT_EQ(std::move(literal).Finish(), R"x({"(1,1),(0,0)";"(2,2),(0,0)"})x");
}

}  // namespace
}  // namespace pgduet
