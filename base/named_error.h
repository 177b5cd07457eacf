// Errors that an operator can act on: a stable name, what failed, and the remedy.
//
// A status code says what the program can do (Unavailable: try again; Aborted: replay the
// transaction; FailedPrecondition: an operator must act; DataLoss: stop, something is missing or
// forged). The name says which of the documented errors it is: it appears in logs, in /status, as a
// metric label and in docs/operations/errors.md, so it must never change its meaning. Row values
// and passwords never go into a message.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>

namespace pgduet {

// `what` is static text first, values last: "replication slot is missing: slot=x". `remedy` is a
// sentence in the imperative, or empty.
absl::Status NamedError(absl::StatusCode code, std::string_view name, std::string_view what,
                        std::string_view remedy = {});

// The name given to NamedError, or "internal" for a status that has none, or "ok".
std::string ErrorName(const absl::Status& status);

// The remedy given to NamedError, or empty.
std::string ErrorRemedy(const absl::Status& status);

// Puts one layer of context in front of the message; code, name, remedy and SQLSTATE stay.
absl::Status WithContext(const absl::Status& status, std::string_view context);

// The same error under another name, remedy or code (SQLSTATE stays).
absl::Status Renamed(const absl::Status& status, absl::StatusCode code, std::string_view name,
                     std::string_view remedy);

// PostgreSQL's SQLSTATE when the server raised the error, else empty. Set by PgConnection.
std::string SqlState(const absl::Status& status);
void SetSqlState(absl::Status& status, std::string_view sqlstate);

}  // namespace pgduet

// Early return for Status and StatusOr, as in Abseil's own (newer) status_macros.
#define PGDUET_RETURN_IF_ERROR(expression)                                                       \
  do {                                                                                           \
    if (absl::Status pgduet_status_ = (expression); !pgduet_status_.ok()) return pgduet_status_; \
  } while (false)

#define PGDUET_CONCAT_INNER(a, b) a##b
#define PGDUET_CONCAT(a, b) PGDUET_CONCAT_INNER(a, b)
#define PGDUET_ASSIGN_OR_RETURN(declaration, expression) \
  PGDUET_ASSIGN_OR_RETURN_INNER(PGDUET_CONCAT(pgduet_status_or_, __LINE__), declaration, expression)
#define PGDUET_ASSIGN_OR_RETURN_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                                          \
  if (!temporary.ok()) return temporary.status();                         \
  declaration = *std::move(temporary)
