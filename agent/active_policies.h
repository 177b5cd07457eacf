// Which set of policies an agent runs with: its file's, or the one that 'pgduet policy apply'
// brought and that its file may not have yet.
#pragma once

#include <string>

#include <absl/status/statusor.h>

#include "agent/config.h"
#include "apply/policy_tables.h"
#include "base/pg_connection.h"

namespace pgduet {

struct ActivePolicies {
  Config config;  // the file's, with the policies that are in force
  // Of the last change that came online; empty: none.
  uint64_t previous_hash = 0;
  PolicyTables::Changed changed;
};

// Without a change that came online, or is open, the file's set is taken. `running`: this process
// works already with what it has read of the file; what is in force holds, whatever the file said.
// Error: policy_file_differs.
absl::StatusOr<ActivePolicies> LoadActivePolicies(PgConnection& connection, const Config& file,
                                                  bool running);

// For peers (transport direct) and for the next start.
absl::Status StoreActivePolicies(PgConnection& connection, const Config& config);

}  // namespace pgduet
