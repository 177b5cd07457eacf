#include "agent/policy_draft.h"

#include <fmt/format.h>

#include "agent/config_values.h"
#include "base/pg_connection.h"

namespace pgduet {
namespace {

// "a, b or c": every name of an enumeration whose values are 0, 1, 2, ...
template <typename Kind>
std::string AllNames(std::string_view (*name_of)(Kind)) {
  std::vector<std::string_view> names;
  for (int value = 0; name_of(static_cast<Kind>(value)) != "unknown"; ++value)
    names.push_back(name_of(static_cast<Kind>(value)));
  const std::string_view last = names.back();
  names.pop_back();
  return fmt::format("{} or {}", fmt::join(names, ", "), last);
}

}  // namespace

std::optional<SettingFault> ReadPolicyKind(const std::string& value, PolicyDraft& draft) {
  draft.kind = PolicyNamed(value);
  if (draft.kind.has_value()) return std::nullopt;
  if (value == "owner") {
    return SettingFault{"policy 'owner' is not available in this version",
                        "use " + AllNames(PolicyName)};
  }
  return SettingFault{fmt::format("unknown policy: '{}'", value), "use " + AllNames(PolicyName)};
}

std::optional<SettingFault> ReadOnDelete(const std::string& value, PolicyDraft& draft) {
  draft.on_delete = OnDeleteNamed(value);
  if (draft.on_delete.has_value()) return std::nullopt;
  return SettingFault{fmt::format("unknown on_delete: '{}'", value),
                      "use " + AllNames(OnDeleteName)};
}

std::optional<SettingFault> ReadFunction(const std::string& value, PolicyDraft& draft) {
  const TableNameText name = ParseTableName(value);
  if (!name.fault.empty()) {
    return SettingFault{fmt::format("not a function's name: {}", name.fault),
                        "write schema.function, without arguments; special names as in SQL"};
  }
  draft.function = QuoteName(name.schema) + "." + QuoteName(name.name);
  return std::nullopt;
}

std::optional<SettingFault> ReadColumn(const PlacedText& name, const std::string& kind,
                                       PolicyDraft& draft) {
  if (const std::string fault = ColumnNameFault(name.text); !fault.empty()) {
    return SettingFault{fmt::format("not a column's name: {}", fault),
                        "write it as PostgreSQL has it, without SQL's quotes"};
  }
  const std::optional<ColumnKind> found = ColumnKindNamed(kind);
  if (!found.has_value()) {
    return SettingFault{fmt::format("unknown kind of column: '{}'", kind),
                        "use " + AllNames(ColumnKindName)};
  }
  draft.columns.push_back({name, *found});
  return std::nullopt;
}

std::string ColumnNameFault(std::string_view name) {
  if (name.empty()) return "it is empty";
  if (name.size() > 63) return "it is longer than 63 bytes";
  if (name.find('\0') != std::string_view::npos) return "it holds a NUL byte";
  return "";
}

}  // namespace pgduet
