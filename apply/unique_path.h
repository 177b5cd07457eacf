// Writes a row of a table that parks rows: shown, or parked because a row above it has one of its
// unique values; rows below it that are in its way are parked (resolve/unique_visibility.h).
//
// For tables that are held alone (apply/parking_lot.h); lives as long as one transaction. What is
// logged is logged at its end: a row that was parked and came back within one transaction (a swap
// of two values) has met no conflict. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include "apply/apply_scope.h"
#include "apply/parked_rows.h"
#include "apply/unique_keys.h"
#include "resolve/unique_visibility.h"

namespace pgduet {

// A row to be placed, and whose it is.
struct PlacedRow {
  std::shared_ptr<const TargetTable> table;
  std::string key_text;
  std::vector<int> carried;         // columns whose values are known
  std::vector<PgParameter> values;  // their texts
  Version version;
  uint32_t xid = 0;         // for a row that was parked: its writer here; 0: this transaction
  bool exists = false;      // a row stands in the table under the key
  bool was_parked = false;  // an entry stands in pgduet.parked
  bool returning = false;   // it is this row; that it stays parked is no news
  // For the log.
  ChangeKind operation = ChangeKind::kInsert;
  std::string region;
  Incarnation incarnation = 0;
  uint64_t sequence = 0;
};

class UniquePath {
 public:
  UniquePath(ApplyScope scope, ApplyCounts& counts) : scope_(scope), counts_(counts) {}

  // Fills columns that the origin could not read from what stands here under the key.
  absl::Status Complete(PlacedRow& row);
  // True when the row is visible now. Aborted/unique_race when somebody was faster: roll back and
  // try again.
  absl::StatusOr<bool> Place(const PlacedRow& row);
  // The entry goes: deleted, or superseded.
  absl::Status RemoveParked(const TargetTable& table, const std::string& key_text);
  // Writes the log; before COMMIT.
  absl::Status Finish();
  void Clear();

 private:
  struct Met {
    Collider collider;
    Version version;
    uint32_t xid = 0;
    std::string row_json;
    std::string key_text;
  };
  struct LogEntry {
    std::string loser;  // table and key
    std::string sql;
    std::vector<PgParameter> parameters;
    std::vector<Oid> types;
    ConflictKind kind;
    Decision decision;
  };
  absl::StatusOr<std::vector<Met>> FindColliders(const PlacedRow& row);
  absl::Status Write(const PlacedRow& row);
  void Log(const PlacedRow& row, const Met& met, ConflictKind kind, Decision decision);
  void Unlog(Oid table, const std::string& key_text);

  ApplyScope scope_;
  ApplyCounts& counts_;
  absl::flat_hash_map<Oid, std::vector<UniqueKey>> keys_;
  std::vector<LogEntry> log_;
};

}  // namespace pgduet
