// Looks for orphans where a note in pgduet.orphan_check asks for it, and lets orphan_repair.h deal
// with them.
//
// A note is committed with what made it necessary: a parent's delete, or a child's write. A look is
// the last one for a note when everything has ended that ran when the note was first seen: then no
// transaction is left that did not know of the delete and is still to show a child
// (docs/decisions/0007). A cohort is all that was noted at one look, a snapshot. One thread of its
// own, "orphans": a look may scan a child's table that has no index.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "apply/apply_metrics.h"
#include "apply/coverage_history.h"
#include "apply/foreign_keys.h"
#include "apply/orphan_repair.h"
#include "apply/region_identity.h"
#include "base/pg_connection.h"

namespace pgduet {

class OrphanWatch {
 public:
  OrphanWatch(std::string conninfo, const RegionIdentity& identity, ForeignKeyWatch& keys,
              ApplyMetrics& metrics);
  ~OrphanWatch() { Stop(); }
  void Start();
  void Stop();

 private:
  struct Note {
    std::vector<int64_t> ids;  // of one parent
    SuspectParent parent;
  };
  using Page = std::map<Oid, std::vector<Note>>;
  void Run(std::stop_token stop);
  absl::Status Open();
  absl::Status Round(absl::Time now);
  absl::Status LookForCohort();
  absl::Status LookAtCohort(bool last);
  absl::StatusOr<Page> ReadPage(int64_t& after, int& count);
  absl::Status LookAtTable(const ForeignKeys& keys, Oid table, const std::vector<Note>& notes,
                           bool last);
  absl::Status LookAtKey(const ForeignKeys& keys, const ForeignKey& key,
                         const std::vector<SuspectParent>& all, std::vector<bool>& left);
  absl::Status ReadDetails(Oid table, SuspectParent& parent);
  absl::Status Forget(const std::vector<Note>& notes, const std::vector<bool>& left);
  absl::Status RemoveKeptRows();

  const std::string conninfo_;
  const RegionIdentity& identity_;
  ForeignKeyWatch& keys_;
  ApplyMetrics& metrics_;
  OrphanRepair repair_;
  std::unique_ptr<PgConnection> connection_;
  std::string snapshot_;    // of the cohort; empty: none
  FullXid xid_ = 0;         // given out after that snapshot
  bool some_left_ = false;  // after a last look
  absl::Time due_ = absl::InfinitePast();
  absl::Time loaded_at_ = absl::InfinitePast();
  absl::Time removed_at_ = absl::InfinitePast();
  absl::Time warned_at_ = absl::InfinitePast();
  std::jthread thread_;
};

}  // namespace pgduet
