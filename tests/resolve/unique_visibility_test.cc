// Whatever the order in which the logical changes of a table arrive, and whenever parked rows are
// looked at again: the visible rows are those of the definition.
#include "resolve/unique_visibility.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgduet {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kNull = 0;
constexpr int kUniqueKeys = 2;

struct Row {
  Precedence precedence;
  bool deleted = false;
  int value[kUniqueKeys] = {kNull, kNull};
};

bool Collide(const Row& one, const Row& other) {
  for (int key = 0; key < kUniqueKeys; ++key) {
    if (one.value[key] != kNull && one.value[key] == other.value[key]) return true;
  }
  return false;
}

using Keys = std::set<std::string>;

// The definition: from the highest version to the lowest.
Keys Oracle(const std::vector<Row>& changes) {
  std::map<std::string, Row> logical;
  for (const Row& change : changes) {
    auto [at, fresh] = logical.try_emplace(change.precedence.key, change);
    if (at->second.precedence < change.precedence) at->second = change;
  }
  std::vector<Row> rows;
  for (const auto& [key, row] : logical) {
    if (!row.deleted) rows.push_back(row);
  }
  std::sort(rows.begin(), rows.end(),
            [](const Row& a, const Row& b) { return b.precedence < a.precedence; });
  std::vector<Row> visible;
  for (const Row& row : rows) {
    if (std::none_of(visible.begin(), visible.end(),
                     [&](const Row& other) { return Collide(row, other); }))
      visible.push_back(row);
  }
  Keys keys;
  for (const Row& row : visible) keys.insert(row.precedence.key);
  return keys;
}

enum class Fault { kNone, kNeverAgain, kByArrival, kOnlyOnce };

// A table to which changes come one by one.
class Table {
 public:
  explicit Table(Fault fault) : fault_(fault) {}

  void Apply(const Row& change) {
    const std::string& key = change.precedence.key;
    auto known = logical_.find(key);
    if (known != logical_.end() && change.precedence < known->second) return;
    logical_[key] = change.precedence;
    visible_.erase(key);
    parked_.erase(key);
    if (!change.deleted) Place(change);
  }

  // Looks at one parked row again; false when it stays.
  bool Again(const std::string& key) {
    if (fault_ == Fault::kNeverAgain) return false;
    const Row row = parked_.at(key);
    parked_.erase(key);
    Place(row);
    return visible_.contains(key);
  }

  void Settle() {
    bool moved = true;
    // A fault may go round in circles.
    for (int round = 0; moved && round < 1'000; ++round) {
      moved = false;
      for (const std::string& key : Parked()) moved |= parked_.contains(key) && Again(key);
      if (fault_ == Fault::kOnlyOnce) return;
    }
  }

  std::vector<std::string> Parked() const {
    std::vector<std::string> keys;
    for (const auto& [key, row] : parked_) keys.push_back(key);
    return keys;
  }
  Keys Visible() const {
    Keys keys;
    for (const auto& [key, row] : visible_) keys.insert(key);
    return keys;
  }

 private:
  void Place(const Row& row) {
    std::vector<Collider> colliders;
    for (const auto& [key, other] : visible_) {
      for (int unique = 0; unique < kUniqueKeys; ++unique) {
        if (other.value[unique] != kNull && other.value[unique] == row.value[unique])
          colliders.push_back({.row = other.precedence, .constraint = std::to_string(unique)});
      }
    }
    Precedence precedence = row.precedence;
    if (fault_ == Fault::kByArrival) precedence.commit_time = 1'000'000;
    const Placement placement = PlaceUnique(precedence, colliders);
    if (placement.blocker) {
      parked_[row.precedence.key] = row;
      return;
    }
    for (const size_t index : placement.parked) {
      const std::string key = colliders[index].row.key;
      parked_[key] = visible_.at(key);
      visible_.erase(key);
    }
    visible_[row.precedence.key] = row;
  }

  const Fault fault_;
  std::map<std::string, Precedence> logical_;
  std::map<std::string, Row> visible_, parked_;
};

std::vector<Row> RandomChanges(std::mt19937& random) {
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution(low, high)(random);
  };
  std::vector<Row> changes;
  const int count = pick(2, 24);
  for (int index = 0; index < count; ++index) {
    Row row{.precedence = {.commit_time = pick(1, 12),
                           .rank = static_cast<Rank>(pick(0, 2)),
                           .key = std::string(1, static_cast<char>('a' + pick(0, 7)))},
            .deleted = pick(0, 5) == 0};
    for (int& value : row.value) value = pick(0, 4);
    // One region commits a key once at one time.
    const bool taken = std::any_of(changes.begin(), changes.end(), [&](const Row& other) {
      return other.precedence == row.precedence;
    });
    if (!taken) changes.push_back(row);
  }
  return changes;
}

int Wrong(Fault fault, int runs) {
  int wrong = 0;
  for (int seed = 0; seed < runs; ++seed) {
    std::mt19937 random(seed);
    std::vector<Row> changes = RandomChanges(random);
    const Keys expected = Oracle(changes);
    std::shuffle(changes.begin(), changes.end(), random);
    Table table(fault);
    for (const Row& change : changes) {
      table.Apply(change);
      const std::vector<std::string> parked = table.Parked();
      if (!parked.empty() && random() % 3 == 0) table.Again(parked[random() % parked.size()]);
    }
    table.Settle();
    if (table.Visible() != expected) {
      if (fault == Fault::kNone && wrong == 0) ADD_FAILURE() << "seed " << seed;
      ++wrong;
    }
  }
  return wrong;
}

TEST(UniqueVisibilityTest, AnyOrderOfArrivalGivesTheRowsOfTheDefinition) {
  EXPECT_EQ(Wrong(Fault::kNone, 20'000), 0);
}

TEST(UniqueVisibilityTest, PlantedFaultsAreFound) {
  EXPECT_GT(Wrong(Fault::kNeverAgain, 2'000), 0);
  EXPECT_GT(Wrong(Fault::kByArrival, 2'000), 0);
  EXPECT_GT(Wrong(Fault::kOnlyOnce, 2'000), 0);
}

Collider At(CommitTime time, Rank rank, const std::string& key, const std::string& constraint) {
  return {.row = {.commit_time = time, .rank = rank, .key = key}, .constraint = constraint};
}

TEST(UniqueVisibilityTest, TheHighestColliderBlocks) {
  const std::vector<Collider> colliders = {At(1, 0, "a", "u"), At(9, 0, "b", "u"),
                                           At(7, 0, "c", "v")};
  const Placement placement = PlaceUnique({.commit_time = 5, .key = "k"}, colliders);
  EXPECT_EQ(placement.blocker, 1U);
  EXPECT_THAT(placement.parked, IsEmpty());
}

TEST(UniqueVisibilityTest, LowerCollidersAreParkedOnceEach) {
  const std::vector<Collider> colliders = {At(1, 0, "a", "u"), At(2, 0, "b", "v"),
                                           At(1, 0, "a", "w")};
  const Placement placement = PlaceUnique({.commit_time = 5, .key = "k"}, colliders);
  EXPECT_FALSE(placement.blocker);
  EXPECT_THAT(placement.parked, ElementsAre(0, 1));
}

TEST(UniqueVisibilityTest, EqualTimesAreOrderedByRankThenByKey) {
  EXPECT_TRUE(
      PlaceUnique({.commit_time = 5, .rank = 0, .key = "z"}, std::vector{At(5, 1, "a", "u")})
          .blocker);
  EXPECT_TRUE(
      PlaceUnique({.commit_time = 5, .rank = 1, .key = "a"}, std::vector{At(5, 1, "b", "u")})
          .blocker);
  EXPECT_FALSE(
      PlaceUnique({.commit_time = 5, .rank = 1, .key = "b"}, std::vector{At(5, 1, "a", "u")})
          .blocker);
}

TEST(UniqueVisibilityTest, ARowOfTheSameTransactionGivesWay) {
  std::vector<Collider> colliders = {At(5, 1, "z", "u")};
  colliders[0].own = true;
  const Placement placement = PlaceUnique({.commit_time = 5, .rank = 1, .key = "a"}, colliders);
  EXPECT_FALSE(placement.blocker);
  EXPECT_THAT(placement.parked, ElementsAre(0));
}

TEST(UniqueVisibilityTest, KindsAreNamedAsPostgresqlDoes) {
  const std::vector<Collider> one = {At(1, 0, "a", "u")};
  const std::vector<Collider> two = {At(1, 0, "a", "u"), At(1, 0, "a", "v")};
  EXPECT_EQ(UniqueConflictKind(ChangeKind::kInsert, one), ConflictKind::kInsertExists);
  EXPECT_EQ(UniqueConflictKind(ChangeKind::kUpdate, one), ConflictKind::kUpdateExists);
  EXPECT_EQ(UniqueConflictKind(ChangeKind::kInsert, two), ConflictKind::kMultipleUniqueConflicts);
}

}  // namespace
}  // namespace pgduet
