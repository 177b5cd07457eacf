#include "schemas/policy_notice.h"

#include <gtest/gtest.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

TEST(PolicyNoticeTest, EveryKindComesBackAsItWas) {
  for (int kind = 0; kind <= static_cast<int>(PolicyNoticeKind::kAbort); ++kind) {
    const PolicyNotice notice{.kind = static_cast<PolicyNoticeKind>(kind),
                              .change = 7,
                              .from = 0xfedcba9876543210,
                              .to = 1,
                              .clock = kind % 2 == 0 ? kOldestTime : 1772366400250000};
    const auto decoded = DecodePolicyNotice(EncodePolicyNotice(notice));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(*decoded, notice);
  }
}

TEST(PolicyNoticeTest, TheTextIsWhatTheWireFormatSays) {
  EXPECT_EQ(
      EncodePolicyNotice(
          {.kind = PolicyNoticeKind::kFenced, .change = 12, .from = 0xab, .to = 0xcd, .clock = 5}),
      "policy 1 fenced 12 ab cd 5");
}

TEST(PolicyNoticeTest, OnlyFencedAndCommitHoldAStream) {
  EXPECT_TRUE(PolicyNotice{.kind = PolicyNoticeKind::kFenced}.IsMark());
  EXPECT_TRUE(PolicyNotice{.kind = PolicyNoticeKind::kCommit}.IsMark());
  EXPECT_FALSE(PolicyNotice{.kind = PolicyNoticeKind::kGo}.IsMark());
  EXPECT_FALSE(PolicyNotice{.kind = PolicyNoticeKind::kAbort}.IsMark());
}

TEST(PolicyNoticeTest, AnythingElseIsRefused) {
  for (const char* text :
       {"", "policy", "policy 1 fenced 12 ab cd", "policy 1 fenced 12 ab cd 5 6",
        "policy 2 fenced 12 ab cd 5", "policy 1 Fenced 12 ab cd 5", "policy 1 fenced -1 ab cd 5",
        "policy 1 fenced 12 xx cd 5", "policy 1 fenced 12 ab  5", "policy 1 fenced 12 ab cd 5x",
        "policy 1 fenced 99999999999999999999 ab cd 5", "policy  1 fenced 12 ab cd"}) {
    EXPECT_EQ(ErrorName(DecodePolicyNotice(text).status()), "invalid_record") << text;
  }
}

}  // namespace
}  // namespace pgduet
