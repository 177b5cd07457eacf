#include "agent/policy_text.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>
#include <xxhash.h>

#include "base/pg_connection.h"

namespace pgduet {
namespace {

std::string Escaped(std::string_view name) {
  std::string text;
  for (char byte : name) {
    if (byte == '\\') {
      text += "\\\\";
    } else if (byte == '\n') {
      text += "\\n";
    } else if (byte == '\r') {
      text += "\\r";
    } else {
      text += byte;
    }
  }
  return text;
}

std::string QuotedNames(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + QuoteName(name);
  return Escaped(text);
}

// Only what is not the default: a setting that a later version brings does not change the hash of
// a file without it. In the order of the names, as DescribePolicyDifference expects.
std::string DetailsOf(const TablePolicy& policy, const Config& config, const std::string& name) {
  std::string text;
  const auto add_line = [&](std::string_view key, std::string_view value) {
    text += fmt::format("table.{}.{}={}\n", name, key, value);
  };
  std::vector<ColumnPolicy> columns = policy.columns;
  std::sort(columns.begin(), columns.end(),
            [](const ColumnPolicy& left, const ColumnPolicy& right) {
              return left.column < right.column;
            });
  for (const ColumnPolicy& one : columns) {
    if (one.kind != ColumnKind::kLatest)
      add_line("column." + Escaped(QuoteName(one.column)), ColumnKindName(one.kind));
  }
  if (!policy.function.empty()) add_line("function", Escaped(policy.function));
  if (policy.function_timeout_ms != TablePolicy().function_timeout_ms)
    add_line("function_timeout", fmt::format("{}ms", policy.function_timeout_ms));
  std::vector<std::vector<std::string>> groups = policy.groups;
  for (std::vector<std::string>& group : groups) std::sort(group.begin(), group.end());
  std::sort(groups.begin(), groups.end());
  for (const std::vector<std::string>& group : groups) add_line("group", QuotedNames(group));
  std::string priority;
  for (const Rank rank : policy.priority)
    priority += (priority.empty() ? "" : ",") + config.regions[rank].name;
  if (!priority.empty()) add_line("priority", priority);
  return text;
}

// Of what the settings mean. Not the records' protocol: an agent reads older ones, so that regions
// can be upgraded one by one.
constexpr int kPolicyProtocol = 1;

}  // namespace

std::string CanonicalPolicyText(const Config& config) {
  std::string text =
      fmt::format("protocol={}\ngroup={}\nset={}\n", kPolicyProtocol, config.group, config.set);
  for (const RegionConfig& region : config.regions) {
    text += fmt::format("region.{}={}\n", region.rank, region.name);
  }
  std::vector<const TableConfig*> tables;
  for (const TableConfig& table : config.tables) tables.push_back(&table);
  std::sort(tables.begin(), tables.end(), [](const TableConfig* left, const TableConfig* right) {
    return std::tie(left->schema, left->name) < std::tie(right->schema, right->name);
  });
  for (const TableConfig* table : tables) {
    const std::string name = Escaped(table->QuotedName());
    text += fmt::format("table.{}.policy={}\n", name, PolicyName(table->policy.kind));
    text += fmt::format("table.{}.on_delete={}\n", name, OnDeleteName(table->policy.on_delete));
    text += DetailsOf(table->policy, config, name);
    // Only when it is not the default: files from before it existed keep their hash.
    if (table->on_unique != "stop")
      text += fmt::format("table.{}.on_unique={}\n", name, table->on_unique);
    if (table->on_orphan != OnOrphan::kReport)
      text += fmt::format("table.{}.on_orphan={}\n", name, OnOrphanName(table->on_orphan));
  }
  return text;
}

uint64_t PolicyHash(const Config& config) {
  const std::string text = CanonicalPolicyText(config);
  const uint64_t hash = XXH3_64bits(text.data(), text.size());
  return hash == 0 ? 1 : hash;
}

}  // namespace pgduet
