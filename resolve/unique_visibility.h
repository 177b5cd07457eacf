// Which of several rows that collide on a secondary unique key is shown, and which are parked.
//
// The logical rows of a table (each key's winner by its policy) may collide; the visible ones are a
// function of them alone: from the highest version to the lowest, a row is visible unless it
// collides with one that is visible already. Equivalently, and without an order of work:
//
//   no two visible rows collide, and each parked row collides with a visible one above it.
//
// The database keeps the first half by itself. The second half is one question for each parked row,
// so it can be asked at any time, in any order and again: regions with equal logical rows end with
// equal visible rows (docs/decisions/0005). Pure: no I/O, no clock, no logging.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "resolve/conflict.h"
#include "schemas/change.h"
#include "schemas/version.h"

namespace pgduet {

// The total order in which rows of one table take their unique values: commit time, then rank, then
// the key. Not the commit LSN: a region knows that of its own rows only.
struct Precedence {
  CommitTime commit_time = kOldestTime;
  Rank rank = 0;
  std::string key;  // canonical text
  auto operator<=>(const Precedence&) const = default;
};

// A visible row that has a unique value of the row to be placed.
struct Collider {
  Precedence row;
  std::string constraint;
  // Written by the very transaction that places: at its origin all its rows stand together, so the
  // collision is one of an order of statements (a swap of two values), and the other row moves on.
  bool own = false;
};

struct Placement {
  // The collider that keeps the row from being visible: the highest one. Empty: visible.
  std::optional<size_t> blocker;
  // When visible: the colliders that are to be parked, in the order given.
  std::vector<size_t> parked;
};

// `colliders` are all visible rows that collide with `row`; one that collides on several
// constraints may stand in it several times (and is parked once).
Placement PlaceUnique(const Precedence& row, std::span<const Collider> colliders);

// PostgreSQL's name for it: one row on one constraint is insert_exists or update_exists, more are
// multiple_unique_conflicts.
ConflictKind UniqueConflictKind(ChangeKind remote, std::span<const Collider> colliders);

}  // namespace pgduet
