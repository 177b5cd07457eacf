#include "agent/policy_set.h"

#include <algorithm>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <xxhash.h>
#include <yaml-cpp/yaml.h>

#include "agent/config_values.h"
#include "agent/policy_text.h"
#include "base/named_error.h"
#include "transport/policy_difference.h"

namespace pgduet {
namespace {

// Of `defaults` the only setting that decides nothing: each file has its own.
constexpr char kOwnDefault[] = "max_clock_skew";

absl::Status Unreadable(std::string_view detail) {
  return NamedError(absl::StatusCode::kFailedPrecondition, "policy_set_unreadable",
                    fmt::format("the stored set of policies cannot be read: {}", detail),
                    "Run this agent with the version that applied it, and with the same "
                    "environment variables.");
}

// Everything but the lines of policies: "table.x.policy=..." only says that the table is there.
std::set<std::string> FixedLines(const std::string& policy_text) {
  std::set<std::string> lines;
  std::istringstream text(policy_text);
  for (std::string line; std::getline(text, line);) {
    if (!line.starts_with("table.")) {
      lines.insert(line);
    } else if (const size_t end = line.find(".policy="); end != std::string::npos) {
      lines.insert(line.substr(0, end));
    }
  }
  return lines;
}

std::string Joined(const std::set<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// Whether the entry of a file's `tables` is one of the other sets', which have their own agents.
bool IsOthers(const Config& config, const YAML::Node& name) {
  const TableNameText table = ParseTableName(name.Scalar());
  return std::any_of(config.others.begin(), config.others.end(), [&](const TableConfig& other) {
    return other.schema == table.schema && other.name == table.name;
  });
}

// `tables`, with the entries of other sets or without those of ours. Without other sets all of it,
// or nothing.
YAML::Node TablesOf(const Config& config, const YAML::Node& tables, bool others) {
  YAML::Node kept = YAML::Clone(tables);
  for (const auto& entry : tables) {
    if (IsOthers(config, entry.first) != others) kept.remove(entry.first.Scalar());
  }
  return kept;
}

std::string TextOf(const Config& group, const TableConfig& table) {
  Config one = group;
  one.tables = {table};
  return CanonicalPolicyText(one);
}

}  // namespace

std::string PolicySettingsText(const Config& config) {
  const YAML::Node file = YAML::Load(config.source);
  YAML::Node settings;
  settings["tables"] = TablesOf(config, file["tables"], /*others=*/false);
  if (const YAML::Node defaults = file["defaults"]; defaults.IsDefined() && defaults.IsMap()) {
    for (const auto& entry : defaults) {
      if (entry.first.Scalar() != kOwnDefault) settings["defaults"][entry.first] = entry.second;
    }
  }
  return YAML::Dump(settings);
}

absl::StatusOr<Config> WithPolicySettings(const Config& file, const std::string& settings,
                                          const std::string& policy_text) {
  std::string document;
  try {
    YAML::Node whole = YAML::Load(file.source);
    const YAML::Node stored = YAML::Load(settings);
    YAML::Node tables = TablesOf(file, whole["tables"], /*others=*/true);
    for (const auto& entry : stored["tables"]) tables[entry.first.Scalar()] = entry.second;
    whole["tables"] = tables;
    YAML::Node defaults;
    if (stored["defaults"].IsDefined()) defaults = YAML::Clone(stored["defaults"]);
    if (whole["defaults"].IsDefined() && whole["defaults"][kOwnDefault].IsDefined())
      defaults[kOwnDefault] = whole["defaults"][kOwnDefault];
    whole.remove("defaults");
    if (defaults.IsMap()) whole["defaults"] = defaults;
    document = YAML::Dump(whole);
  } catch (const YAML::Exception& error) {
    return Unreadable(error.msg);
  }
  ParsedConfig parsed = ParseConfig(document, file.path, ProcessEnvironment());
  if (!parsed.problems.empty()) return Unreadable(parsed.problems.front().ToString(file.path));
  PGDUET_ASSIGN_OR_RETURN(Config config, OfSet(std::move(parsed.config), file.set));
  const std::string text = CanonicalPolicyText(config);
  if (text != policy_text) return Unreadable(DescribePolicyDifference(policy_text, text));
  config.source = document;
  return config;
}

std::vector<TableConfig> ChangedTables(const Config& from, const Config& to) {
  std::vector<TableConfig> changed;
  for (const TableConfig& table : to.tables) {
    for (const TableConfig& before : from.tables) {
      if (before.schema == table.schema && before.name == table.name &&
          TextOf(from, before) != TextOf(to, table)) {
        changed.push_back(table);
      }
    }
  }
  return changed;
}

absl::Status CheckPoliciesAlone(const std::string& from_text, const std::string& to_text) {
  const std::set<std::string> from = FixedLines(from_text), to = FixedLines(to_text);
  if (from == to) return absl::OkStatus();
  return NamedError(absl::StatusCode::kFailedPrecondition, "policy_change_too_large",
                    fmt::format("more than policies of tables would change: {}",
                                DescribePolicyDifference(Joined(from), Joined(to))),
                    "Change tables and regions as docs/policies.md says: the same file everywhere, "
                    "'pgduet init', "
                    "and a restart of all agents; then the policies.");
}

uint64_t PolicyTextHash(const std::string& policy_text) {
  const uint64_t hash = XXH3_64bits(policy_text.data(), policy_text.size());
  return hash == 0 ? 1 : hash;
}

}  // namespace pgduet
