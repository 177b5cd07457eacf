// The configuration file: any text gives problems, each told fully, or a configuration that keeps
// its promises.
#include <algorithm>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "agent/config.h"
#include "agent/policy_text.h"
#include "tests/fuzz/fuzz_target.h"

namespace pgduet {
namespace {

// In the policy text, beyond policy and delete rule.
size_t LinesOf(const TablePolicy& policy) {
  const auto named =
      std::count_if(policy.columns.begin(), policy.columns.end(),
                    [](const ColumnPolicy& one) { return one.kind != ColumnKind::kLatest; });
  return static_cast<size_t>(named) + policy.groups.size() + (policy.priority.empty() ? 0 : 1) +
         (policy.function.empty() ? 0 : 1) + (policy.function_timeout_ms == 1000 ? 0 : 1);
}

// Each policy has what it needs, and nothing of another one.
std::string CheckPolicy(const TablePolicy& policy, size_t regions) {
  const std::set<Rank> ranks(policy.priority.begin(), policy.priority.end());
  const bool by_region = policy.kind == PolicyKind::kRegionPriority;
  if (policy.priority.size() != (by_region ? regions : 0) || ranks.size() != policy.priority.size())
    return "a priority that is not each region once";
  if (policy.function.empty() == (policy.kind == PolicyKind::kCustom))
    return "a function without custom, or custom without function";
  if (policy.kind != PolicyKind::kMerge && !(policy.columns.empty() && policy.groups.empty()))
    return "columns without merge";
  if (!policy.KeepsVersions() && policy.on_delete != OnDelete::kNewestWins)
    return "a delete rule that nobody follows";
  std::set<std::string> names;
  for (const ColumnPolicy& one : policy.columns) {
    if (one.column.empty() || !names.insert(one.column).second) return "a column twice";
  }
  std::set<std::string> grouped;
  for (const std::vector<std::string>& group : policy.groups) {
    for (const std::string& column : group) {
      if (policy.KindOf(column) != ColumnKind::kLatest) return "a merged column in a group";
      if (!grouped.insert(column).second) return "a column in two groups";
    }
  }
  return "";
}

std::string CheckConfig(const Config& config) {
  if (config.group.empty()) return "no group";
  if (config.regions.size() < 2 || config.regions.size() > static_cast<size_t>(kRegionsMax))
    return "too few or many regions";
  std::set<std::string> names;
  for (size_t rank = 0; rank < config.regions.size(); ++rank) {
    const RegionConfig& region = config.regions[rank];
    if (region.rank != rank) return "a rank is not the region's place";
    if (region.name.empty() || !names.insert(region.name).second) return "two regions of one name";
    if (region.postgres.empty()) return "a region without database";
    if (config.transport == TransportKind::kKafka && region.kafka_brokers.empty())
      return "a region without brokers";
    if (config.FindRegion(region.name) != &region) return "a region is not found by its name";
  }
  if (config.tables.empty()) return "no tables";
  const auto in_order = [](const TableConfig& a, const TableConfig& b) {
    return std::tie(a.schema, a.name) < std::tie(b.schema, b.name);
  };
  for (size_t i = 1; i < config.tables.size(); ++i) {
    if (!in_order(config.tables[i - 1], config.tables[i])) return "tables out of order, or twice";
  }
  // One line a setting: protocol, group, set, the regions, two for each table and what else it has.
  size_t expected = 3 + config.regions.size();
  for (const TableConfig& table : config.tables) {
    if (std::string fault = CheckPolicy(table.policy, config.regions.size()); !fault.empty())
      return fault;
    expected += 2 + LinesOf(table.policy);
  }
  const std::string text = CanonicalPolicyText(config);
  if (static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) != expected)
    return "a name breaks the policy text";
  return "";
}

}  // namespace

FuzzOutcome FuzzConfiguration(std::string_view text) {
  const Environment environment = [](const std::string& name) -> std::optional<std::string> {
    if (name == "EAST") return "host=/tmp dbname=shop";
    return std::nullopt;
  };
  const ParsedConfig parsed = ParseConfig(std::string(text), "pgduet.yaml", environment);
  if (parsed.problems.empty()) {
    std::string complaint = CheckConfig(parsed.config);
    return {.accepted = complaint.empty(), .complaint = std::move(complaint)};
  }
  int line = 0;
  for (const ConfigProblem& problem : parsed.problems) {
    if (problem.what.empty() || problem.remedy.empty())
      return {.complaint = "a problem without text or remedy"};
    if (problem.line < line) return {.complaint = "problems out of order"};
    line = problem.line;
  }
  return {};
}

std::vector<std::string> ConfigurationSeeds() {
  return {R"(group: shop
transport: direct
regions:
  us-east: {postgres: "${EAST}", http: "127.0.0.1:9187"}
  eu-west: {postgres: "host=/tmp dbname=other", http: off}
defaults: {policy: last_write_wins, max_clock_skew: 1m30s}
tables:
  public.accounts: {}
  '"My Schema"."Tab.le"': {policy: last_write_wins, on_delete: newest_wins}
)",
          R"(group: shop
regions:
  a: {postgres: "postgresql://u@h:5433/shop", kafka: {brokers: "k1:9092,[::1]:9093"}}
  b: {postgres: "host=b dbname=shop password=x", postgres_admin: "${ADMIN:-host=b dbname=shop}", kafka: {brokers: k1:9092}}
kafka: {properties: {compression.codec: lz4}, retention_min: 7d, replication_factor: 3}
tables: {public.t: }
)",
          R"(group: shop
transport: direct
regions: {a: {postgres: "host=/tmp dbname=a"}, b: {postgres: "host=/tmp dbname=b"}}
defaults: {policy: region_priority, on_delete: update_wins, priority: [b]}
tables:
  public.p: {}
  public.m: {policy: merge, columns: {n: counter, s: add_wins_set, m: map, t: max}, groups: [[x, y], [v, w]]}
  public.c: {policy: custom, function: shop.resolve, function_timeout: 250ms}
  public.l: {policy: last_write_wins, on_delete: newest_wins}
)",
          "group: &g shop\nregions: {a: *g, ? [x] : 1}\ntables: [1, 2]\nowner: $${x}\n"};
}

}  // namespace pgduet
