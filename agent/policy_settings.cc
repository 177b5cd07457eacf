#include "agent/policy_settings.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace pgduet {
namespace {

struct Belongs {
  std::string_view key;
  PolicyKind kind;
};
constexpr Belongs kBelongs[] = {
    {"priority", PolicyKind::kRegionPriority},
    {"columns", PolicyKind::kMerge},
    {"groups", PolicyKind::kMerge},
    {"function", PolicyKind::kCustom},
    {"function_timeout", PolicyKind::kCustom},
};

std::string NamesOf(const std::vector<RegionConfig>& regions) {
  std::string names;
  for (const RegionConfig& region : regions) names += (names.empty() ? "" : ", ") + region.name;
  return names;
}

}  // namespace

PolicySettings::PolicySettings(const std::vector<RegionConfig>& regions,
                               const PolicyDraft& defaults, std::vector<ConfigProblem>& problems)
    : regions_(regions), defaults_(defaults), problems_(problems) {
  default_priority_ = RanksOf(defaults.priority, "defaults.priority");
}

void PolicySettings::Problem(int line, std::string key, std::string what, std::string remedy) {
  problems_.push_back({line, std::move(key), std::move(what), std::move(remedy)});
}

TablePolicy PolicySettings::Finish(const PolicyDraft& table, const std::string& shown, int line) {
  TablePolicy policy;
  const PolicyDraft& teller = table.Has("policy") ? table : defaults_;
  // An unknown policy is a problem already; what belongs to it nobody knows.
  if (teller.Has("policy") && !teller.kind.has_value()) return policy;
  policy.kind = teller.kind.value_or(policy.kind);
  CheckBelongs(table, policy.kind, shown);
  FinishOnDelete(table, shown, line, policy);
  if (policy.kind == PolicyKind::kRegionPriority) FinishPriority(table, shown, line, policy);
  if (policy.kind == PolicyKind::kMerge) FinishMerge(table, shown, policy);
  if (policy.kind == PolicyKind::kCustom) FinishFunction(table, shown, line, policy);
  return policy;
}

void PolicySettings::FinishDefaults() {
  if (!defaults_.Has("priority") || by_region_ || defaults_.kind == PolicyKind::kRegionPriority)
    return;
  Problem(defaults_.LineOf("priority", 0), "defaults.priority",
          "no table uses it: none has policy 'region_priority'", "remove it");
}

void PolicySettings::CheckBelongs(const PolicyDraft& table, PolicyKind kind,
                                  const std::string& shown) {
  for (const Belongs& one : kBelongs) {
    if (one.kind == kind || !table.Has(one.key)) continue;
    Problem(table.LineOf(one.key, 0), fmt::format("{}.{}", shown, one.key),
            fmt::format("this setting belongs to policy '{}', and the table has '{}'",
                        PolicyName(one.kind), PolicyName(kind)),
            fmt::format("remove it, or set 'policy: {}'", PolicyName(one.kind)));
  }
}

// Last write wins keeps no versions: who wins is said by the row and its tombstone alone.
void PolicySettings::FinishOnDelete(const PolicyDraft& table, const std::string& shown, int line,
                                    TablePolicy& policy) {
  const bool own = table.Has("on_delete");
  policy.on_delete = (own ? table : defaults_).on_delete.value_or(policy.on_delete);
  if (policy.kind != PolicyKind::kLastWriteWins || policy.on_delete == OnDelete::kNewestWins)
    return;
  if (!own && std::exchange(default_on_delete_told_, true)) return;
  Problem(own ? table.LineOf("on_delete", line) : defaults_.LineOf("on_delete", line),
          own ? shown + ".on_delete" : "defaults.on_delete",
          fmt::format("'{}' needs a policy that keeps versions, and {} has 'last_write_wins'",
                      OnDeleteName(policy.on_delete), own ? "the table" : shown),
          "set 'on_delete: newest_wins', or choose another policy, as 'versions'");
}

void PolicySettings::FinishPriority(const PolicyDraft& table, const std::string& shown, int line,
                                    TablePolicy& policy) {
  by_region_ = true;
  if (table.Has("priority")) {
    policy.priority = RanksOf(table.priority, shown + ".priority");
  } else if (defaults_.Has("priority")) {
    policy.priority = default_priority_;
  } else {
    Problem(line, shown + ".priority", "the setting is missing: policy 'region_priority' needs it",
            fmt::format("add 'priority: [{}]', the strongest first", NamesOf(regions_)));
  }
}

void PolicySettings::FinishMerge(const PolicyDraft& table, const std::string& shown,
                                 TablePolicy& policy) {
  for (const PlacedColumn& one : table.columns) policy.columns.push_back({one.name.text, one.kind});
  std::sort(policy.columns.begin(), policy.columns.end(),
            [](const ColumnPolicy& left, const ColumnPolicy& right) {
              return left.column < right.column;
            });
  std::set<std::string> grouped;
  for (const std::vector<PlacedText>& group : table.groups) {
    std::vector<std::string> names;
    for (const PlacedText& column : group) {
      const ColumnKind kind = policy.KindOf(column.text);
      if (const std::string fault = ColumnNameFault(column.text); !fault.empty()) {
        Problem(column.line, shown + ".groups", fmt::format("not a column's name: {}", fault),
                "write it as PostgreSQL has it, without SQL's quotes");
      } else if (!grouped.insert(column.text).second) {
        Problem(column.line, shown + ".groups",
                fmt::format("a column stands in groups twice: '{}'", column.text),
                "remove one of them");
      } else if (kind != ColumnKind::kLatest) {
        Problem(column.line, shown + ".groups",
                fmt::format("a column in a group must be 'latest': '{}' is '{}'", column.text,
                            ColumnKindName(kind)),
                "take it out of the group, or out of 'columns'");
      }
      names.push_back(column.text);
    }
    if (names.size() == 1) {
      Problem(group.front().line, shown + ".groups",
              fmt::format("a group of one column: '{}'", names.front()),
              "name at least two, or remove it");
    }
    std::sort(names.begin(), names.end());
    policy.groups.push_back(std::move(names));
  }
  std::sort(policy.groups.begin(), policy.groups.end());
}

void PolicySettings::FinishFunction(const PolicyDraft& table, const std::string& shown, int line,
                                    TablePolicy& policy) {
  policy.function = table.function;
  policy.function_timeout_ms = table.function_timeout_ms.value_or(policy.function_timeout_ms);
  if (table.Has("function")) return;
  Problem(line, shown + ".function", "the setting is missing: policy 'custom' needs it",
          "add 'function: schema.name'");
}

// Of the regions that are named, then of the others. Nothing when none is named.
std::vector<Rank> PolicySettings::RanksOf(const std::vector<PlacedText>& names,
                                          const std::string& shown) {
  std::vector<Rank> ranks;
  if (names.empty()) return ranks;
  const auto stands = [&](Rank rank) {
    return std::find(ranks.begin(), ranks.end(), rank) != ranks.end();
  };
  for (const PlacedText& name : names) {
    const auto region =
        std::find_if(regions_.begin(), regions_.end(),
                     [&](const RegionConfig& one) { return one.name == name.text; });
    if (region == regions_.end()) {
      Problem(name.line, shown, fmt::format("unknown region: '{}'", name.text),
              fmt::format("the regions are: {}", NamesOf(regions_)));
    } else if (stands(region->rank)) {
      Problem(name.line, shown, fmt::format("a region stands there twice: '{}'", name.text),
              "remove one of them");
    } else {
      ranks.push_back(region->rank);
    }
  }
  for (const RegionConfig& region : regions_) {
    if (!stands(region.rank)) ranks.push_back(region.rank);
  }
  return ranks;
}

}  // namespace pgduet
