#include "resolve/unique_visibility.h"

#include <algorithm>

namespace pgduet {

Placement PlaceUnique(const Precedence& row, std::span<const Collider> colliders) {
  Placement placement;
  for (size_t index = 0; index < colliders.size(); ++index) {
    const Collider& other = colliders[index];
    if (other.own || other.row < row) continue;
    if (!placement.blocker || colliders[*placement.blocker].row < other.row)
      placement.blocker = index;
  }
  if (placement.blocker) return placement;
  for (size_t index = 0; index < colliders.size(); ++index) {
    const bool again =
        std::any_of(placement.parked.begin(), placement.parked.end(),
                    [&](size_t earlier) { return colliders[earlier].row == colliders[index].row; });
    if (!again) placement.parked.push_back(index);
  }
  return placement;
}

ConflictKind UniqueConflictKind(ChangeKind remote, std::span<const Collider> colliders) {
  if (colliders.size() > 1) return ConflictKind::kMultipleUniqueConflicts;
  return remote == ChangeKind::kInsert ? ConflictKind::kInsertExists : ConflictKind::kUpdateExists;
}

}  // namespace pgduet
