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
  kParentMissing,  // not PostgreSQL's: a row refers to a parent that was deleted
                   // (resolve/orphans.h)
};
// "insert_exists", ...: log, metric label and table value.
std::string_view ConflictKindName(ConflictKind kind);

enum class Decision : uint8_t {
  kApplyRemote,
  kKeepLocal,
  kMerge,  // the row that stands is neither side's (policies merge and custom)
  // Two rows under different keys, one value of a secondary unique key: the loser is kept in
  // pgduet.parked (resolve/unique_visibility.h).
  kParkRemote,
  kParkLocal,
  // A row without its parent (resolve/orphans.h).
  kReportOrphan,
  kDeleteChild,
  kReviveParent,
};
std::string_view DecisionName(Decision decision);  // "apply_remote", "merge", "park_local", ...

}  // namespace pgduet
