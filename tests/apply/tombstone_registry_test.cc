#include "apply/tombstone_registry.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

namespace pgduet {
namespace {

constexpr Rank kHere = 0, kOther = 1, kThird = 2;

Version At(CommitTime time, Rank rank) {
  return {.commit_time = time, .rank = rank, .commit_lsn = Lsn(1)};
}

KeyDelete Delete(uint64_t hash, CommitTime time, Rank rank = kHere) {
  return {.key = {.table = 1, .key_hash = hash},
          .key_text = "{\"k\"}",
          .version = {.commit_time = time, .rank = rank, .commit_lsn = Lsn(1)},
          .incarnation = 5};
}

const TombstoneRegistry::Applier::Concerns kAll = [](const std::vector<KeyDelete>& deletes) {
  return deletes;
};
const TombstoneRegistry::Applier::Concerns kNone = [](const std::vector<KeyDelete>&) {
  return std::vector<KeyDelete>();
};

TEST(TombstoneRegistryTest, AKeyMayHaveATombstoneFromItsRegistrationOn) {
  TombstoneRegistry registry;
  EXPECT_FALSE(registry.MayHaveTombstone({1, 42}));
  registry.RegisterDeletes({Delete(42, 10)});
  EXPECT_TRUE(registry.MayHaveTombstone({1, 42}));
  EXPECT_FALSE(registry.MayHaveTombstone({2, 42}));
  EXPECT_EQ(registry.Pending({1, 42}, kOther)->version.commit_time, 10);
  registry.DeletesWritten({Delete(42, 10)});
  EXPECT_FALSE(registry.Pending({1, 42}, kOther).has_value());
  EXPECT_TRUE(registry.MayHaveTombstone({1, 42}));
}

TEST(TombstoneRegistryTest, ATruncateConcernsEveryKeyOfItsTable) {
  TombstoneRegistry registry;
  registry.RegisterDeletes({Delete(0, 10)});
  EXPECT_TRUE(registry.MayHaveTombstone({1, 42}));
  EXPECT_TRUE(registry.Pending({1, 42}, kOther).has_value());
}

TEST(TombstoneRegistryTest, InsertsAfterATruncateOfTheirOwnOriginNeedNotLookAtIt) {
  TombstoneRegistry registry;
  registry.Add({1, 0}, At(10, kOther));
  EXPECT_FALSE(registry.MayStopInsert({1, 42}, At(10, kOther)));  // of the same transaction
  EXPECT_FALSE(registry.MayStopInsert({1, 42}, At(11, kOther)));
  EXPECT_TRUE(registry.MayStopInsert({1, 42}, At(9, kOther)));
  EXPECT_TRUE(registry.MayStopInsert({1, 42}, At(11, kThird)));
  registry.Add({1, 42}, At(5, kOther));  // a tombstone of the key itself is always looked at
  EXPECT_TRUE(registry.MayStopInsert({1, 42}, At(11, kOther)));
}

TEST(TombstoneRegistryTest, ATruncateOfAnotherOriginBesideStopsInsertsUntilBothAreGone) {
  TombstoneRegistry registry;
  registry.Add({1, 0}, At(10, kOther));
  registry.RegisterDeletes({Delete(0, 5, kHere)});
  registry.DeletesWritten({Delete(0, 5, kHere)});
  EXPECT_TRUE(registry.MayStopInsert({1, 42}, At(11, kOther)));
  registry.Remove({{1, 0}}, registry.Generation());
  EXPECT_FALSE(registry.MayStopInsert({1, 42}, At(11, kOther)));
}

TEST(TombstoneRegistryTest, AnAppliersOwnDeletesAreNotPendingForIt) {
  TombstoneRegistry registry;
  registry.RegisterDeletes({Delete(42, 10, kHere), Delete(42, 20, kOther)});
  EXPECT_EQ(registry.Pending({1, 42}, kOther)->version.commit_time, 10);
  EXPECT_EQ(registry.Pending({1, 42}, kThird)->version.commit_time, 20);
}

TEST(TombstoneRegistryTest, ADeleteTakenBackLeavesTheOtherPending) {
  TombstoneRegistry registry;
  registry.RegisterDeletes({Delete(42, 10, kHere)});
  {
    TombstoneRegistry::Applier applier(registry, kOther);
    applier.Begin();
    applier.RegisterDeletes({Delete(42, 20, kOther)});
    EXPECT_EQ(registry.Pending({1, 42}, kThird)->version.commit_time, 20);
  }
  EXPECT_EQ(registry.Pending({1, 42}, kThird)->version.commit_time, 10);
}

TEST(TombstoneRegistryTest, AnApplierHearsOfWhatWasRegisteredSinceItBegan) {
  TombstoneRegistry registry;
  registry.RegisterDeletes({Delete(1, 10)});
  TombstoneRegistry::Applier applier(registry, kOther);
  applier.Begin();
  EXPECT_TRUE(applier.EnterCommit(kAll).empty());  // it could see the first one when it began
  applier.Leave();
  applier.Begin();
  registry.RegisterDeletes({Delete(2, 11)});
  ASSERT_EQ(applier.EnterCommit(kAll).size(), 1U);
  EXPECT_TRUE(applier.EnterCommit(kAll).empty());  // told once
}

TEST(TombstoneRegistryTest, ADeleteWaitsForAppliersThatAreCommitting) {
  TombstoneRegistry registry;
  TombstoneRegistry::Applier applier(registry, kOther);
  applier.Begin();
  EXPECT_TRUE(applier.EnterCommit(kNone).empty());
  registry.RegisterDeletes({Delete(1, 10)});
  std::atomic<bool> waited = false;
  std::thread journal([&] {
    registry.WaitForCommits();
    waited = true;
  });
  EXPECT_FALSE(waited);
  applier.Leave();
  journal.join();
  EXPECT_TRUE(waited);
}

TEST(TombstoneRegistryTest, AKeyThatIsAddedDuringItsRemovalStays) {
  TombstoneRegistry registry;
  registry.Add({1, 42}, At(10, kOther));
  const uint64_t generation = registry.Generation();
  registry.Add({1, 42}, At(10, kOther));
  registry.Remove({{1, 42}}, generation);
  EXPECT_TRUE(registry.MayHaveTombstone({1, 42}));
  registry.Remove({{1, 42}}, registry.Generation());
  EXPECT_FALSE(registry.MayHaveTombstone({1, 42}));
}

TEST(TombstoneRegistryTest, AKeyWhoseNextTombstoneIsOnItsWayDuringARemovalStays) {
  TombstoneRegistry registry;
  TombstoneRegistry::Applier applier(registry, kOther);
  applier.Begin();
  applier.Write({1, 42}, At(10, kOther));
  registry.RegisterDeletes({Delete(43, 10)});
  const uint64_t generation =
      registry.Generation();  // the removal begins, and takes older tombstones of both keys
  registry.Remove({{1, 42}, {1, 43}}, generation);
  EXPECT_TRUE(registry.MayHaveTombstone({1, 42}));
  EXPECT_TRUE(registry.MayHaveTombstone({1, 43}));
  applier.Leave();
  registry.DeletesWritten({Delete(43, 10)});
  registry.Remove({{1, 42}, {1, 43}}, generation);  // it hears of its flush late
  EXPECT_TRUE(registry.MayHaveTombstone({1, 42}));
  EXPECT_TRUE(registry.MayHaveTombstone({1, 43}));
  registry.Remove({{1, 42}, {1, 43}}, registry.Generation());
  EXPECT_FALSE(registry.MayHaveTombstone({1, 42}));
  EXPECT_FALSE(registry.MayHaveTombstone({1, 43}));
}

TEST(TombstoneRegistryTest, BeyondItsBoundEveryKeyMayHaveATombstone) {
  TombstoneRegistry registry(/*keys_max=*/2);
  for (uint64_t key = 1; key <= 3; ++key) registry.Add({1, key}, At(10, kOther));
  EXPECT_TRUE(registry.MayHaveTombstone({1, 999}));
}

}  // namespace
}  // namespace pgduet
