#include "resolve/merge/decimal.h"

#include <gtest/gtest.h>

#include "resolve/merge/value_order.h"

namespace pgduet {
namespace {

TEST(DecimalTest, FarNumbersOfFloatsAreNumbers) {
  EXPECT_EQ(Decimal::Parse("1.5e+03")->ToString(), "1500");
  EXPECT_EQ(Decimal::Parse("-2e-05")->ToString(), "-0.00002");
  EXPECT_EQ(Decimal::Parse("1e"), std::nullopt);
  EXPECT_EQ(Decimal::Parse("1e999999"), std::nullopt);
  EXPECT_TRUE(ValueBefore("9", "1e+20"));
  EXPECT_TRUE(ValueBefore("-1e+20", "1e-20"));
}

}  // namespace
}  // namespace pgduet
