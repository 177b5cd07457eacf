// Local writes of tables whose policy keeps versions: each passes here, as capture decodes it, and
// is noted in pgduet.row_state as one more version of its row. Those of a round of capture are
// noted together, in one transaction: a commit for each would let capture fall behind busy clients,
// and with it every remote write that waits for it. Until then nobody is told that they are decoded
// (apply/local_watch.h), whether or not they are published: what a peer answers to them waits.
//
// A local write has nearly always seen all that is known here: it met the visible row, and a remote
// write waits for the decoder before it touches a row with a local writer (apply/policy_path.h).
// The exception is a key without a row: a remote write can be taken there while a local insert is
// on its way. Then the two meet here: the merged row is written, unless a later local write stands
// in its place, which will come by.
//
// With the states the journal writes its place: up to where the WAL is noted, and what had been
// applied at that place (the vector that the next local write has seen). The slot may not be
// confirmed beyond a place that a crash cannot take back. Idempotent: chunks up to the place are
// done.
//
// What waits to be noted takes at most kPendingBytesMax and one chunk.
//
// Threads: the capture thread. The connection is the journal's own and is reopened when lost.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <absl/time/time.h>

#include "apply/applied_state.h"
#include "apply/change_groups.h"
#include "apply/journal_place.h"
#include "apply/policy_tables.h"
#include "apply/region_identity.h"
#include "apply/row_state_table.h"
#include "apply/target_session.h"
#include "apply/visible_rows.h"
#include "capture/local_observer.h"

namespace pgduet {

class PolicyJournal {
 public:
  PolicyJournal(std::string conninfo, const RegionIdentity& identity, const PolicyTables& policies,
                AppliedState& applied);
  ~PolicyJournal();

  // Loads the place from which local writes have to be noted.
  absl::Status StreamBegins();
  void RemoteApplied(Rank origin, const Position& position);
  absl::Status Record(const LocalTransaction& transaction, const ChangeBatch& batch);
  // Notes what was recorded since.
  absl::Status Flush();
  // Everything before it is noted.
  void DecodedThrough(Lsn lsn);
  // The LSN up to which what was noted survives a crash of the database; at most `wanted`.
  Lsn DurableThrough(Lsn wanted);

 private:
  struct LocalRow {
    const KeyGroup* group = nullptr;
    KnownRow known;
    VisibleRow stands;  // read where the write had not seen all
  };
  absl::Status OpenSession();
  bool Noted(const LocalTransaction& transaction);
  absl::Status Note();
  void Forget();
  absl::Status NoteTable(const TableGroups& table);
  // Capture may be ahead of the server, which writes a commit before it shows it.
  absl::Status AwaitVisible();
  bool IsRemoteOrigin(Oid roident) const;
  absl::Status TakeContested(const TableGroups& table, const RowEngine& engine, LocalRow& row,
                             const RowWrite& write);
  absl::Status QueueLog(const TableGroups& table, const RowEngine& engine, const LocalRow& row,
                        const RowWrite& write, const Outcome& outcome);
  absl::Status FinishPlace();
  absl::Status MovePlace();

  const std::string conninfo_;
  const RegionIdentity& identity_;
  const PolicyTables& policies_;
  AppliedState& applied_;
  std::unique_ptr<TargetSession> session_;
  std::unique_ptr<PgConnection> catalog_connection_;
  std::unique_ptr<TargetCatalog> catalog_;
  Oid own_roident_ = 0;
  AppliedVector vector_;  // what had been applied at the place in the WAL that is decoded
  JournalPlace place_;
  Lsn current_;  // the transaction that is passing, and its chunk
  int64_t chunk_ = -1;
  std::vector<ApplyUnit> pending_;
  size_t pending_bytes_ = 0;
  bool pending_visible_ = false;  // all of them are
  Lsn decoded_through_;
  AppliedVector through_vector_;  // vector_ as it was there
  absl::Time place_written_ = absl::InfinitePast();
};

}  // namespace pgduet
