#include "agent/text_table.h"

#include <gtest/gtest.h>

namespace pgduet {
namespace {

TEST(TextTableTest, ColumnsAreAlignedAndLinesHaveNoBlanksAtTheirEnd) {
  TextTable table({"id", "table"});
  table.Add({"1", "public.accounts"});
  table.Add({"1000", "t"});
  EXPECT_EQ(table.ToString(), "id    table\n1     public.accounts\n1000  t\n");
  EXPECT_EQ(table.rows(), 2u);
}

TEST(TextTableTest, WidthsCountCharactersAndNotBytes) {
  TextTable table({"name", "n"});
  table.Add({"größe", "1"});
  table.Add({"small", "2"});
  EXPECT_EQ(table.ToString(), "name   n\ngröße  1\nsmall  2\n");
}

TEST(TextTableTest, ATableWithoutRowsIsItsHeader) {
  EXPECT_EQ(TextTable({"a", "b"}).ToString(), "a  b\n");
  EXPECT_EQ(TextTable({"a", "b"}).rows(), 0u);
}

}  // namespace
}  // namespace pgduet
