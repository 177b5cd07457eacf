// Writes what the row path decided, in its order: updates that follow each other and carry the same
// columns are one statement, as are the entries of the conflict log. A statement for each of them
// costs the server several times what the rows do (its executor starts anew each time).
//
// One thread; inside an open apply transaction; lives for one round of the row path.
#pragma once

#include <vector>

#include <absl/status/statusor.h>

#include "apply/apply_scope.h"
#include "apply/change_groups.h"
#include "apply/row_decision.h"
#include "apply/target_table.h"

namespace pgduet {

class RowWriter {
 public:
  // All outlive this. `inserted` collects the keys that this transaction brought to life.
  RowWriter(ApplyScope scope, const std::vector<ApplyUnit>& units, const TableGroups& table,
            InsertedKeys& inserted, ApplyCounts& counts);

  // Queues what makes the outcome true for one of the table's groups, whose row is locked if it
  // exists.
  absl::Status Write(size_t group, const RowStanding& standing, RowOutcome outcome);

  // Runs what is queued and writes the conflicts of all that happened. Returns the groups for which
  // nothing did: their row was not there any more, or not yet; they have to be looked at again.
  absl::StatusOr<std::vector<size_t>> Finish();

 private:
  struct Decided {
    size_t group = 0;
    bool happened = true;
    std::vector<ConflictEntry> conflicts;
  };
  struct Statement {  // what tells which of the decided ones happened
    size_t result = 0;
    bool gives_places = false;    // a row for each that it touched; else it touched one or none
    std::vector<size_t> decided;  // indexes, in the order of its places
  };
  absl::Status WriteDelete(const KeyGroup& group, const RowStanding& standing);
  absl::Status WriteRow(const KeyGroup& group, const RowStanding& standing,
                        const RowOutcome& outcome);
  // The columns that an outcome writes, by place, with their values.
  struct Carried {
    std::vector<int> columns;
    std::vector<const Value*> values;
  };
  Carried CarriedBy(const KeyGroup& group, const RowOutcome& outcome) const;
  absl::Status QueueUpdates();
  // Of tables that have parked rows: row_writer_unique.cc.
  absl::Status WriteUnique(const KeyGroup& group, const RowStanding& standing,
                           const RowOutcome& outcome);
  absl::Status LogConflicts();

  ApplyScope scope_;
  const std::vector<ApplyUnit>& units_;
  const TableGroups& table_;
  InsertedKeys& inserted_;
  ApplyCounts& counts_;
  std::vector<Decided> decided_;
  std::vector<Statement> statements_;
  // Updates that are not queued yet.
  std::vector<int> carried_;
  std::vector<ArrayLiteral> columns_;
  std::vector<size_t> updates_;
};

}  // namespace pgduet
