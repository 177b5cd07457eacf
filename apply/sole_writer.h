// One agent writes for a set of tables in a region at a time. What an agent knows in memory (which
// keys have a tombstone, which deletes are on their way) is true only then.
//
// Who has the slot is the writer. Sessions that write hold a shared advisory lock with the number
// of their agent's run; an agent that gets the slot ends those of other runs before it begins. They
// are an agent's that was killed a moment ago, whose last statement still runs, or one's that
// stands still and will wake up. Sets know nothing of each other: each has a class of locks.
#pragma once

#include <cstdint>
#include <string_view>

#include <absl/status/status.h>

#include "base/pg_connection.h"

namespace pgduet {

// The class of advisory locks of a set. Two sets of a file may not share one (config_sets.cc).
uint32_t LockClassOf(std::string_view set);

// For the session's life.
absl::Status MarkAsWriter(PgConnection& connection, std::string_view set, uint64_t writer_epoch);

// Returns when no session of another run is left. Unavailable/former_agent: some do not end.
absl::Status EndOtherWriters(PgConnection& connection, std::string_view set, uint64_t writer_epoch);

}  // namespace pgduet
