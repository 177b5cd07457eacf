// What the parts of one apply transaction share: who we are, whose changes these are, and the
// histories that decide. References only; lives for one session of one origin.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_set.h>

#include "apply/applied_state.h"
#include "apply/bulk_copy.h"
#include "apply/closed_time.h"
#include "apply/coverage_history.h"
#include "apply/decoder_barrier.h"
#include "apply/parking_lot.h"
#include "apply/pg_pipeline.h"
#include "apply/policy_tables.h"
#include "apply/region_identity.h"
#include "apply/target_clock.h"
#include "apply/target_table.h"
#include "apply/tombstone_registry.h"
#include "resolve/conflict.h"

namespace pgduet {

// What an apply transaction did, for metrics; counted once it is committed.
struct ApplyCounts {
  uint64_t transactions = 0;
  uint64_t inserts = 0;
  uint64_t updates = 0;
  uint64_t deletes = 0;
  uint64_t truncates = 0;
  uint64_t slow_rows = 0;
  uint64_t out_of_range = 0;       // merged counters that show the bound of their type
  std::string out_of_range_table;  // of the last one
  std::map<std::pair<ConflictKind, Decision>, uint64_t> conflicts;
};

// The keys that one apply transaction brought to life, with the versions it gave them: eight bytes
// a key, for transactions of millions of rows. Keys are kept as hashes: a false hit costs a look at
// the row, nothing else.
class InsertedKeys {
 public:
  void Add(TableKey key, CommitTime commit_time) {
    if (runs_.empty() || runs_.back().second != commit_time)
      runs_.emplace_back(hashes_.size(), commit_time);
    hashes_.push_back(key.Mixed());
    tables_.insert(key.table);
  }
  void Clear() {
    hashes_.clear();
    runs_.clear();
    tables_.clear();
  }
  // The newest time given to the key; kOldestTime: not among them.
  CommitTime TimeOf(TableKey key) const;
  // Those of the deletes (truncates of a table that has inserted keys too) that meet an inserted
  // key. One pass.
  std::vector<KeyDelete> Among(const std::vector<KeyDelete>& deletes) const;

 private:
  std::deque<uint64_t> hashes_;  // no doubling copies
  absl::flat_hash_set<uint32_t> tables_;
  std::vector<std::pair<size_t, CommitTime>> runs_;  // from this place on, this time
};

class UniquePath;
class ForeignKeyWatch;

struct ApplyScope {
  const RegionIdentity& identity;
  Rank origin;
  // Replication origin oids of this database, by rank; 0 for our own.
  const std::vector<Oid>& origin_oids;
  PgPipeline& pipeline;
  TargetCatalog& catalog;
  CoverageHistory& history;
  TombstoneRegistry& registry;
  const AppliedState& applied;
  const PolicyTables& policies;
  CopyTrust* copies = nullptr;                 // null: no COPY
  TombstoneRegistry::Applier* gate = nullptr;  // of the open apply transaction
  BatchMembers* members = nullptr;             // of the open batch; null: one transaction
  // Of tables that park rows; null where there are none.
  ParkingLot* parking = nullptr;
  ParkingLot::Hold* hold = nullptr;  // of the open apply transaction, like the next one
  UniquePath* unique = nullptr;
  const ForeignKeyWatch* foreign_keys = nullptr;  // null: nobody looks for orphans
  LockPatience decoder_patience = {};
  TargetClock* clock = nullptr;     // of the session; hears what the transaction has asked
  ClosingAlong* closing = nullptr;  // of the session; null: its transactions close no time
  // What the session's thread does while the server works; null: it waits.
  const std::function<void()>* meanwhile = nullptr;

  // The table may have parked rows, and is ours alone until the transaction's end.
  bool Crowded(const TargetTable& table) const { return hold != nullptr && hold->Alone(table.oid); }

  Rank RankOf(Oid roident) const { return identity.RankOf(roident, origin_oids); }
};

}  // namespace pgduet
