// Last write wins as a join: whatever the writes, whatever the order, one result, and each loss
// reported.
#include <cstdlib>
#include <iostream>
#include <optional>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "tests/resolve/one_row_history.h"

namespace pgduet {
namespace {

using testing::AddWrite;
using testing::Check;
using testing::Deliver;
using testing::Delivery;
using testing::History;
using testing::Order;
using testing::Resolver;
using testing::WriteSet;

constexpr ChangeKind kKinds[] = {ChangeKind::kInsert, ChangeKind::kUpdate, ChangeKind::kDelete};

// Every history of `count` writes: each region, kind and past, and two times for each (ties and
// inversions against the order of delivery both occur).
void ForEachHistory(int regions, int count, const std::function<void(const History&)>& visit) {
  History history;
  const std::function<void()> extend = [&] {
    if (static_cast<int>(history.size()) == count) return visit(history);
    for (Rank region = 0; region < regions; ++region) {
      for (WriteSet past : testing::PossiblePasts(history, region)) {
        for (ChangeKind kind : kKinds) {
          for (CommitTime time : {0, 1}) {
            AddWrite(history, region, kind, past, time);
            extend();
            history.pop_back();
          }
        }
      }
    }
  };
  extend();
}

// The first violation among all histories of up to three writes at up to three regions, in all
// causal orders.
std::optional<std::string> SearchSmallDomain(const Resolver& resolve) {
  std::optional<std::string> violation;
  for (int count = 1; count <= 4 && !violation; ++count) {
    ForEachHistory(3, count, [&](const History& history) {
      if (violation) return;
      ForEachCausalOrder(history, [&](const Order& order) {
        if (!violation) violation = Check(history, order, resolve);
      });
    });
  }
  return violation;
}

uint32_t FirstSeed() {
  const char* text = std::getenv("PGDUET_RESOLVE_SEED");
  const uint32_t seed = text != nullptr ? static_cast<uint32_t>(std::stoul(text)) : 20240601;
  std::cout << "seed=" << seed << " (PGDUET_RESOLVE_SEED sets another)\n";
  return seed;
}

std::optional<std::string> SearchRandomly(uint32_t first_seed, int histories,
                                          const Resolver& resolve) {
  for (int i = 0; i < histories; ++i) {
    std::mt19937 random(first_seed + i);
    const int regions = std::uniform_int_distribution(2, 5)(random);
    const int count = std::uniform_int_distribution(2, 9)(random);
    const History history = testing::RandomHistory(random, regions, count);
    for (int j = 0; j < 4; ++j) {
      const auto violation = Check(history, testing::RandomCausalOrder(random, history), resolve);
      if (violation) return "seed " + std::to_string(first_seed + i) + ": " + *violation;
    }
  }
  return std::nullopt;
}

// Planted faults.

Resolution ByArrival(ChangeKind remote, const Version& version, const LocalState& local) {
  Resolution resolution = LastWriteWins(remote, version, local);
  resolution.decision = Decision::kApplyRemote;
  return resolution;
}

Resolution EqualTimesKeepLocal(ChangeKind remote, const Version& version, const LocalState& local) {
  Resolution resolution = LastWriteWins(remote, version, local);
  const bool met = local.kind != LocalState::Kind::kNeverSeen;
  if (met && !local.covered && version.commit_time == local.version.commit_time) {
    resolution.decision = Decision::kKeepLocal;
  }
  return resolution;
}

Resolution TombstonesDoNotCount(ChangeKind remote, const Version& version,
                                const LocalState& local) {
  const bool deleted = local.kind == LocalState::Kind::kDeleted;
  return LastWriteWins(remote, version, deleted ? LocalState{} : local);
}

Resolution LosersAreNotReported(ChangeKind remote, const Version& version,
                                const LocalState& local) {
  Resolution resolution = LastWriteWins(remote, version, local);
  if (resolution.decision == Decision::kKeepLocal) resolution.conflict.reset();
  return resolution;
}

Resolution EveryMeetingIsAConflict(ChangeKind remote, const Version& version,
                                   const LocalState& local) {
  LocalState uncovered = local;
  uncovered.covered = false;
  return LastWriteWins(remote, version, uncovered);
}

TEST(ConvergenceTest, AllSmallHistoriesInAllCausalOrdersGiveTheMaximumAndReportEachLoss) {
  EXPECT_EQ(SearchSmallDomain(LastWriteWins), std::nullopt);
}

TEST(ConvergenceTest, RandomHistoriesOfTwoToFiveRegionsGiveTheMaximumAndReportEachLoss) {
  EXPECT_EQ(SearchRandomly(FirstSeed(), 20'000, LastWriteWins), std::nullopt);
}

TEST(ConvergenceTest, TheCheckerFindsEachPlantedFault) {
  const uint32_t seed = FirstSeed();
  for (const Resolver& fault :
       {Resolver(ByArrival), Resolver(EqualTimesKeepLocal), Resolver(TombstonesDoNotCount),
        Resolver(LosersAreNotReported), Resolver(EveryMeetingIsAConflict)}) {
    EXPECT_NE(SearchSmallDomain(fault), std::nullopt);
    EXPECT_NE(SearchRandomly(seed, 2'000, fault), std::nullopt);
  }
}

// The pure function as a join of states: what is left of the right state's version put onto the
// left one.
LocalState Join(const LocalState& left, const LocalState& right) {
  if (right.kind == LocalState::Kind::kNeverSeen) return left;
  const ChangeKind kind =
      right.kind == LocalState::Kind::kDeleted ? ChangeKind::kDelete : ChangeKind::kUpdate;
  const Resolution resolution = LastWriteWins(kind, right.version, left);
  return resolution.decision == Decision::kApplyRemote ? right : left;
}

bool Same(const LocalState& a, const LocalState& b) {
  return a.kind == b.kind && a.version == b.version;
}

// A version names one write, and a write is a delete or it is not.
std::vector<LocalState> SmallStates() {
  std::vector<LocalState> states = {LocalState{}};
  for (CommitTime time : {1, 2}) {
    for (Rank rank : {0, 1, 2}) {
      for (uint64_t lsn : {1, 2}) {
        states.push_back({.kind = (time + rank + lsn) % 2 == 0 ? LocalState::Kind::kDeleted
                                                               : LocalState::Kind::kLive,
                          .version = {time, rank, Lsn(lsn)}});
      }
    }
  }
  return states;
}

TEST(ConvergenceTest, JoinIsIdempotent) {
  for (const LocalState& a : SmallStates()) EXPECT_TRUE(Same(Join(a, a), a));
}

TEST(ConvergenceTest, JoinIsCommutative) {
  for (const LocalState& a : SmallStates()) {
    for (const LocalState& b : SmallStates()) EXPECT_TRUE(Same(Join(a, b), Join(b, a)));
  }
}

TEST(ConvergenceTest, JoinIsAssociative) {
  for (const LocalState& a : SmallStates()) {
    for (const LocalState& b : SmallStates()) {
      for (const LocalState& c : SmallStates()) {
        EXPECT_TRUE(Same(Join(Join(a, b), c), Join(a, Join(b, c))));
      }
    }
  }
}

TEST(ConvergenceTest, WritesDeliveredTwiceChangeNothing) {
  const uint32_t seed = FirstSeed();
  for (uint32_t i = 0; i < 2'000; ++i) {
    std::mt19937 random(seed + i);
    const History history = testing::RandomHistory(random, 3, 6);
    const Order once = testing::RandomCausalOrder(random, history);
    Order twice = once;
    twice.insert(twice.end(), once.begin(), once.end());
    const Delivery delivery = Deliver(history, once, LastWriteWins);
    EXPECT_TRUE(Same(Deliver(history, twice, LastWriteWins).state, delivery.state))
        << "seed " << seed + i << ": " << Describe(history, once);
  }
}

}  // namespace
}  // namespace pgduet
