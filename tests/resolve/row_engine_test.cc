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

#include "tests/resolve/policy_delivery.h"

namespace pgduet {
namespace {

using testing::CheckOrder;
using testing::DeliveryOptions;
using testing::Order;
using testing::PolicyHistory;
using testing::PolicyWrite;
using testing::Site;
using testing::Subject;

struct Rule {
  PolicyKind kind;
  OnDelete on_delete;
};
void PrintTo(const Rule& rule, std::ostream* out) {
  *out << PolicyName(rule.kind) << "_" << OnDeleteName(rule.on_delete);
}

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}
uint64_t FirstSeed() { return FromEnvironment("PGDUET_RESOLVE_SEED", 1); }
uint64_t Runs(uint64_t usual) { return FromEnvironment("PGDUET_RESOLVE_RUNS", usual); }

PolicyHistory HistoryOf(uint64_t seed, const Rule& rule, int writes_max) {
  testing::Chance chance(seed);
  const int regions = 2 + static_cast<int>(chance.Below(4));
  const int count = 2 + static_cast<int>(chance.Below(writes_max - 1));
  const RowShape shape = rule.kind == PolicyKind::kMerge
                             ? testing::MergeShape(rule.on_delete)
                             : testing::PickShape(rule.kind, rule.on_delete, regions);
  return testing::RandomPolicyHistory(seed, shape, regions, count);
}

// A random order at each region, and at one that writes nothing.
std::optional<std::string> CheckSeed(uint64_t seed, const Rule& rule, const Subject& subject,
                                     DeliveryOptions options) {
  const PolicyHistory history = HistoryOf(seed, rule, 9);
  testing::Chance chance(seed);
  for (Rank region = 0; region <= history.regions; ++region) {
    const Order order = testing::RandomOrder(chance, history, region);
    const auto wrong = CheckOrder(history, order, subject, options, seed + region);
    if (wrong) return fmt::format("seed {}: {}", seed, *wrong);
  }
  return std::nullopt;
}

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

// --- The checker finds what is wrong
// --------------------------------------------------------------

struct Fault {
  const char* name;
  Rule rule;
  Subject subject;
  uint64_t seeds;  // within which it is found
};
void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

Subject After(std::function<void(const RowEngine&, const RowWrite&, const Outcome&, Site&)> spoil) {
  Subject subject;
  subject.take = [spoil](const RowEngine& engine, const RowWrite& write,
                         const AppliedVector& stable, Site& site) {
    const Outcome outcome = engine.Take(write, stable, site.state, site.visible);
    spoil(engine, write, outcome, site);
    return outcome;
  };
  return subject;
}
Subject Before(std::function<void(RowWrite&, AppliedVector& stable, Site&)> spoil) {
  Subject subject;
  subject.take = [spoil](const RowEngine& engine, const RowWrite& write,
                         const AppliedVector& stable, Site& site) {
    RowWrite spoilt = write;
    AppliedVector forgotten = stable;
    spoil(spoilt, forgotten, site);
    return engine.Take(spoilt, forgotten, site.state, site.visible);
  };
  return subject;
}
// Column states of one kind are lost.
Subject WithoutStatesOf(ColumnKind kind) {
  return After([kind](const RowEngine& engine, const RowWrite&, const Outcome&, Site& site) {
    for (size_t column = 0; column < site.state.columns.size(); ++column) {
      if (engine.shape().columns[column].kind == kind) site.state.columns[column] = {};
    }
  });
}
Subject WithShape(std::function<void(RowShape&)> change) {
  Subject subject;
  subject.take = [change](const RowEngine& engine, const RowWrite& write,
                          const AppliedVector& stable, Site& site) {
    RowShape shape = engine.shape();
    change(shape);
    return RowEngine(shape).Take(write, stable, site.state, site.visible);
  };
  return subject;
}

constexpr Rule kMergeRule{PolicyKind::kMerge, OnDelete::kNewestWins};
constexpr Rule kVersionsRule{PolicyKind::kVersions, OnDelete::kNewestWins};

std::vector<Fault> PickFaults() {
  const auto drop = After([](const auto&, const auto&, const Outcome&, Site& site) {
    if (site.state.members.size() > 2) site.state.members.erase(site.state.members.begin());
  });
  const auto arrival = After([](const auto&, const RowWrite& write, const Outcome&, Site& site) {
    site.visible = write.kind == ChangeKind::kDelete ? std::nullopt : std::optional(write.new_row);
  });
  const auto forget_delete = After([](const auto&, const auto&, const Outcome&, Site& site) {
    std::erase_if(site.state.members, [](const Member& member) { return member.deleted; });
  });
  const auto keep_covered = Before([](RowWrite& write, AppliedVector&, Site&) {
    static AppliedVector own;
    own = testing::VectorWith({}, write.dot);
    write.vector = &own;
  });
  const auto all_covered = Before([](RowWrite& write, AppliedVector&, Site& site) {
    static AppliedVector all;
    all = *write.vector;
    for (const Member& member : site.state.members) all = testing::VectorWith(all, member.dot);
    write.vector = &all;
  });
  const auto other_rule = [](OnDelete rule) {
    return WithShape([rule](RowShape& shape) { shape.policy.on_delete = rule; });
  };
  const auto as_newest = WithShape([](RowShape& s) { s.policy.kind = PolicyKind::kVersions; });
  return {{"an uncovered member is dropped", kVersionsRule, drop, 20},
          {"picked by arrival", kVersionsRule, arrival, 20},
          {"a delete is forgotten", kVersionsRule, forget_delete, 20},
          {"covered versions stay", kVersionsRule, keep_covered, 20},
          {"everything is covered", kVersionsRule, all_covered, 20},
          {"deletes win like others",
           {PolicyKind::kVersions, OnDelete::kDeleteWins},
           other_rule(OnDelete::kNewestWins),
           20},
          {"updates win like others",
           {PolicyKind::kVersions, OnDelete::kUpdateWins},
           other_rule(OnDelete::kNewestWins),
           20},
          {"the first write does not win",
           {PolicyKind::kFirstWriteWins, OnDelete::kNewestWins},
           as_newest,
           20},
          {"priority does not count",
           {PolicyKind::kRegionPriority, OnDelete::kNewestWins},
           as_newest,
           20}};
}

std::vector<Fault> MergeFaults() {
  const auto twice = Before([](RowWrite& write, AppliedVector&, Site&) {
    if (write.kind == ChangeKind::kUpdate) write.old_row[3] = Cell::Null();
  });
  const auto by_clock = Before([](RowWrite& write, AppliedVector& stable, Site& site) {
    stable = *write.vector;
    for (const Member& member : site.state.members)
      stable = testing::VectorWith(stable, member.dot);
  });
  const auto no_shadow = After(
      [](const auto&, const auto&, const Outcome&, Site& site) { site.state.shadow.reset(); });
  const auto apart = WithShape([](RowShape& shape) {
    for (ShapeColumn& column : shape.columns) column.group = -1;
  });
  const auto lowest =
      WithShape([](RowShape& shape) { shape.columns[5].kind = ColumnKind::kLatest; });
  Subject lossy;
  lossy.encode = [](const RowState& state, const std::vector<std::string>& names) {
    RowState less = state;
    less.shadow.reset();
    return EncodeRowState(less, names);
  };
  return {{"a delta counts in full again", kMergeRule, twice, 20},
          {"forgotten by clock", kMergeRule, by_clock, 50},
          {"the columns of deleted rows are forgotten", kMergeRule, no_shadow, 20},
          {"dots of sets are ignored", kMergeRule, WithoutStatesOf(ColumnKind::kAddWinsSet), 20},
          {"writers of keys are ignored", kMergeRule, WithoutStatesOf(ColumnKind::kMap), 20},
          {"writers of columns are ignored", kMergeRule, WithoutStatesOf(ColumnKind::kLatest), 20},
          {"highest is the newest", kMergeRule, lowest, 20},
          {"a group does not win together", kMergeRule, apart, 50},
          {"the text of a state leaves something out", kMergeRule, lossy, 20}};
}

class RowEngineFaultTest : public ::testing::TestWithParam<Fault> {};

TEST_P(RowEngineFaultTest, IsFound) {
  const Fault& fault = GetParam();
  for (uint64_t seed = 1; seed <= fault.seeds; ++seed) {
    if (CheckSeed(seed, fault.rule, fault.subject, {})) {
      RecordProperty("seed", static_cast<int>(seed));
      return;
    }
  }
  FAIL() << "not found in " << fault.seeds << " seeds";
}

std::string NameOf(const ::testing::TestParamInfo<Fault>& info) {
  std::string name = info.param.name;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Picks, RowEngineFaultTest, ::testing::ValuesIn(PickFaults()), NameOf);
INSTANTIATE_TEST_SUITE_P(Merges, RowEngineFaultTest, ::testing::ValuesIn(MergeFaults()), NameOf);

}  // namespace
}  // namespace pgduet
