// Local deletes: their tombstones, and the replay that removes what a remote change revived in
// between.
//
// Each local transaction passes here before it is published. For its deletes, key changes and
// truncates the journal writes tombstones and looks at what stands under those keys now: a row of
// another region was written without knowledge of the delete (it was not published yet), so it is a
// conflict: logged, and removed when its version is lower. The transactions of a round share one
// transaction here, with the position up to which this is done; it carries our "local" origin and
// an internal marker, so it is not published. Idempotent: the same WAL may come again after a
// restart.
//
// Threads: the capture thread; DurableThrough too. The connection is the journal's own and is
// reopened when lost.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "apply/apply_metrics.h"
#include "apply/orphan_notes.h"
#include "apply/parking_lot.h"
#include "apply/policy_tables.h"
#include "apply/region_identity.h"
#include "apply/target_session.h"
#include "apply/target_table.h"
#include "apply/tombstone_registry.h"
#include "capture/local_observer.h"

namespace pgduet {

class DeleteJournal {
 public:
  // Deletes of tables in `policies` are the policy journal's.
  DeleteJournal(std::string conninfo, const RegionIdentity& identity, const PolicyTables& policies,
                TombstoneRegistry& registry, ParkingLot& parking,
                const ForeignKeyWatch& foreign_keys);

  // What was recorded and not written is forgotten: it comes again.
  void StreamBegins();
  // Takes the deletes out of the batch. They are written by the next Flush() at the latest, which
  // has to come before the transaction is published.
  absl::Status Record(const LocalTransaction& transaction, const ChangeBatch& batch);
  bool HasRecorded() const { return !recorded_.empty(); }
  absl::Status Flush();
  // The LSN up to which what was recorded survives a crash of the database; at most `wanted`.
  Lsn DurableThrough(Lsn wanted);

 private:
  struct TableDeletes {
    std::shared_ptr<const Relation> relation;
    std::shared_ptr<const TargetTable> table;
    std::vector<KeyDelete> deletes;
    bool truncated = false;
    bool first = false;               // none of the keys has a tombstone
    std::vector<GoneParent> parents;  // where children refer to the table
  };
  // What one transaction, or one chunk of it, deleted.
  struct Recorded {
    LocalTransaction transaction;
    std::vector<TableDeletes> tables;
  };
  absl::Status OpenSession();
  absl::StatusOr<std::vector<TableDeletes>> Collect(const LocalTransaction& transaction,
                                                    const ChangeBatch& batch);
  absl::Status CollectRow(const LocalTransaction& transaction, const ChangeBatch& batch,
                          const Change& change, std::vector<TableDeletes>& tables);
  // One entry a table, with each key once: its last delete.
  static std::vector<TableDeletes> Merged(const std::vector<Recorded>& recorded);
  absl::Status Journal(const std::vector<Recorded>& recorded);
  // False: nothing is written, each has to be by itself.
  absl::StatusOr<bool> WriteTogether(const std::vector<Recorded>& recorded,
                                     const std::vector<TableDeletes>& merged);
  absl::Status WriteAlone(const Recorded& one);
  absl::Status Begin();
  absl::Status Commit(const LocalTransaction& first, const LocalTransaction& last);
  // Which of the tables have rows of other regions under the deleted keys.
  enum class ReplayStep { kLook, kLock, kDecide };
  absl::StatusOr<std::vector<bool>> Look(const LocalTransaction& transaction,
                                         const std::vector<TableDeletes>& tables, ReplayStep step);
  absl::Status QueueTombstonesOf(const TableDeletes& table);
  absl::Status QueueNotes(const TableDeletes& table);
  // Counts the rows of other regions that stand under the deleted keys / locks them, too / decides
  // and logs them.
  absl::Status QueueReplay(const LocalTransaction& transaction, const TableDeletes& table,
                           ReplayStep step);

  const std::string conninfo_;
  const RegionIdentity identity_;
  const PolicyTables& policies_;
  TombstoneRegistry& registry_;
  ParkingLot& parking_;
  const ForeignKeyWatch& foreign_keys_;
  std::unique_ptr<TargetSession> session_;
  std::unique_ptr<PgConnection> catalog_connection_;
  std::unique_ptr<TargetCatalog> catalog_;
  Lsn done_through_;  // of an earlier run; deletes before it are done
  struct Unflushed {
    Lsn source;  // of the first transaction
    Lsn written;
  };
  std::deque<Unflushed> unflushed_;
  std::vector<Recorded> recorded_;
  size_t recorded_keys_ = 0;
};

}  // namespace pgduet
