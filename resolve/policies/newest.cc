// versions, error, and wherever a policy has to show something while it cannot decide.
#include "resolve/policy_registry.h"

namespace pgduet {

bool PrefersNewest(const TablePolicy& /*policy*/, const Member& left, const Member& right) {
  return left.dot.version() > right.dot.version();
}

}  // namespace pgduet
