// The text form of applied vectors in the sidecar's columns.
#include <gtest/gtest.h>

#include "schemas/version.h"

namespace pgduet {
namespace {

AppliedVector Sample() {
  AppliedVector vector;
  vector.Set(
      0, {.incarnation = 0xABC, .sequence = 7, .commit_lsn = Lsn(0x16B374D848), .commit_time = -5});
  vector.Set(
      2,
      {.incarnation = 0xFFFFFFFFFFFFFFFF, .sequence = UINT64_MAX, .commit_lsn = Lsn(UINT64_MAX)});
  return vector;
}

TEST(VectorTextTest, ComesBackAsItWas) {
  EXPECT_EQ(DecodeVector(EncodeVector(Sample())), Sample());
  EXPECT_EQ(EncodeVector(Sample()),
            "0:0000000000000abc:7:16b374d848:-5 "
            "2:ffffffffffffffff:18446744073709551615:ffffffffffffffff:-9223372036854775808");
}

TEST(VectorTextTest, AnEmptyVectorIsAnEmptyText) {
  EXPECT_EQ(EncodeVector(AppliedVector()), "");
  EXPECT_EQ(DecodeVector(""), AppliedVector());
}

TEST(VectorTextTest, ATextThatWeWouldNotWriteIsAnEmptyVector) {
  for (const char* text :
       {"nonsense", "32:0000000000000001:1:1:1", "0:0000000000000001:1:1",
        "0:0000000000000001:1:1:1x", "0:1:1:1:1", "0:0000000000000001:-1:1:1",
        "1:0000000000000001:1:1:1 0:0000000000000001:1:1:1",
        "0:0000000000000001:1:1:99999999999999999999", " 0:0000000000000001:1:1:1"}) {
    EXPECT_EQ(DecodeVector(text), AppliedVector()) << text;
  }
  EXPECT_NE(DecodeVector("0:0000000000000001:1:1:1"), AppliedVector());
}

}  // namespace
}  // namespace pgduet
