#include "capture/applied_marker.h"

#include <gtest/gtest.h>

namespace pgduet {
namespace {

TEST(AppliedMarkerTest, ComesBackAsItWas) {
  const AppliedMarker marker{
      .rank = 3,
      .position = {
          .incarnation = 0xABC, .sequence = 9, .commit_lsn = Lsn(0x1600000001), .commit_time = -5}};
  const absl::StatusOr<AppliedMarker> back = DecodeMarker(EncodeMarker(marker));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->rank, 3);
  EXPECT_EQ(back->position, marker.position);
}

TEST(AppliedMarkerTest, TheAgentsOwnWorkHasARankOfItsOwn) {
  EXPECT_EQ(DecodeMarker(EncodeMarker({}))->rank, kInternalRank);
}

TEST(AppliedMarkerTest, RefusesWhatIsNotAMarker) {
  for (const char* text :
       {"", "1", "2 0 0000000000000001 1 0/1 0", "1 40 0000000000000001 1 0/1 0", "1 0 zz 1 0/1 0",
        "1 0 0000000000000001 x 0/1 0", "1 0 0000000000000001 1 nonsense 0",
        // what a stream would read, and we do not write
        "1 0 0000000000000001 1 0/1 0 more", "1 0 0000000000000001 -1 0/1 0",
        " 1 0 0000000000000001 1 0/1 0", "1 0 -000000000000001 1 0/1 0",
        "1 0 0000000000000001 1 0/0001 0"}) {
    EXPECT_FALSE(DecodeMarker(text).ok()) << text;
  }
}

TEST(AppliedMarkerTest, AClosedTimeComesBackAndNothingElseIsOne) {
  EXPECT_EQ(DecodeClosedTime(EncodeClosedTime(-5)).value(), -5);
  for (const char* text : {"", "x", "5 ", "5x", "99999999999999999999"})
    EXPECT_FALSE(DecodeClosedTime(text).ok()) << text;
}

TEST(AppliedMarkerTest, OnlyOriginsOfTheGroupAreOurs) {
  EXPECT_TRUE(IsOurOrigin(OriginName("shop", "main", "eu"), "shop"));
  EXPECT_FALSE(IsOurOrigin(OriginName("shop2", "main", "eu"), "shop"));
  EXPECT_FALSE(IsOurOrigin("pg_16389", "shop"));
}

}  // namespace
}  // namespace pgduet
