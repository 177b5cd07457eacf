#include "apply/batch_rule.h"

#include <gtest/gtest.h>

namespace pgduet {
namespace {

RegionIdentity Regions(const std::vector<std::string>& names) {
  RegionIdentity identity;
  identity.group = "shop";
  identity.regions = names;
  return identity;
}

ChangeBatch Changes(size_t count, const std::string& table, ChangeKind kind = ChangeKind::kUpdate) {
  Relation relation{.schema = "public", .name = table};
  ChangeBatch batch;
  batch.relations.push_back(std::make_shared<const Relation>(std::move(relation)));
  for (size_t number = 0; number < count; ++number) batch.changes.push_back({.kind = kind});
  return batch;
}

class BatchRuleTest : public testing::Test {
 protected:
  static constexpr Rank kSelf = 0, kOrigin = 1, kThird = 2;

  BatchRule Rule(const RegionIdentity& identity) {
    return {identity, kOrigin, applied_, policies_, parking_, no_foreign_keys_};
  }

  const RegionIdentity two_ = Regions({"a", "b"}), three_ = Regions({"a", "b", "c"});
  AppliedState applied_{3};
  const PolicyTables policies_{{{{"public", "versioned"}, TablePolicy{}}}};
  const ParkingLot parking_{{"\"public\".\"parking\""}};
  const ForeignKeyWatch no_foreign_keys_{{}};
};

TEST_F(BatchRuleTest, OfTwoRegionsEveryTransactionMayJoin) {
  const BatchRule rule = Rule(two_);
  EXPECT_TRUE(rule.Joins(Changes(100'000, "plain")));
  EXPECT_TRUE(rule.Joins(Changes(1, "plain", ChangeKind::kTruncate)));
  EXPECT_TRUE(rule.Joins(Changes(1, "versioned")));
  EXPECT_TRUE(rule.Joins(Changes(1, "parking")));
  EXPECT_TRUE(rule.MayList(1'000'000));
}

TEST_F(BatchRuleTest, OfThreeWhatIsComparedWithARowsOwnTimeIsAppliedAlone) {
  const BatchRule rule = Rule(three_);
  EXPECT_TRUE(rule.Joins(Changes(1, "plain")));
  EXPECT_FALSE(rule.Joins(Changes(1, "plain", ChangeKind::kTruncate)));
  EXPECT_FALSE(rule.Joins(Changes(1, "versioned")));
  EXPECT_FALSE(rule.Joins(Changes(1, "parking")));
}

TEST_F(BatchRuleTest, OfThreeLargeTransactionsAndMoreRowsThanAreListedDoNotJoin) {
  const BatchRule rule = Rule(three_);
  EXPECT_TRUE(rule.Joins(Changes(64, "plain")));
  EXPECT_FALSE(rule.Joins(Changes(65, "plain")));
  EXPECT_TRUE(rule.MayList(BatchRule::kListedRowsMax));
  EXPECT_FALSE(rule.MayList(BatchRule::kListedRowsMax + 1));
}

TEST_F(BatchRuleTest, ATimeIsClosedWhenItIsSoInEveryStreamButTheOrigins) {
  const BatchRule rule = Rule(three_);
  applied_.OwnTimeClosed(kSelf, 100);
  EXPECT_FALSE(rule.Closed(50)) << "the third region may still have something older";
  applied_.PeerSeen(kThird, AppliedVector(), 60);
  EXPECT_TRUE(rule.Closed(60));
  EXPECT_FALSE(rule.Closed(61));
  applied_.PeerSeen(kThird, AppliedVector(), 200);
  EXPECT_TRUE(rule.Closed(100));
  EXPECT_FALSE(rule.Closed(101)) << "our own clock counts, too";
}

}  // namespace
}  // namespace pgduet
