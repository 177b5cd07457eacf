// The strongest region's write stays. A region has at most one version in a set, so its place in
// the list decides alone; regions that the list does not name come behind, by rank.
#include <algorithm>

#include "resolve/policy_registry.h"

namespace pgduet {
namespace {

size_t PlaceOf(const TablePolicy& policy, Rank rank) {
  const auto at = std::find(policy.priority.begin(), policy.priority.end(), rank);
  return at == policy.priority.end() ? policy.priority.size() + rank
                                     : static_cast<size_t>(at - policy.priority.begin());
}

}  // namespace

bool PrefersStrongerRegion(const TablePolicy& policy, const Member& left, const Member& right) {
  return PlaceOf(policy, left.dot.rank) < PlaceOf(policy, right.dot.rank);
}

}  // namespace pgduet
