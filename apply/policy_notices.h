// pgduet.policy_notice: the last notice of each kind that was heard of each region (what this one
// said itself included), and whether a change has ended here.
//
// Written in the order of the stream, between what was applied before and after: a crash of the
// database takes back both or none. One thread; the session is the caller's.
#pragma once

#include <absl/status/statusor.h>

#include "apply/target_session.h"
#include "schemas/policy_notice.h"

namespace pgduet {

// An older one than what stands there changes nothing.
absl::Status StoreNotice(TargetSession& session, Rank origin, const PolicyNotice& notice);

// This region has switched to the set of this change (or a later one), or has heard that it was
// aborted.
absl::StatusOr<bool> ChangeEnded(TargetSession& session, uint64_t change);

}  // namespace pgduet
