#include "schemas/text_check.h"

#include <string>

#include <gtest/gtest.h>

namespace pgduet {
namespace {

TEST(TextCheckTest, AcceptsAllLengthsOfSequences) {
  EXPECT_TRUE(IsValidText(""));
  EXPECT_TRUE(IsValidText("plain ASCII text longer than eight bytes\n\x01\x7F"));
  EXPECT_TRUE(IsValidText("grüße 日本語 \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF"));
}

TEST(TextCheckTest, RefusesWhatPostgresRefuses) {
  for (const std::string& bad :
       {std::string("\x80"), std::string("\xC0\x80"), std::string("\xC1\xBF"),
        std::string("\xE0\x80\x80"), std::string("\xED\xA0\x80"), std::string("\xF0\x80\x80\x80"),
        std::string("\xF4\x90\x80\x80"), std::string("\xF5\x80\x80\x80"), std::string("\xFF"),
        std::string("\xC3"), std::string("\xE2\x82"), std::string("\xF0\x9F\x98"),
        std::string("\xC3\x28"), std::string(1, '\0')}) {
    // At every place relative to the eight-byte steps.
    for (size_t before = 0; before < 17; ++before) {
      EXPECT_FALSE(IsValidText(std::string(before, 'a') + bad)) << before;
      EXPECT_FALSE(IsValidText(std::string(before, 'a') + bad + std::string(17, 'b'))) << before;
    }
  }
}

TEST(TextCheckTest, EveryCodePointIsJudgedAsTheStandardSays) {
  for (uint32_t point = 1; point <= 0x10FFFF; ++point) {
    std::string text;
    if (point < 0x80) {
      text = {static_cast<char>(point)};
    } else if (point < 0x800) {
      text = {static_cast<char>(0xC0 | point >> 6), static_cast<char>(0x80 | (point & 63))};
    } else if (point < 0x10000) {
      text = {static_cast<char>(0xE0 | point >> 12), static_cast<char>(0x80 | (point >> 6 & 63)),
              static_cast<char>(0x80 | (point & 63))};
    } else {
      text = {static_cast<char>(0xF0 | point >> 18), static_cast<char>(0x80 | (point >> 12 & 63)),
              static_cast<char>(0x80 | (point >> 6 & 63)), static_cast<char>(0x80 | (point & 63))};
    }
    const bool surrogate = 0xD800 <= point && point <= 0xDFFF;
    ASSERT_EQ(IsValidText(text), !surrogate) << point;
  }
}

}  // namespace
}  // namespace pgduet
