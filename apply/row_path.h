// The row path: lock, read the row and its version, decide in resolve/; row_writer.h writes and
// logs. For the keys that the set-based path could not decide, and for everything after a
// constraint violation.
//
// Many keys share their statements and round trips: one for all reads, one for all writes. One
// thread; inside an open apply transaction.
#pragma once

#include <vector>

#include <absl/status/statusor.h>

#include "apply/apply_scope.h"
#include "apply/change_groups.h"
#include "apply/row_decision.h"
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
  absl::StatusOr<std::vector<RowStanding>> Read(const TableGroups& table,
                                                const std::vector<size_t>& groups);
  void ParseRow(const PgResult& rows, int row, RowStanding& standing) const;
  void ParseTombstone(const PgResult* result, const std::optional<PendingDelete>& pending,
                      RowStanding& standing) const;
  bool Covered(const RowStanding& standing, const AppliedVector& vector) const;
  RowOutcome Decide(const TableGroups& table, const KeyGroup& group, const RowStanding& standing);
  ConflictEntry ConflictOf(const TableGroups& table, const KeyGroup& group, const KeyStep& step,
                           const Resolution& resolution, const RowStanding& standing) const;
  // Of tables that have parked rows: row_path_unique.cc.
  absl::Status ReadParkedRow(const TableGroups& table, const KeyGroup& group,
                             RowStanding& standing);

  ApplyScope scope_;
  const std::vector<ApplyUnit>& units_;
  InsertedKeys& inserted_;
  ApplyCounts& counts_;
};

}  // namespace pgduet
