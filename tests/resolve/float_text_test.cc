#include "resolve/merge/float_text.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

namespace pgduet {
namespace {

std::string Nearest(const char* number, int bits = 64) {
  return NearestFloat(*Decimal::Parse(number), bits).value_or("none");
}

// Right sides as PostgreSQL 15 prints them.
TEST(FloatTextTest, NumbersHaveThePrintedFormOfPostgresql) {
  EXPECT_EQ(Nearest("0.30000000000000004440892098500626"), "0.30000000000000004");
  EXPECT_EQ(Nearest("-0.70"), "-0.7");
  EXPECT_EQ(Nearest("0"), "0");
  EXPECT_EQ(Nearest("999999999999999"), "999999999999999");
  EXPECT_EQ(Nearest("1000000000000000"), "1e+15");
  EXPECT_EQ(Nearest("9007199254740993"), "9.007199254740992e+15");
  EXPECT_EQ(Nearest("0.0001"), "0.0001");
  EXPECT_EQ(Nearest("0.00001"), "1e-05");
  EXPECT_EQ(Nearest("54442054828597955062585723191296"), "5.4442054828597955e+31");
  EXPECT_EQ(Nearest("1e-400"), "0");
  EXPECT_EQ(Nearest("16777217", 32), "1.6777216e+07");
  EXPECT_EQ(Nearest("123456.78", 32), "123456.78");
  EXPECT_EQ(Nearest("1234567", 32), "1.234567e+06");
}

// 1e23 lies halfway between two doubles: PostgreSQL does not print it for either.
TEST(FloatTextTest, ANumberHalfwayBetweenTwoFloatsIsNoText) {
  EXPECT_EQ(Nearest("100000000000000000000000"), "9.999999999999999e+22");
}

TEST(FloatTextTest, BeyondTheTypeThereIsNone) {
  EXPECT_EQ(Nearest("1.7976931348623157e+308"), "1.7976931348623157e+308");
  EXPECT_EQ(Nearest("1.8e+308"), "none");
  EXPECT_EQ(Nearest("3.5e+38", 32), "none");
}

TEST(FloatTextTest, EveryFloatIsReadBackAsItself) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20'000; ++round) {
    const uint64_t bits = random();
    double value = 0;
    std::memcpy(&value, &bits, sizeof(value));
    if (!std::isfinite(value)) continue;
    char exact[1100];
    std::snprintf(exact, sizeof(exact), "%.*f", value < 1 && value > -1 ? 760 : 0, value);
    const double back = std::strtod(Nearest(exact).c_str(), nullptr);
    ASSERT_EQ(back, std::strtod(exact, nullptr)) << exact;
  }
}

}  // namespace
}  // namespace pgduet
