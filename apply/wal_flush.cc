#include "apply/wal_flush.h"

#include <fmt/format.h>

#include "base/named_error.h"

namespace pgduet {

// A synchronous commit flushes everything before it. A barrier that nobody awaits is a transaction
// that has something to commit; `local`: it must not wait for a standby.
absl::Status FlushWal(PgConnection& connection, const MessagePrefixes& messages) {
  return WithContext(
      connection
          .Query(
              fmt::format("BEGIN; SET LOCAL synchronous_commit = local; "
                          "SELECT pg_catalog.pg_logical_emit_message(true, '{}', 'flush'); COMMIT",
                          messages.barrier))
          .status(),
      "flush the WAL");
}

}  // namespace pgduet
