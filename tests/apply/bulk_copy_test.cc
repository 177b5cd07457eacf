#include "apply/bulk_copy.h"

#include <gtest/gtest.h>

#include "apply/table_sql.h"

namespace pgduet {
namespace {

constexpr Oid kTable = 7, kOther = 8;

std::string CopyText(std::string_view bytes) {
  std::string text;
  AppendCopyValue(text, {ValueKind::kText, bytes});
  return text;
}

// How many transactions in a row the table has to do without.
int Denials(CopyTrust& trust) {
  int denials = 0;
  for (trust.Begin(); !trust.Trusts(kTable, CopyTrust::kRowsMin); trust.Begin()) ++denials;
  return denials;
}

TEST(CopyTrustTest, FewRowsAreNotWorthARoundTrip) {
  CopyTrust trust;
  EXPECT_FALSE(trust.Trusts(kTable, CopyTrust::kRowsMin - 1));
  EXPECT_TRUE(trust.Trusts(kTable, CopyTrust::kRowsMin));
}

TEST(CopyTrustTest, EachRefusalDoublesTheTimeWithoutUpToABound) {
  CopyTrust trust;
  int last = 0;
  for (int refusal = 0; refusal < 40; ++refusal) {
    trust.Refused(kTable);
    EXPECT_TRUE(trust.Trusts(kOther, CopyTrust::kRowsMin));
    const int denials = Denials(trust);
    EXPECT_TRUE(denials == 2 * last + 1 || denials == last || last == 0) << denials;
    EXPECT_GE(denials, 15);
    EXPECT_LE(denials, 4095);
    last = denials;
  }
  EXPECT_EQ(last, 4095);
}

TEST(CopyTrustTest, OnlyACommittedCopyForgives) {
  CopyTrust trust;
  for (int refusal = 0; refusal < 3; ++refusal) trust.Refused(kTable);
  EXPECT_EQ(Denials(trust), 63);
  trust.Copied(kTable);  // one chunk of a large transaction that is refused at its end
  trust.Refused(kTable);
  EXPECT_EQ(Denials(trust), 127);
  trust.Copied(kTable);
  trust.Committed();
  EXPECT_TRUE(trust.Trusts(kTable, CopyTrust::kRowsMin));
  trust.Refused(kTable);
  EXPECT_EQ(Denials(trust), 15);
}

TEST(CopyTextTest, OnlyWhatCopyGivesAMeaningToIsEscaped) {
  EXPECT_EQ(CopyText("plain, 'text' {1}"), "plain, 'text' {1}");
  EXPECT_EQ(CopyText("a\tb\nc\rd\\"), "a\\tb\\nc\\rd\\\\");
  EXPECT_EQ(CopyText("\\N"), "\\\\N");
  EXPECT_EQ(CopyText(""), "");
  std::string text;
  AppendCopyValue(text, {});
  EXPECT_EQ(text, "\\N");
}

TEST(CopySqlTest, NamesTheCarriedColumnsInTheirOrder) {
  TargetTable table;
  table.quoted = R"("public"."item")";
  for (const char* name : {R"("id")", R"("left out")", R"("b")"}) {
    TargetColumn& column = table.columns.emplace_back();
    column.quoted = name;
  }
  EXPECT_EQ(CopySql(table, {0, 2}), R"(COPY "public"."item" ("id", "b") FROM STDIN)");
}

}  // namespace
}  // namespace pgduet
