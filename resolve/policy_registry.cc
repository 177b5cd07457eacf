#include "resolve/policy_registry.h"

namespace pgduet {

Prefers PickOf(PolicyKind kind) {
  switch (kind) {
    case PolicyKind::kFirstWriteWins:
      return PrefersOldest;
    case PolicyKind::kRegionPriority:
      return PrefersStrongerRegion;
    case PolicyKind::kLastWriteWins:
    case PolicyKind::kVersions:
    case PolicyKind::kMerge:
    case PolicyKind::kCustom:
    case PolicyKind::kError:
      return PrefersNewest;
  }
  return PrefersNewest;
}

}  // namespace pgduet
