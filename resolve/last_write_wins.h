// Last write wins: the maximum of all versions of a row, by (commit time, rank, commit LSN).
//
// A maximum over a total order is commutative, associative and idempotent, so every region reaches the same row whatever
// the order of arrival. Coverage does not change the outcome (the clock wait makes a covered version the lower one); it says
// whether the meeting was a conflict. Pure: no I/O, no clock, no logging.
#pragma once

#include <optional>

#include "resolve/conflict.h"
#include "schemas/change.h"
#include "schemas/version.h"

namespace pgduet {

// What stands at the target under the key of a remote change.
struct LocalState {
  enum class Kind {
    kNeverSeen,  // no row, no tombstone
    kLive,
    kDeleted,  // no row, a tombstone (of the row, or of a truncate)
  };
  Kind kind = Kind::kNeverSeen;
  Version version;       // kLive: the row's; kDeleted: the delete's
  bool covered = false;  // by the remote transaction's applied vector; true for baseline rows
};

struct Resolution {
  Decision decision = Decision::kApplyRemote;
  std::optional<ConflictKind> conflict;  // empty: nothing to log
  bool operator==(const Resolution&) const = default;
};

// `remote` is insert, update or delete (a truncate is a delete of each row).
Resolution LastWriteWins(ChangeKind remote, const Version& remote_version, const LocalState& local);

}  // namespace pgduet
