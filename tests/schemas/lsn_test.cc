#include "schemas/lsn.h"

#include <gtest/gtest.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

TEST(LsnTest, PrintsAsPostgresDoes) {
  EXPECT_EQ(Lsn(0x16B374D848).ToString(), "16/B374D848");
  EXPECT_EQ(Lsn().ToString(), "0/0");
  EXPECT_EQ(Lsn(UINT64_MAX).ToString(), "FFFFFFFF/FFFFFFFF");
}

TEST(LsnTest, ParsesWhatItPrints) {
  for (const uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{0x16B374D848}, UINT64_MAX}) {
    const auto parsed = Lsn::Parse(Lsn(value).ToString());
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(parsed->value(), value);
  }
  EXPECT_EQ(Lsn::Parse("16/b374d848")->value(), 0x16B374D848u);
}

TEST(LsnTest, RefusesEverythingElse) {
  for (const char* text : {"", "/", "1", "1/", "/1", "1/2/3", "123456789/0", "0/123456789", "x/1",
                           "-1/1", " 1/1", "1/1 ", "0x1/1", "1/+1"}) {
    EXPECT_EQ(ErrorName(Lsn::Parse(text).status()), "invalid_lsn") << text;
  }
}

TEST(LsnTest, DistanceIsNeverNegative) {
  EXPECT_EQ(Lsn(10).BytesSince(Lsn(4)), 6u);
  EXPECT_EQ(Lsn(4).BytesSince(Lsn(10)), 0u);
}

}  // namespace
}  // namespace pgduet
