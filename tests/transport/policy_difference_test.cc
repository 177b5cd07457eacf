#include "transport/policy_difference.h"

#include <gtest/gtest.h>

namespace pgduet {
namespace {

TEST(PolicyDifferenceTest, NamesTheFirstLineThatDiffers) {
  EXPECT_EQ(DescribePolicyDifference("a=1\nb=2\nc=3\n", "a=1\nb=5\nc=4\n"),
            "here 'b=2', there 'b=5'");
}

TEST(PolicyDifferenceTest, TellsOfASettingThatOneSideLacks) {
  EXPECT_EQ(DescribePolicyDifference("a=1\nc=3\n", "a=1\nb=2\nc=3\n"),
            "here no setting, there 'b=2'");
  EXPECT_EQ(DescribePolicyDifference("a=1\nb=2\nc=3\n", "a=1\nc=3\n"),
            "here 'b=2', there no setting");
  EXPECT_EQ(DescribePolicyDifference("a=1\n", ""), "here 'a=1', there no setting");
  EXPECT_EQ(DescribePolicyDifference("a=1\n", "a=1\nb=2"), "here no setting, there 'b=2'");
}

TEST(PolicyDifferenceTest, EqualTextsHaveOnlyTheirHashesToDiffer) {
  EXPECT_EQ(DescribePolicyDifference("a=1\n", "a=1\n"),
            "the texts are equal, the hashes are not: the agents' versions differ");
}

TEST(PolicyDifferenceTest, AForgedTextCannotFillTheLogOrMoveTheCursor) {
  const std::string shown = DescribePolicyDifference("", "\x1b[2J" + std::string(10'000, 'x'));
  EXPECT_LT(shown.size(), 300u);
  EXPECT_EQ(shown.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace pgduet
