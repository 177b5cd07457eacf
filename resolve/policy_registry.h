// The pick policies: which of several versions of a row is visible. A policy is one small file in
// resolve/policies and one line in policy_registry.cc; docs/policies.md, "Add a policy in an hour".
#pragma once

#include <span>

#include "resolve/row_state.h"
#include "resolve/table_policy.h"

namespace pgduet {

// True when `left` is shown rather than `right`. A strict total order over the versions that can
// stand side by side: it must look at the two members and the policy alone, so that every region
// picks the same.
using Prefers = bool (*)(const TablePolicy& policy, const Member& left, const Member& right);

// The order of the policy; that of `versions` for policies without one of their own.
Prefers PickOf(PolicyKind kind);

// The picks.
bool PrefersNewest(const TablePolicy& policy, const Member& left, const Member& right);
bool PrefersOldest(const TablePolicy& policy, const Member& left, const Member& right);
bool PrefersStrongerRegion(const TablePolicy& policy, const Member& left, const Member& right);

}  // namespace pgduet
