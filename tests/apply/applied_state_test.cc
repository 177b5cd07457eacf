#include "apply/applied_state.h"

#include <gtest/gtest.h>

namespace pgduet {
namespace {

constexpr Rank kSelf = 0, kPeer = 1;

TEST(AppliedStateTest, ClosedTimesOnlyGrowWhileNothingIsLost) {
  AppliedState state(2);
  EXPECT_EQ(state.ClosedTime(kPeer), kOldestTime);
  state.PeerSeen(kPeer, {}, 20);
  state.PeerSeen(kPeer, {}, 10);  // a record that was sent again
  EXPECT_EQ(state.ClosedTime(kPeer), 20);
  state.OwnTimeClosed(kSelf, 30);
  state.OwnTimeClosed(kSelf, 25);
  EXPECT_EQ(state.ClosedTime(kSelf), 30);
}

TEST(AppliedStateTest, WhatThePeerClosedIsOpenAgainWhenItsStreamIsSetBack) {
  AppliedState state(2);
  state.PeerSeen(kPeer, {}, 20);
  state.PeerSetBack(kPeer, {});
  EXPECT_EQ(state.ClosedTime(kPeer), kOldestTime);
}

TEST(AppliedStateTest, OurOwnTimeIsOpenAgainWhenCaptureGoesBack) {
  AppliedState state(2);
  state.OwnTimeClosed(kSelf, 30);
  state.OwnTimeReopened(kSelf);
  EXPECT_EQ(state.ClosedTime(kSelf), kOldestTime);
}

TEST(AppliedStateTest, AWishForAClosedTimeIsToldOnce) {
  AppliedState state(2);
  EXPECT_FALSE(state.TakeWish());
  state.WantClosedTime();
  EXPECT_TRUE(state.TakeWish());
  EXPECT_FALSE(state.TakeWish());
}

}  // namespace
}  // namespace pgduet
