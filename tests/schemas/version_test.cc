#include "schemas/version.h"

#include <gtest/gtest.h>

namespace pgduet {
namespace {

Position At(uint64_t lsn, Incarnation incarnation = 1) {
  return {.incarnation = incarnation, .sequence = lsn, .commit_lsn = Lsn(lsn), .commit_time = 0};
}

TEST(VersionTest, OrderIsTimeThenRankThenLsn) {
  EXPECT_LT((Version{1, 5, Lsn(9)}), (Version{2, 0, Lsn(1)}));
  EXPECT_LT((Version{1, 0, Lsn(9)}), (Version{1, 1, Lsn(1)}));
  EXPECT_LT((Version{1, 1, Lsn(1)}), (Version{1, 1, Lsn(2)}));
}

TEST(AppliedVectorTest, UnknownRegionHasNothing) {
  const AppliedVector vector;
  EXPECT_EQ(vector.At(7), Position{});
  EXPECT_FALSE(vector.Contains(7, 1, Lsn(1)));
}

TEST(AppliedVectorTest, AdvanceNeverMovesBackWithinAnIncarnation) {
  AppliedVector vector;
  vector.Advance(1, At(10));
  vector.Advance(1, At(5));
  EXPECT_EQ(vector.At(1), At(10));
  vector.Advance(1, At(11));
  EXPECT_EQ(vector.At(1), At(11));
  vector.Advance(1, At(3, /*incarnation=*/2));
  EXPECT_EQ(vector.At(1), At(3, 2));
}

TEST(AppliedVectorTest, SetMovesAnywhere) {
  AppliedVector vector;
  vector.Set(1, At(10));
  vector.Set(1, At(5));
  EXPECT_EQ(vector.At(1), At(5));
}

TEST(AppliedVectorTest, ContainsComparesWithinTheIncarnationOnly) {
  AppliedVector vector;
  vector.Set(0, At(10));
  EXPECT_TRUE(vector.Contains(0, 1, Lsn(10)));
  EXPECT_FALSE(vector.Contains(0, 1, Lsn(11)));
  EXPECT_FALSE(vector.Contains(0, 2, Lsn(1)));
}

TEST(AppliedVectorTest, ContainsAllLeavesOutWhatIsExcepted) {
  AppliedVector here, there;
  here.Set(0, At(10));
  there.Set(0, At(9));
  there.Set(2, At(4));
  EXPECT_FALSE(here.ContainsAll(there));
  EXPECT_TRUE(here.ContainsAll(there, {2}));
  here.Set(2, At(4));
  EXPECT_TRUE(here.ContainsAll(there));
}

TEST(AppliedVectorTest, EqualContentsCompareEqualWhateverWasSetBefore) {
  AppliedVector one, other;
  one.Set(3, At(1));
  one.Set(3, Position{});
  EXPECT_EQ(one, other);
  EXPECT_EQ(one.size(), 0u);
}

TEST(AppliedVectorTest, PrintsRankLsnAndSequence) {
  AppliedVector vector;
  vector.Set(0,
             {.incarnation = 1, .sequence = 12, .commit_lsn = Lsn(0x1A0000007F), .commit_time = 0});
  vector.Set(2, {.incarnation = 1, .sequence = 7, .commit_lsn = Lsn(0x16B3), .commit_time = 0});
  EXPECT_EQ(vector.ToString(), "0:1A/7F@12 2:0/16B3@7");
}

}  // namespace
}  // namespace pgduet
