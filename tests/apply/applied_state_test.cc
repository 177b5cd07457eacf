#include "apply/applied_state.h"

#include <thread>

#include <gtest/gtest.h>

namespace pgduet {
namespace {

constexpr Rank kSelf = 0, kPeer = 1;
constexpr absl::Duration kLong = absl::Seconds(30);  // only a failure waits this long

Position At(uint64_t lsn, Incarnation incarnation = 1) {
  return {.incarnation = incarnation, .sequence = lsn, .commit_lsn = Lsn(lsn)};
}

AppliedVector Needs(Rank rank, const Position& position) {
  AppliedVector vector;
  vector.Set(rank, position);
  return vector;
}

TEST(AppliedStateTest, CausesThatAreInEffectHoldNobody) {
  AppliedState state(3);
  state.Advance(2, At(10));
  EXPECT_TRUE(
      state.WaitForCauses(Needs(2, At(10)), /*origin=*/1, /*self=*/0, absl::ZeroDuration(), {}));
  EXPECT_FALSE(
      state.WaitForCauses(Needs(2, At(11)), /*origin=*/1, /*self=*/0, absl::ZeroDuration(), {}));
  EXPECT_FALSE(state.WaitForCauses(Needs(2, At(5, /*incarnation=*/9)), /*origin=*/1, /*self=*/0,
                                   absl::ZeroDuration(), {}));
}

TEST(AppliedStateTest, TheOriginsOwnPlaceAndOursAreNoCauses) {
  AppliedState state(3);
  EXPECT_TRUE(
      state.WaitForCauses(Needs(1, At(10)), /*origin=*/1, /*self=*/0, absl::ZeroDuration(), {}));
  EXPECT_TRUE(
      state.WaitForCauses(Needs(0, At(10)), /*origin=*/1, /*self=*/0, absl::ZeroDuration(), {}));
}

TEST(AppliedStateTest, AHeldTransactionGoesOnWhenItsCauseComes) {
  AppliedState state(3);
  std::jthread other([&] { state.Advance(2, At(10)); });
  EXPECT_TRUE(state.WaitForCauses(Needs(2, At(10)), 1, 0, kLong, {}));
}

TEST(AppliedStateTest, AStopEndsTheHold) {
  AppliedState state(3);
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_FALSE(state.WaitForCauses(Needs(2, At(10)), 1, 0, kLong, stop.get_token()));
}

TEST(AppliedStateTest, AdvancingNeverGoesBackReloadingMay) {
  AppliedState state(3);
  state.Advance(2, At(10));
  state.Advance(2, At(5));
  EXPECT_EQ(state.Vector().At(2), At(10));
  state.Reload(2, At(5));
  EXPECT_EQ(state.Vector().At(2), At(5));
}

TEST(AppliedStateTest, APeersVectorIsTheLastThatItSent) {
  AppliedState state(3);
  EXPECT_EQ(state.PeerVector(2), AppliedVector());
  state.PeerSeen(2, Needs(0, At(7)), kOldestTime);
  EXPECT_EQ(state.PeerVector(2), Needs(0, At(7)));
  EXPECT_EQ(state.PeerVector(1), AppliedVector());
}

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
