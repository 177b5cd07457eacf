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

// What a region's writes to come have seen: its last word, and for our own what capture has passed.
TEST(AppliedStateTest, StableIsWhatEveryWriteToComeHasSeen) {
  AppliedState state(3);
  AppliedVector second, third;
  second.Set(0, At(50));
  second.Set(2, At(30));
  third.Set(0, At(40));
  third.Set(1, At(60));
  state.PeerSeen(1, second, kOldestTime);
  state.PeerSeen(2, third, kOldestTime);
  AppliedVector place;
  place.Set(1, At(70));
  place.Set(2, At(20));
  state.PlaceDecoded(place);
  const AppliedVector stable = state.StableVector(kSelf);
  EXPECT_EQ(stable.At(0).commit_lsn, Lsn(40));  // ours: the slower of the two peers
  EXPECT_EQ(stable.At(1).commit_lsn, Lsn(60));  // the third has less of it than we
  EXPECT_EQ(stable.At(2).commit_lsn, Lsn(20));  // we have it, but capture is not there yet
}

TEST(AppliedStateTest, NothingIsStableBeforeEverybodyHasSpoken) {
  AppliedState state(3);
  AppliedVector second;
  second.Set(0, At(50));
  state.PeerSeen(1, second, kOldestTime);
  EXPECT_FALSE(state.StableVector(kSelf).At(0).commit_lsn.valid());
}

}  // namespace
}  // namespace pgduet
