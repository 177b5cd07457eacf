// Last write wins: the maximum of all versions of a row, by (commit time, rank, commit LSN).
//
// A maximum over a total order is commutative, associative and idempotent, so every region reaches
// the same row whatever the order of arrival. Coverage does not change the outcome (the clock wait
// makes a covered version the lower one); it says whether the meeting was a conflict. Pure: no I/O,
// no clock, no logging.
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
  // The remote transaction had seen the local version and is nevertheless not higher: a clock
  // stepped back, or the clock wait was left out. The order of versions still decides, so that all
  // regions agree; it is no conflict, since the two were not concurrent, but the later writer's
  // change is lost: the caller counts it and warns.
  bool clock_anomaly = false;
  bool operator==(const Resolution&) const = default;
};

// `remote` is insert, update or delete (a truncate is a delete of each row with a lower version).
//
//   local                  insert          update                 delete
//   never seen             apply           update_missing, apply  delete_missing, apply
//   live, covered          apply           apply                  apply
//   live, not covered      insert_exists   update_origin_differs  delete_origin_differs
//   deleted, covered       apply           apply                  apply
//   deleted, not covered   update_deleted  update_deleted         delete_missing
//
// Where the local version is not covered, the higher version decides. Equal versions are the same
// write: keep, no conflict. To apply means: an update that finds no row inserts the full row; a
// delete writes (or raises) the tombstone, whether or not there is a row.
//
// One transaction may change a key more than once, all under one version. To this function the
// second change would be a repetition: collapse the changes of a key first, or overwrite rows that
// the same apply transaction wrote without asking.
Resolution LastWriteWins(ChangeKind remote, const Version& remote_version, const LocalState& local);

}  // namespace pgduet
