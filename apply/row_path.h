// The row path: lock, read the row and its version, decide in resolve/, write, log. For the keys
// that the set-based path could not decide, and for everything after a constraint violation.
//
// Many keys share their round trips: one for all reads, one for all writes. One thread; inside an
// open apply transaction.
#pragma once

#include <vector>

#include <absl/status/statusor.h>

#include "apply/apply_scope.h"
#include "apply/change_groups.h"
#include "apply/conflict_log.h"
#include "resolve/last_write_wins.h"

namespace pgduet {

class RowPath {
 public:
  // `inserted` collects the keys that this transaction brought to life, for the check before
  // commit.
  RowPath(ApplyScope scope, const std::vector<ApplyUnit>& units, InsertedKeys& inserted,
          ApplyCounts& counts);

  // Decides the given groups of one table. Returns those that must wait for the decoder's barrier
  // first (an update or delete met neither row nor tombstone, and `after_barrier` is false); they
  // are untouched.
  absl::StatusOr<std::vector<size_t>> Apply(const TableGroups& table, std::vector<size_t> groups,
                                            bool after_barrier);

 private:
  struct Standing {  // what is under a key
    bool exists = false;
    LocalState state;
    bool own = false;     // written by this transaction, or by an earlier one of its origin
    bool parked = false;  // a row is parked under the key
    TableKey key;
    uint32_t xid = 0;
    Incarnation incarnation = 0;  // of a tombstone
    std::optional<std::string> row_json;
  };
  struct Outcome {
    bool applied = false;
    bool lives = false;
    size_t first_applied = 0, last_applied = 0;  // steps
    std::vector<ConflictEntry> conflicts;
  };
  struct Attempt {  // a write that counts if it touched its row
    size_t result = 0;
    size_t group = 0;
    std::vector<ConflictEntry> conflicts;
  };
  absl::StatusOr<std::vector<Standing>> Read(const TableGroups& table,
                                             const std::vector<size_t>& groups);
  Standing ParseRow(const PgResult& row, TableKey key) const;
  void ParseTombstone(const PgResult* result, const std::optional<PendingDelete>& pending,
                      Standing& standing) const;
  bool Covered(const Standing& standing, const AppliedVector& vector) const;
  Outcome Decide(const TableGroups& table, const KeyGroup& group, const Standing& standing);
  ConflictEntry ConflictOf(const TableGroups& table, const KeyGroup& group, const KeyStep& step,
                           const Resolution& resolution, const Standing& standing) const;
  absl::Status LogConflicts(const std::vector<ConflictEntry>& conflicts);
  // Of tables that have parked rows: row_path_unique.cc.
  absl::Status ReadParkedRow(const TableGroups& table, const KeyGroup& group, Standing& standing);
  absl::Status WriteUnique(const TableGroups& table, const KeyGroup& group,
                           const Standing& standing, const Outcome& outcome);
  // Returns whether a row count of one must come back for the statement that was queued.
  absl::StatusOr<bool> Write(const TableGroups& table, const KeyGroup& group,
                             const Standing& standing, const Outcome& outcome);

  ApplyScope scope_;
  const std::vector<ApplyUnit>& units_;
  InsertedKeys& inserted_;
  ApplyCounts& counts_;
};

}  // namespace pgduet
