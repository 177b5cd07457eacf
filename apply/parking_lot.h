// What the agent's threads know in memory of tables that park rows (`on_unique: park_loser`): which
// tables may have parked rows, who works on them now, and where something has changed.
//
// A table is `crowded` when it may have parked rows. While it is not, transactions take the usual
// paths and share it; while it is, one at a time has it: an apply transaction, or a look at its
// parked rows (apply/parked_returns.h). So rows move between table and pgduet.parked under one pair
// of hands; only clients work at the same time. "May have" costs speed, never correctness.
// Thread-safe.
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/time/time.h>

#include "base/pg_connection.h"
#include "schemas/version.h"

namespace pgduet {

class ParkingLot {
 public:
  // Names as TargetTable::quoted has them.
  explicit ParkingLot(std::set<std::string> tables = {}) : tables_(std::move(tables)) {}

  bool Parks(std::string_view quoted) const {
    return !tables_.empty() && tables_.contains(std::string(quoted));
  }
  // Before the first row of the table can be parked. Lasts until Emptied().
  void MarkCrowded(Oid table);
  bool Crowded(Oid table) const;
  std::vector<Oid> CrowdedTables() const;
  // By who holds the crowded table, after the commit of a transaction that saw no parked row.
  void Emptied(Oid table);

  // Rows of the table changed, or may have: its parked rows are to be looked at again. Cheap.
  void Changed(Oid table);
  // The crowded tables that changed since this looker's last call. One looker a region's rank.
  std::set<Oid> TakeChanged(Rank looker);

  // Holds tables for one transaction. Not thread-safe itself.
  class Hold {
   public:
    explicit Hold(ParkingLot& lot) : lot_(lot) {}
    ~Hold() { Release(); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    // Alone when the table is crowded, shared when not. Aborted/tables_in_use after `patience`:
    // roll back first, the other one may wait for our row locks.
    absl::Status Enter(Oid table, absl::Duration patience);
    bool Alone(Oid table) const;
    void Release();

   private:
    ParkingLot& lot_;
    absl::flat_hash_map<Oid, bool> held_;  // -> alone
  };

 private:
  struct Table {
    bool crowded = false;
    bool alone = false;
    int shared = 0;
    uint64_t changes = 0;
  };
  const std::set<std::string> tables_;
  mutable std::mutex mutex_;
  std::condition_variable left_;
  absl::flat_hash_map<Oid, Table> state_;
  absl::flat_hash_map<Rank, absl::flat_hash_map<Oid, uint64_t>> seen_;
};

// What stands in the database: at start, and with each new session (a crash of the database can
// bring parked rows back).
absl::Status LoadCrowded(PgConnection& connection, ParkingLot& lot);

}  // namespace pgduet
