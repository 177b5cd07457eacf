#include "capture/applied_marker.h"

#include <set>

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

TEST(AppliedMarkerTest, OnlyOriginsOfTheSetAreOurs) {
  const OriginOwners owners("shop", "main");
  EXPECT_EQ(owners.OwnerOf(OriginName("shop", "main", "eu")), OriginOwner::kOurSet);
  EXPECT_EQ(owners.OwnerOf(OriginName("shop", "orders", "eu")), OriginOwner::kOtherSet);
  EXPECT_EQ(owners.OwnerOf(OriginName("shop2", "main", "eu")), OriginOwner::kOthers);
  EXPECT_EQ(owners.OwnerOf("pg_16389"), OriginOwner::kOthers);
}

TEST(AppliedMarkerTest, ASetIsNotTakenForOneWhoseNameBeginsLikeIt) {
  EXPECT_EQ(OriginOwners("g", "a").OwnerOf(OriginName("g", "a-b", "eu")), OriginOwner::kOtherSet);
  EXPECT_EQ(OriginOwners("g", "a-b").OwnerOf(OriginName("g", "a", "b")), OriginOwner::kOtherSet);
  EXPECT_EQ(OriginOwners("g", "eu").OwnerOf(OriginName("g", "main", "eu")), OriginOwner::kOtherSet);
}

TEST(AppliedMarkerTest, TheMessagesOfTheFirstSetKeepTheirPrefixes) {
  const MessagePrefixes prefixes("main");
  EXPECT_EQ(prefixes.marker, "pgduet");
  EXPECT_EQ(prefixes.barrier, "pgduet.barrier");
  EXPECT_EQ(prefixes.closed, "pgduet.closed");
  EXPECT_EQ(prefixes.policy, "pgduet.policy");
}

TEST(AppliedMarkerTest, NoMessageOfASetIsOneOfAnotherSet) {
  std::set<std::string> seen;
  for (const char* set : {"main", "orders", "barrier", "closed", "policy", "a", "a-b"}) {
    const MessagePrefixes prefixes(set);
    for (const std::string& prefix :
         {prefixes.marker, prefixes.barrier, prefixes.closed, prefixes.policy}) {
      EXPECT_TRUE(seen.insert(prefix).second) << prefix;
    }
  }
}

}  // namespace
}  // namespace pgduet
