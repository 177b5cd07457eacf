// The write that came first stays, until somebody who has seen it writes over it.
#include "resolve/policy_registry.h"

namespace pgduet {

bool PrefersOldest(const TablePolicy& /*policy*/, const Member& left, const Member& right) {
  return left.dot.version() < right.dot.version();
}

}  // namespace pgduet
