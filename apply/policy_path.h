// Applies changes of tables whose policy keeps versions (resolve/row_engine.h): lock the rows and
// what is known of them, let the engine take each write, write what it says, log what had not seen
// each other.
//
// A row that stands must be explained: its last local writer must have passed capture, which has
// told the journal (apply/policy_journal.h) what it did. Where it has not, or where there is no row
// and perhaps a local delete that capture has not reached, the path waits for the decoder's barrier
// first. So that no local write can come to a key without a row between the barrier and our commit,
// the change's own row is put there before (a claim): local inserts wait for it as for any insert.
// Row locks come before the locks on pgduet.row_state, because the journal needs the latter.
//
// One thread; inside an open apply transaction. Errors: Aborted/decoder_behind: roll back, await
// the barrier without locks, apply again.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "apply/apply_scope.h"
#include "apply/change_groups.h"
#include "apply/decoder_barrier.h"
#include "apply/policy_conflict.h"
#include "apply/row_state_table.h"
#include "apply/visible_rows.h"
#include "resolve/row_engine.h"

namespace pgduet {

class PolicyPath {
 public:
  // `careful`: each merged row is written by itself, so that a CHECK which refuses it is noticed.
  PolicyPath(ApplyScope scope, DecoderBarrier& barrier, bool careful, std::stop_token stop,
             ApplyCounts& counts);

  absl::Status Apply(const TableGroups& table, const TablePolicy& policy,
                     const std::vector<ApplyUnit>& units);

 private:
  struct Row {
    const KeyGroup* group = nullptr;
    std::vector<RowWrite> writes;
    VisibleRow stands;
    std::optional<RowImage> claim;  // what was put where no row stood
    KnownRow known;
    std::optional<RowImage> visible;  // as it has to stand
    bool merged = false;
  };
  absl::Status ApplySlice(const TableGroups& table, const RowEngine& engine, std::vector<Row> rows);
  absl::Status ReadRows(const TableGroups& table, std::vector<Row>& rows);
  absl::Status Claim(const TableGroups& table, std::vector<Row>& rows);
  absl::Status Explain(const std::vector<Row>& rows);
  bool Unexplained(const VisibleRow& row) const;
  absl::Status LockKnown(const TableGroups& table, const RowEngine& engine, std::vector<Row>& rows);
  absl::Status ReadAgain(const TableGroups& table, std::vector<Row>& rows);
  // Takes the key's writes; queues the log entries.
  absl::Status Decide(const TableGroups& table, const RowEngine& engine, Row& row);
  void Count(ChangeKind kind);
  absl::Status QueueLog(const TableGroups& table, const RowEngine& engine, const Row& row,
                        const RowWrite& write, const Outcome& outcome,
                        const std::optional<RowImage>& stood);
  absl::Status Show(const TableGroups& table, const RowEngine& engine, Row& row);
  absl::StatusOr<bool> RefusedByCheck(const TargetTable& table, const Row& row);

  ApplyScope scope_;
  DecoderBarrier& barrier_;
  const bool careful_;
  std::stop_token stop_;
  ApplyCounts& counts_;
  AppliedVector stable_;
  bool waits_ = false;              // a row was met whose writer has to be explained
  std::vector<size_t> must_touch_;  // results of inserts that may have met a row
};

}  // namespace pgduet
