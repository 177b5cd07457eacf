// Properties of the policy engine: whatever the history, the policy, the region and the order, the
// row is what the oracle says; and a checker that would notice if it were not.
//
//   PGDUET_RESOLVE_RUNS=100000 resolve_test --gtest_filter='*RowEngine*'    more histories
//   PGDUET_RESOLVE_SEED=17                                                  from another seed
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/resolve/policy_check.h"

namespace pgduet {
namespace {

using testing::CheckOrder;
using testing::CheckSeed;
using testing::DeliveryOptions;
using testing::HistoryOf;
using testing::Order;
using testing::PolicyHistory;
using testing::PolicyWrite;
using testing::Rule;
using testing::Site;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}
uint64_t FirstSeed() { return FromEnvironment("PGDUET_RESOLVE_SEED", 1); }
uint64_t Runs(uint64_t usual) { return FromEnvironment("PGDUET_RESOLVE_RUNS", usual); }

std::optional<std::string> CheckAllOrders(uint64_t seed, const Rule& rule) {
  const PolicyHistory history = HistoryOf(seed, rule, 5);
  std::optional<std::string> wrong;
  testing::ForEachCausalOrder(history.causality, [&](const Order& order) {
    for (Rank region = 0; region <= history.regions && !wrong; ++region) {
      if (Possible(history, order, region)) wrong = CheckOrder(history, order, {}, {}, seed);
    }
  });
  return wrong;
}

class RowEngineTest : public ::testing::TestWithParam<Rule> {};

TEST_P(RowEngineTest, EveryRegionShowsWhatTheRulesSayInEveryOrder) {
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + Runs(60); ++seed)
    ASSERT_EQ(CheckAllOrders(seed, GetParam()), std::nullopt) << "seed " << seed;
}

TEST_P(RowEngineTest, EveryRegionShowsWhatTheRulesSay) {
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + Runs(200); ++seed)
    ASSERT_EQ(CheckSeed(seed, GetParam(), {}, {}), std::nullopt);
}

TEST_P(RowEngineTest, WithoutForgettingItIsTheSame) {
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + Runs(50); ++seed) {
    const DeliveryOptions options{.forget = false, .recode = false};
    ASSERT_EQ(CheckSeed(seed, GetParam(), {}, options), std::nullopt);
  }
}

// Counters are the exception: a delta taken twice counts twice. The positions see to it that
// nothing is (apply/applied_state.h).
TEST_P(RowEngineTest, TheSameWriteAgainAtOnceChangesNothing) {
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + Runs(100); ++seed) {
    PolicyHistory history = HistoryOf(seed, GetParam(), 9);
    std::erase_if(history.shape.columns,
                  [](const ShapeColumn& column) { return column.kind == ColumnKind::kCounter; });
    history = testing::RandomPolicyHistory(seed, history.shape, history.regions, 7);
    testing::Chance chance(seed);
    const Order order = testing::RandomOrder(chance, history, 0);
    ASSERT_EQ(CheckOrder(history, order, {}, {.forget = false, .take_again = true}, seed),
              std::nullopt)
        << seed;
  }
}

std::vector<Rule> AllRules() {
  std::vector<Rule> rules;
  for (const PolicyKind kind :
       {PolicyKind::kFirstWriteWins, PolicyKind::kRegionPriority, PolicyKind::kVersions,
        PolicyKind::kMerge, PolicyKind::kCustom, PolicyKind::kError}) {
    for (const OnDelete rule :
         {OnDelete::kNewestWins, OnDelete::kDeleteWins, OnDelete::kUpdateWins})
      rules.push_back({kind, rule});
  }
  return rules;
}
INSTANTIATE_TEST_SUITE_P(All, RowEngineTest, ::testing::ValuesIn(AllRules()),
                         [](const auto& rule) { return ::testing::PrintToString(rule.param); });

// --- Batches
// --------------------------------------------------------------------------------------

// A run of writes of one origin as one: what the first found, what the last left.
RowWrite Collapsed(const std::vector<const PolicyWrite*>& run) {
  const PolicyWrite& first = *run.front();
  const PolicyWrite& last = *run.back();
  ChangeKind kind = ChangeKind::kUpdate;
  if (!first.stood) kind = ChangeKind::kInsert;
  if (last.deletes()) kind = ChangeKind::kDelete;
  return {.dot = last.dot,
          .kind = kind,
          .vector = &last.vector,
          .old_row = first.sent_old,
          .new_row = last.after};
}

// What a region that writes nothing itself shows when it collapses every run of its order.
Site TakeCollapsed(const PolicyHistory& history, const Order& order) {
  const RowEngine engine(history.shape);
  Site site;
  std::vector<const PolicyWrite*> run;
  for (size_t at = 0; at < order.size(); ++at) {
    run.push_back(&history.writes[order[at]]);
    const bool ends =
        at + 1 == order.size() || history.writes[order[at + 1]].dot.rank != run.front()->dot.rank;
    if (!ends) continue;
    const Outcome outcome = engine.Take(Collapsed(run), {}, site.state, site.visible);
    if (outcome.shown == Shown::kFunction)
      site.visible = testing::AskFunction(RowEngine::CustomOrder(site.state));
    run.clear();
  }
  return site;
}

// The seeds of which a collapsed delivery shows another row than the oracle.
int DifferWhenCollapsed(const Rule& rule, uint64_t runs) {
  int differ = 0;
  for (uint64_t seed = FirstSeed(); seed < FirstSeed() + runs; ++seed) {
    const PolicyHistory history = HistoryOf(seed, rule, 9);
    testing::Chance chance(seed);
    const auto observer = static_cast<Rank>(history.regions);
    const Order order = testing::RandomOrder(chance, history, observer);
    testing::Taken all;
    for (const int at : order) all.set(at);
    if (TakeCollapsed(history, order).visible != history.oracle().Visible(all)) ++differ;
  }
  return differ;
}

TEST(RowEngineBatchTest, PicksAreTheSameWhenARunOfOneOriginIsTakenAsOneWrite) {
  for (const Rule& rule : AllRules()) {
    if (rule.kind != PolicyKind::kMerge) {
      EXPECT_EQ(DifferWhenCollapsed(rule, Runs(300)), 0) << ::testing::PrintToString(rule);
    }
  }
}

// a, then b, then a again is no change when it is collapsed; the origin has a new `a`. So a batch
// takes each write of a merge table by itself (in memory, with one statement at the end).
TEST(RowEngineBatchTest, MergedRowsAreNot) {
  EXPECT_GT(DifferWhenCollapsed({PolicyKind::kMerge, OnDelete::kNewestWins}, 2'000), 0);
}

}  // namespace
}  // namespace pgduet
