#include "agent/policy_settings.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/policy_text.h"
#include "tests/agent/config_samples.h"

namespace pgduet {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The sound configuration with these settings for its table, and with these defaults.
std::string WithTable(const std::string& settings, const std::string& defaults = "") {
  const std::string text = SoundWith("accounts: {}", "accounts: " + settings);
  return defaults.empty() ? text : "defaults: " + defaults + "\n" + text;
}

TablePolicy PolicyOf(const std::string& settings, const std::string& defaults = "") {
  const ParsedConfig parsed = Parsed(WithTable(settings, defaults));
  EXPECT_TRUE(parsed.problems.empty()) << ProblemsOf(WithTable(settings, defaults));
  return parsed.problems.empty() ? parsed.config.tables.front().policy : TablePolicy();
}

TEST(PolicySettingsTest, EveryPolicyAndDeleteRuleCanBeChosen) {
  EXPECT_EQ(PolicyOf("{policy: first_write_wins}").kind, PolicyKind::kFirstWriteWins);
  EXPECT_EQ(PolicyOf("{policy: versions}").kind, PolicyKind::kVersions);
  EXPECT_EQ(PolicyOf("{policy: error}").kind, PolicyKind::kError);
  EXPECT_EQ(PolicyOf("{policy: merge}").kind, PolicyKind::kMerge);
  EXPECT_EQ(PolicyOf("{policy: versions, on_delete: delete_wins}").on_delete,
            OnDelete::kDeleteWins);
  EXPECT_EQ(PolicyOf("{policy: merge, on_delete: update_wins}").on_delete, OnDelete::kUpdateWins);
}

TEST(PolicySettingsTest, ATableSaysItItselfOrTheDefaultsDo) {
  const std::string defaults = "{policy: versions, on_delete: delete_wins}";
  EXPECT_EQ(PolicyOf("{}", defaults),
            (TablePolicy{.kind = PolicyKind::kVersions, .on_delete = OnDelete::kDeleteWins}));
  EXPECT_EQ(PolicyOf("{policy: error, on_delete: newest_wins}", defaults),
            (TablePolicy{.kind = PolicyKind::kError}));
}

TEST(PolicySettingsTest, OnOrphanIsTheTablesOrTheDefaultWhereItCanBeKept) {
  const auto rule = [](const std::string& table, const std::string& defaults) {
    const ParsedConfig parsed = Parsed(WithTable(table, defaults));
    EXPECT_TRUE(parsed.problems.empty()) << ProblemsOf(WithTable(table, defaults));
    return parsed.config.tables.front().on_orphan;
  };
  EXPECT_EQ(rule("{}", "{policy: last_write_wins}"), OnOrphan::kReport);
  EXPECT_EQ(rule("{}", "{on_orphan: delete_child}"), OnOrphan::kDeleteChild);
  EXPECT_EQ(rule("{on_orphan: revive_parent}", "{on_orphan: delete_child}"),
            OnOrphan::kReviveParent);
  EXPECT_EQ(rule("{policy: versions}", "{on_orphan: delete_child}"), OnOrphan::kReport);
}

TEST(PolicySettingsTest, RegionsOfAPriorityBecomeRanksAndTheOthersFollow) {
  EXPECT_THAT(PolicyOf("{policy: region_priority, priority: [eu-west]}").priority,
              ElementsAre(1, 0));
  EXPECT_THAT(PolicyOf("{policy: region_priority, priority: [us-east, eu-west]}").priority,
              ElementsAre(0, 1));
  EXPECT_THAT(PolicyOf("{policy: region_priority}", "{priority: [eu-west]}").priority,
              ElementsAre(1, 0));
  EXPECT_THAT(PolicyOf("{policy: region_priority, priority: [us-east]}",
                       "{policy: region_priority, priority: [eu-west]}")
                  .priority,
              ElementsAre(0, 1))
      << "the table's own list";
}

TEST(PolicySettingsTest, ColumnsAndGroupsAreSorted) {
  const TablePolicy policy = PolicyOf(
      "{policy: merge, columns: {n: counter, a: max, \"My Col\": map, l: latest}, "
      "groups: [[z, y], [x, l]]}");
  EXPECT_THAT(
      policy.columns,
      ElementsAre(ColumnPolicy{"My Col", ColumnKind::kMap}, ColumnPolicy{"a", ColumnKind::kMax},
                  ColumnPolicy{"l", {}}, ColumnPolicy{"n", ColumnKind::kCounter}));
  EXPECT_THAT(policy.groups, ElementsAre(ElementsAre("l", "x"), ElementsAre("y", "z")));
}

TEST(PolicySettingsTest, AFunctionIsQuotedForSql) {
  const TablePolicy policy =
      PolicyOf("{policy: custom, function: shop.resolve, function_timeout: 250ms}");
  EXPECT_EQ(policy.function, "\"shop\".\"resolve\"");
  EXPECT_EQ(policy.function_timeout_ms, 250);
  EXPECT_EQ(PolicyOf("{policy: custom, function: '\"My\".\"f.\"\"x\"'}").function,
            "\"My\".\"f.\"\"x\"");
}

struct Mistake {
  const char* name;
  const char* table;
  const char* defaults;
  const char* problem;
};

const Mistake kMistakes[] = {
    {"ColumnsWithoutMerge", "{columns: {a: counter}}", "",
     "pgduet.yaml:6: tables.public.accounts.columns: this setting belongs to policy 'merge', and "
     "the table has 'last_write_wins'; remove it, or set 'policy: merge'"},
    {"GroupsWithoutMerge", "{policy: versions, groups: [[a, b]]}", "",
     "groups: this setting belongs to policy 'merge', and the table has 'versions'"},
    {"PriorityElsewhere", "{policy: merge, priority: [us-east]}", "",
     "priority: this setting belongs to policy 'region_priority', and the table has 'merge'"},
    {"FunctionElsewhere", "{policy: error, function: a.b}", "",
     "function: this setting belongs to policy 'custom'"},
    {"TimeoutElsewhere", "{policy: error, function_timeout: 2s}", "",
     "function_timeout: this setting belongs to policy 'custom'"},
    {"BelongsAgainstTheDefault", "{columns: {a: counter}}", "{policy: error}",
     "pgduet.yaml:7: tables.public.accounts.columns: this setting belongs to policy 'merge', and "
     "the table has 'error'"},
    {"PriorityMissing", "{policy: region_priority}", "",
     "pgduet.yaml:6: tables.public.accounts.priority: the setting is missing: policy "
     "'region_priority' needs it; add 'priority: [us-east, eu-west]', the strongest first"},
    {"PriorityUnknown", "{policy: region_priority, priority: [us-wst]}", "",
     "priority: unknown region: 'us-wst'; the regions are: us-east, eu-west"},
    {"PriorityDouble",
     "\n    policy: region_priority\n    priority:\n      - us-east\n      - us-east", "",
     "pgduet.yaml:10: tables.public.accounts.priority: a region stands there twice: 'us-east'"},
    {"PriorityIsNoList", "{policy: region_priority, priority: us-east}", "",
     "priority: the value must be a list; write it as [a, b]"},
    {"PriorityIsEmpty", "{policy: region_priority, priority: []}", "",
     "priority: the list is empty"},
    {"PriorityHasNoValue", "\n    policy: region_priority\n    priority:", "",
     "pgduet.yaml:8: tables.public.accounts.priority: the value is missing"},
    {"PriorityHoldsAList", "{policy: region_priority, priority: [[us-east]]}", "",
     "priority: the value must be a single one"},
    {"DefaultPriorityUnknown", "{policy: region_priority}", "{priority: [mars]}",
     "pgduet.yaml:1: defaults.priority: unknown region: 'mars'"},
    {"DefaultPriorityUnused", "{}", "{priority: [us-east]}",
     "pgduet.yaml:1: defaults.priority: no table uses it"},
    {"ColumnsInDefaults", "{}", "{columns: {a: counter}}", "defaults.columns: unknown key"},
    {"KindOfColumn", "{policy: merge, columns: {a: countr}}", "",
     "tables.public.accounts.columns.a: unknown kind of column: 'countr'; use latest, counter, "
     "max, min, add_wins_set or map"},
    {"ColumnTwice", "{policy: merge, columns: {a: max, a: min}}", "",
     "columns.a: duplicate key, first on line 6"},
    {"ColumnsAreAList", "{policy: merge, columns: [a]}", "",
     "columns: the value must be a mapping of keys"},
    {"ColumnNameEmpty", "{policy: merge, columns: {\"\": max}}", "",
     "not a column's name: it is empty"},
    {"ColumnInTwoGroups", "{policy: merge, groups: [[a, b], [c, a]]}", "",
     "groups: a column stands in groups twice: 'a'; remove one of them"},
    {"ColumnTwiceInAGroup", "{policy: merge, groups: [[a, a]]}", "",
     "groups: a column stands in groups twice: 'a'"},
    {"GroupOfOne", "{policy: merge, groups: [[a]]}", "", "groups: a group of one column: 'a'"},
    {"CounterInAGroup", "{policy: merge, columns: {b: counter}, groups: [[a, b]]}", "",
     "groups: a column in a group must be 'latest': 'b' is 'counter'"},
    {"GroupsAreFlat", "{policy: merge, groups: [a]}", "", "groups: the value must be a list"},
    {"FunctionMissing", "{policy: custom}", "",
     "function: the setting is missing: policy 'custom' needs it; add 'function: schema.name'"},
    {"FunctionWithoutSchema", "{policy: custom, function: f}", "",
     "function: not a function's name: the schema is missing"},
    {"FunctionWithArguments", "{policy: custom, function: 'a.f(jsonb)'}", "",
     "function: not a function's name"},
    {"TimeoutBounds", "{policy: custom, function: a.f, function_timeout: 2m}", "",
     "function_timeout: duration out of bounds: '2m'; use 10ms to 1m"},
    {"DeleteRule", "{policy: versions, on_delete: never}", "",
     "on_delete: unknown on_delete: 'never'; use newest_wins, delete_wins or update_wins"},
    {"DeleteRuleOfLastWriteWins", "{on_delete: delete_wins}", "",
     "tables.public.accounts.on_delete: 'delete_wins' needs a policy that keeps versions, and the "
     "table has 'last_write_wins'; set 'on_delete: newest_wins', or"},
    {"OrphanRule", "{on_orphan: cascade}", "",
     "tables.public.accounts.on_orphan: unknown on_orphan: 'cascade'; use 'report', "
     "'delete_child' or 'revive_parent'"},
    {"OrphanRuleOfVersions", "{policy: versions, on_orphan: delete_child}", "",
     "tables.public.accounts.on_orphan: 'delete_child' needs the policy last_write_wins; remove "
     "it, or the table's policy"},
    {"DefaultDeleteRule", "{}", "{on_delete: delete_wins}",
     "pgduet.yaml:1: defaults.on_delete: 'delete_wins' needs a policy that keeps versions, and "
     "tables.public.accounts has 'last_write_wins'"},
};

class PolicyMistakeTest : public testing::TestWithParam<Mistake> {};

TEST_P(PolicyMistakeTest, IsNamedWithItsPlaceAndNothingElseIsSaid) {
  const std::string problems = ProblemsOf(WithTable(GetParam().table, GetParam().defaults));
  EXPECT_THAT(problems, HasSubstr(GetParam().problem));
  EXPECT_EQ(std::count(problems.begin(), problems.end(), '\n'), 1) << problems;
}

INSTANTIATE_TEST_SUITE_P(PolicySettingsTest, PolicyMistakeTest, testing::ValuesIn(kMistakes),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(PolicySettingsTest, AnUnknownPolicyIsOneProblemWhateverStandsBesideIt) {
  const std::string problems = ProblemsOf(
      WithTable("{policy: merg, columns: {a: counter}, function: a.b, priority: [us-east]}"));
  EXPECT_THAT(problems, HasSubstr("unknown policy: 'merg'"));
  EXPECT_EQ(std::count(problems.begin(), problems.end(), '\n'), 1) << problems;
}

TEST(PolicySettingsTest, AWrongDefaultIsToldOnceForManyTables) {
  const std::string problems =
      ProblemsOf(WithTable("{}\n  public.b: {}\n  public.c: {}", "{on_delete: delete_wins}"));
  EXPECT_EQ(std::count(problems.begin(), problems.end(), '\n'), 1) << problems;
}

TEST(PolicySettingsTest, TablesThatDifferInTheirQuotesOnlyMustHaveOnePolicy) {
  const std::string pair = R"({}
  '"a.b".c': {policy: versions}
  'a."b.c"': )";
  EXPECT_EQ(ProblemsOf(SoundWith("{}\n", pair + "{policy: versions}\n")), "");
  EXPECT_THAT(ProblemsOf(SoundWith("{}\n", pair + "{}\n")),
              HasSubstr("pgduet.yaml:8: tables.a.b.c: another table has the same name without "
                        "quotes, on line 7, and another policy"));
}

TEST(PolicySettingsTest, NamesThatAreTooLongTogetherToTravelAreRefused) {
  std::string columns;
  for (int column = 0; column < 12'000; ++column)
    columns += fmt::format("{}{:060}: counter", column == 0 ? "" : ", ", column);
  EXPECT_THAT(ProblemsOf(WithTable("{policy: merge, columns: {" + columns + "}}")),
              HasSubstr("tables: all names and policies together are too long to travel"));
}

}  // namespace
}  // namespace pgduet
