#include "resolve/table_policy.h"

#include <array>
#include <utility>

namespace pgduet {
namespace {

template <typename Kind, size_t N>
using Names = std::array<std::pair<Kind, std::string_view>, N>;

constexpr Names<PolicyKind, 7> kPolicies = {{
    {PolicyKind::kLastWriteWins, "last_write_wins"},
    {PolicyKind::kFirstWriteWins, "first_write_wins"},
    {PolicyKind::kRegionPriority, "region_priority"},
    {PolicyKind::kVersions, "versions"},
    {PolicyKind::kMerge, "merge"},
    {PolicyKind::kCustom, "custom"},
    {PolicyKind::kError, "error"},
}};
constexpr Names<OnDelete, 3> kOnDelete = {{
    {OnDelete::kNewestWins, "newest_wins"},
    {OnDelete::kDeleteWins, "delete_wins"},
    {OnDelete::kUpdateWins, "update_wins"},
}};
constexpr Names<ColumnKind, 6> kColumns = {{
    {ColumnKind::kLatest, "latest"},
    {ColumnKind::kCounter, "counter"},
    {ColumnKind::kMax, "max"},
    {ColumnKind::kMin, "min"},
    {ColumnKind::kAddWinsSet, "add_wins_set"},
    {ColumnKind::kMap, "map"},
}};

template <typename Kind, size_t N>
std::string_view NameIn(const Names<Kind, N>& names, Kind kind) {
  for (const auto& [one, name] : names) {
    if (one == kind) return name;
  }
  return "unknown";
}

template <typename Kind, size_t N>
std::optional<Kind> KindIn(const Names<Kind, N>& names, std::string_view name) {
  for (const auto& [kind, one] : names) {
    if (one == name) return kind;
  }
  return std::nullopt;
}

}  // namespace

std::string_view PolicyName(PolicyKind kind) { return NameIn(kPolicies, kind); }
std::optional<PolicyKind> PolicyNamed(std::string_view name) { return KindIn(kPolicies, name); }
std::string_view OnDeleteName(OnDelete rule) { return NameIn(kOnDelete, rule); }
std::optional<OnDelete> OnDeleteNamed(std::string_view name) { return KindIn(kOnDelete, name); }
std::string_view ColumnKindName(ColumnKind kind) { return NameIn(kColumns, kind); }
std::optional<ColumnKind> ColumnKindNamed(std::string_view name) { return KindIn(kColumns, name); }

ColumnKind TablePolicy::KindOf(std::string_view column) const {
  for (const ColumnPolicy& one : columns) {
    if (one.column == column) return one.kind;
  }
  return ColumnKind::kLatest;
}

}  // namespace pgduet
