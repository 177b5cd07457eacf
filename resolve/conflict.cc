#include "resolve/conflict.h"

namespace pgduet {

std::string_view ConflictKindName(ConflictKind kind) {
  switch (kind) {
    case ConflictKind::kInsertExists:
      return "insert_exists";
    case ConflictKind::kUpdateOriginDiffers:
      return "update_origin_differs";
    case ConflictKind::kUpdateExists:
      return "update_exists";
    case ConflictKind::kUpdateMissing:
      return "update_missing";
    case ConflictKind::kUpdateDeleted:
      return "update_deleted";
    case ConflictKind::kDeleteOriginDiffers:
      return "delete_origin_differs";
    case ConflictKind::kDeleteMissing:
      return "delete_missing";
    case ConflictKind::kMultipleUniqueConflicts:
      return "multiple_unique_conflicts";
    case ConflictKind::kParentMissing:
      return "parent_missing";
  }
  return "unknown";
}

std::string_view DecisionName(Decision decision) {
  switch (decision) {
    case Decision::kApplyRemote:
      return "apply_remote";
    case Decision::kKeepLocal:
      return "keep_local";
    case Decision::kMerge:
      return "merge";
    case Decision::kParkRemote:
      return "park_remote";
    case Decision::kParkLocal:
      return "park_local";
    case Decision::kReportOrphan:
      return "report";
    case Decision::kDeleteChild:
      return "delete_child";
    case Decision::kReviveParent:
      return "revive_parent";
  }
  return "unknown";
}

}  // namespace pgduet
