// The triggers behind which local writes wait while a table's policy changes (pgduet.hold_write).
// They stand only as long as a change is open: made by 'pgduet policy apply', which takes them
// away.
#pragma once

#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "agent/config.h"
#include "base/pg_connection.h"

namespace pgduet {

// On the admin's connection. Each waits a few times for the table's writers, and gives them way in
// between. Error: policy_gate_busy.
absl::Status MakePolicyGates(PgConnection& admin, const std::vector<TableConfig>& tables);
// All of the set that stand in this database, on whichever tables: those that call its function.
absl::Status DropPolicyGates(PgConnection& admin, std::string_view set);

}  // namespace pgduet
