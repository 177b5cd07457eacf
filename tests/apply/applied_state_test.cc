#include "apply/applied_state.h"

#include <thread>

#include <gtest/gtest.h>

namespace pgduet {
namespace {

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
  state.PeerVectorSeen(2, Needs(0, At(7)));
  EXPECT_EQ(state.PeerVector(2), Needs(0, At(7)));
  EXPECT_EQ(state.PeerVector(1), AppliedVector());
}

}  // namespace
}  // namespace pgduet
