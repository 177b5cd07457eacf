// What the server said about a statement of apply, as an error that an operator can act on: by its
// SQLSTATE, with the mend. Other errors come back as they are. Pure.
#pragma once

#include <string_view>

#include <absl/status/status.h>

namespace pgduet {

// Errors: unique_violation, not_null_violation, check_violation, constraint_violation,
// value_refused, table_missing, column_missing, type_missing, permission_denied, type_differs,
// schema_changed.
absl::Status RefusedStatement(const absl::Status& status);

// Why work is begun again after this error: a label of pgduet_apply_retries_total.
std::string_view RetryReason(const absl::Status& status);

}  // namespace pgduet
