// What a policy says about a conflict that is in the log. Pure.
//
// Each entry alone, from the two versions that it has: what a third one had changed is not seen.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "resolve/conflict.h"
#include "resolve/table_policy.h"
#include "schemas/change.h"
#include "schemas/version.h"

namespace pgduet {

// One side as the log has it. The rank in the version means nothing yet: ranks are the policy's.
struct LoggedSide {
  std::string region;
  Version version;
};

struct LoggedConflict {
  ChangeKind remote_operation = ChangeKind::kUpdate;
  LoggedSide remote;
  // The local side: a row or a delete; neither: nothing was known under the key.
  bool local_row = false;
  bool local_deleted = false;
  std::optional<LoggedSide> local;  // empty with a row: older than every version
};

struct PolicyRule {
  TablePolicy policy;
  std::vector<std::string> regions;  // by rank
};

// Errors: NotFound when the rule's regions lack one of the sides, Unimplemented when only the
// user's function could say; messages for people, without names.
absl::StatusOr<Decision> DecideAgain(const PolicyRule& rule, const LoggedConflict& conflict);

// "insert", "update", "row", "delete", "truncate", as the log has them; others are updates.
ChangeKind OperationOf(const std::string& name);

}  // namespace pgduet
