// One apply transaction: the changes of one or several source transactions of an origin, all or
// nothing, with the marker that keeps capture from publishing them, and the record of progress.
//
//   Begin(last) ; Apply(units) ... ; Commit(last, ...)     or Rollback() at any point
//
// Apply may be called several times (chunks of a large transaction). After an error the caller
// rolls back. One thread.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>

#include "apply/apply_scope.h"
#include "apply/change_groups.h"
#include "apply/decoder_barrier.h"
#include "apply/orphan_notes.h"
#include "apply/target_session.h"
#include "apply/unique_path.h"

namespace pgduet {

class ApplyTransaction {
 public:
  ApplyTransaction(ApplyScope scope, DecoderBarrier& barrier, Grouping grouping,
                   std::stop_token stop);
  ~ApplyTransaction();
  ApplyTransaction(const ApplyTransaction&) = delete;
  ApplyTransaction& operator=(const ApplyTransaction&) = delete;

  // `last`: the last (or only) source transaction. `stamp`: the highest commit time of them all;
  // the rows carry it. The database's clock is most likely past it.
  absl::Status Begin(const RecordHeader& last, CommitTime stamp);
  // Aborted/decoder_behind: roll back, await the barrier without locks, and apply again.
  // Aborted/clock_behind, of Commit: the clock was not past the stamp; wait until it is.
  // Aborted/parked_rows: several transactions, and a table with parked rows: apply each by itself.
  // `segments`: the units grouped by key, when that was done before; else empty.
  absl::Status Apply(const std::vector<ApplyUnit>& units, std::vector<Segment> segments = {});
  absl::Status Commit(const RecordHeader& last, int64_t log_offset, const AppliedVector& vector);
  void Rollback();

  const ApplyCounts& counts() const { return counts_; }

 private:
  absl::Status QueueMessages(const Position& position);
  absl::Status ApplyUnits(const std::vector<ApplyUnit>& units, std::vector<Segment> segments);
  // Which of several transactions writes which row, as far as nothing stands in its way (else the
  // row path says).
  void ListMembers(const std::vector<Segment>& segments, const std::vector<ApplyUnit>& units);
  absl::Status CommitAll(const RecordHeader& last, int64_t log_offset, const AppliedVector& vector);
  // Tables that park rows: apply_transaction_unique.cc.
  absl::Status HoldTables(const std::vector<Segment>& segments, size_t units);
  absl::Status NoteCollision(absl::Status status);
  absl::Status FinishUnique();
  void ReleaseTables();
  void RegisterDeletes(const std::vector<Segment>& segments, const std::vector<ApplyUnit>& units);
  // Fills what an incomplete move lacks from the row under the old key.
  absl::Status CompleteMove(Segment& segment);
  absl::Status ApplySegments(std::vector<Segment> segments, const std::vector<ApplyUnit>& units);
  absl::Status ApplySegment(const Segment& segment, const std::vector<ApplyUnit>& units);
  // Tables that keep versions: taken out of the segment, and their path.
  std::vector<TableGroups> TakePolicyTables(Segment& segment) const;
  absl::Status ApplyPolicyTables(const std::vector<TableGroups>& tables,
                                 const std::vector<ApplyUnit>& units);
  absl::Status RefuseTruncate(const Truncation& truncation) const;
  absl::Status DecideSegment(const Segment& segment, const std::vector<ApplyUnit>& units);
  absl::Status ApplyByRow(const TableGroups& table, std::vector<size_t> groups,
                          const std::vector<ApplyUnit>& units);
  absl::Status DecideLateDeletes(const std::vector<KeyDelete>& deletes, const RecordHeader& last);
  absl::Status DecideLateDelete(const KeyDelete& one, const RecordHeader& last);
  absl::Status QueueLateConflict(const KeyDelete& one, const ApplyUnit& unit, Decision decision);

  ApplyScope scope_;
  DecoderBarrier& barrier_;
  Grouping grouping_;  // one by one, once a table with parked rows is met
  std::stop_token stop_;
  TombstoneRegistry::Applier gate_;
  std::optional<ParkingLot::Hold> hold_;
  std::optional<UniquePath> unique_;
  std::optional<OrphanNotes> orphans_;
  std::vector<Oid> parking_tables_, emptied_;
  bool open_ = false;
  CommitTime stamp_ = kOldestTime;
  CommitTime clock_ = kOldestTime;         // as the transaction began
  std::shared_ptr<BatchMembers> members_;  // in groups of three and more; null: one transaction
  InsertedKeys inserted_;
  ApplyCounts counts_;
  // Relations that this transaction touched, by table oid, for late deletes.
  absl::flat_hash_map<
      Oid, std::pair<std::shared_ptr<const Relation>, std::shared_ptr<const TargetTable>>>
      touched_;
};

}  // namespace pgduet
