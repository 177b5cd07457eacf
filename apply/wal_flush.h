// Makes what this database has committed up to now safe from a crash of it.
//
// Our own commits are asynchronous. What a session reads at its start and then relies on must not
// be taken back: docs/decisions/0002, D.
#pragma once

#include <absl/status/status.h>

#include "base/pg_connection.h"
#include "capture/applied_marker.h"

namespace pgduet {

absl::Status FlushWal(PgConnection& connection, const MessagePrefixes& messages);

}  // namespace pgduet
