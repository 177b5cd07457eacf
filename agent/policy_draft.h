// What the file says about conflicts in one table, or in `defaults`, before it is put together:
// regions and columns by name, each with its line, for the problems to point at.
//
// The reader (config_reader.cc) fills drafts through the settings' table; policy_settings.h makes
// a TablePolicy of them. Values only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "resolve/orphans.h"
#include "resolve/table_policy.h"

namespace pgduet {

// Why a value is refused. Shown with its line and key.
struct SettingFault {
  std::string what;
  std::string remedy;
};

struct PlacedText {
  std::string text;
  int line = 0;
};

struct PlacedColumn {
  PlacedText name;
  ColumnKind kind = ColumnKind::kLatest;
};

struct PolicyDraft {
  std::map<std::string, int, std::less<>> lines;  // of the keys that stand there
  // Empty: not there, or not sound.
  std::optional<PolicyKind> kind;
  std::optional<OnDelete> on_delete;
  std::optional<std::string> on_unique;  // stop, park_loser
  std::optional<OnOrphan> on_orphan;
  std::vector<PlacedText> priority;
  std::vector<PlacedColumn> columns;
  std::vector<std::vector<PlacedText>> groups;
  std::string function;  // quoted for SQL
  std::optional<int64_t> function_timeout_ms;

  bool Has(std::string_view key) const { return lines.find(key) != lines.end(); }
  int LineOf(std::string_view key, int otherwise) const {
    const auto found = lines.find(key);
    return found == lines.end() ? otherwise : found->second;
  }
};

// Each stores the value, or says why it is refused.
std::optional<SettingFault> ReadPolicyKind(const std::string& value, PolicyDraft& draft);
std::optional<SettingFault> ReadOnDelete(const std::string& value, PolicyDraft& draft);
std::optional<SettingFault> ReadFunction(const std::string& value, PolicyDraft& draft);
std::optional<SettingFault> ReadColumn(const PlacedText& name, const std::string& kind,
                                       PolicyDraft& draft);
// Empty: it can be the name of a column.
std::string ColumnNameFault(std::string_view name);

}  // namespace pgduet
