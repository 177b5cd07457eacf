// The vocabulary of conflicts: PostgreSQL's own names, and what was decided.
#pragma once

#include <cstdint>
#include <string_view>

namespace pgduet {

enum class ConflictKind : uint8_t {
  kInsertExists,
  kUpdateOriginDiffers,
  kUpdateExists,
  kUpdateMissing,
  kUpdateDeleted,
  kDeleteOriginDiffers,
  kDeleteMissing,
  kMultipleUniqueConflicts,
};
// "insert_exists", ...: log, metric label and table value.
std::string_view ConflictKindName(ConflictKind kind);

// kMerge: the row that stands is neither side's (policies merge and custom).
enum class Decision : uint8_t { kApplyRemote, kKeepLocal, kMerge };
std::string_view DecisionName(Decision decision);  // "apply_remote", "keep_local", "merge"

}  // namespace pgduet
