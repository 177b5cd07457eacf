// What the row path found under a key, and what it decided: from the one that reads to the one that
// writes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apply/conflict_log.h"
#include "apply/tombstone_registry.h"
#include "resolve/last_write_wins.h"

namespace pgduet {

struct RowStanding {  // what is under a key
  bool exists = false;
  LocalState state;
  bool own = false;     // written by this transaction, or by an earlier one of its origin
  bool parked = false;  // a row is parked under the key
  TableKey key;
  uint32_t xid = 0;
  Incarnation incarnation = 0;  // of a tombstone
  std::optional<std::string> row_json;
};

struct RowOutcome {
  bool applied = false;
  bool lives = false;
  size_t first_applied = 0, last_applied = 0;  // steps
  std::vector<ConflictEntry> conflicts;
};

}  // namespace pgduet
