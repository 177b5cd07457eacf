// Engines with a fault: the checker of row_engine_test.cc finds each of them within a few seeds.
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/resolve/policy_check.h"

namespace pgduet {
namespace {

using testing::CheckSeed;
using testing::Rule;
using testing::Site;
using testing::Subject;

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
      WithShape([](RowShape& shape) { shape.columns[6].kind = ColumnKind::kLatest; });
  const auto rounded = After([](const auto&, const auto&, const Outcome&, Site& site) {
    if (site.state.shadow && site.visible) (*site.state.shadow)[5] = (*site.visible)[5];
  });
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
          {"a sum of floats is what is shown", kMergeRule, rounded, 20},
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
