// What the configuration says about conflicts in one table, as the engine needs it.
//
// Values only. docs/policies.md says what each policy promises; resolve/policy_registry.h has the
// pick of each. The names are those of the configuration file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/version.h"

namespace pgduet {

// Which version of a row is visible while several stand side by side.
enum class PolicyKind : uint8_t {
  kLastWriteWins,   // the newest; needs no set of versions and has a path of its own
  kFirstWriteWins,  // the oldest of those that no other write has seen
  kRegionPriority,  // the one of the strongest region, then the newest
  kVersions,        // the newest; the others are kept for the application as siblings
  kMerge,           // a row of its own, merged column by column
  kCustom,          // what the user's SQL function says
  kError,           // the newest, and a person has to decide: siblings that raise an alert
};
std::string_view PolicyName(PolicyKind kind);  // "last_write_wins", ...
std::optional<PolicyKind> PolicyNamed(std::string_view name);

// Who wins when one side has deleted the row.
enum class OnDelete : uint8_t {
  kNewestWins,  // a delete is a write like any other
  kDeleteWins,
  kUpdateWins,
};
std::string_view OnDeleteName(OnDelete rule);
std::optional<OnDelete> OnDeleteNamed(std::string_view name);

// How one column of a `merge` table is merged.
enum class ColumnKind : uint8_t {
  kLatest,      // the newest write that changed the column
  kCounter,     // each committed increment counts once; assignments are deltas
  kMax,         // the highest of concurrent writes
  kMin,         // the lowest
  kAddWinsSet,  // an array, or a jsonb array: a set in which a concurrent add beats a remove
  kMap,         // a jsonb object: each key by itself, the newest value of each
};
std::string_view ColumnKindName(ColumnKind kind);  // "latest", "counter", ...
std::optional<ColumnKind> ColumnKindNamed(std::string_view name);

struct ColumnPolicy {
  std::string column;
  ColumnKind kind = ColumnKind::kLatest;
  bool operator==(const ColumnPolicy&) const = default;
};

struct TablePolicy {
  PolicyKind kind = PolicyKind::kLastWriteWins;
  OnDelete on_delete = OnDelete::kNewestWins;
  // kRegionPriority: ranks, the strongest first; each region of the group once.
  std::vector<Rank> priority;
  // kMerge: columns that are not named are kLatest.
  std::vector<ColumnPolicy> columns;
  // kMerge: `latest` columns that win together, as one value. A column is in one group at most.
  std::vector<std::vector<std::string>> groups;
  // kCustom: schema-qualified name of the function, quoted for SQL, and how long one call may take.
  std::string function;
  int64_t function_timeout_ms = 1000;

  // Whether the table needs the sets of versions that are kept in pgduet.row_state.
  bool KeepsVersions() const { return kind != PolicyKind::kLastWriteWins; }
  // Whether siblings stay when they are stable, until somebody has written over them.
  bool KeepsSiblings() const { return kind == PolicyKind::kVersions || kind == PolicyKind::kError; }
  ColumnKind KindOf(std::string_view column) const;
  bool operator==(const TablePolicy&) const = default;
};

}  // namespace pgduet
