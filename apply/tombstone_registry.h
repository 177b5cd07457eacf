// The keys that may have a tombstone, in memory, and the gate between local deletes and apply
// transactions.
//
// The database's pgduet.tombstone is the truth; this says "certainly no tombstone" without a query
// (a false "maybe" only costs the slow path), and it holds the deletes whose tombstones are not
// committed yet.
//
// The gate closes the race in which an apply transaction has inserted a key, uncommitted, while the
// delete journal replays a local delete of that key, or another origin's delete is applied, and
// cannot see it (docs/decisions/0001, 0002 A):
//   journal:  RegisterDeletes() ... WaitForCommits() ... replay ... DeletesWritten()
//   applier:  Begin() ... MayHaveTombstone() for each insert ... EnterCommit() -> decide hits,
//   repeat ... Leave()
// Thread-safe.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include "schemas/version.h"

namespace pgduet {

// A table (oid here) and a 64-bit hash of a key's canonical text. Hash 0 stands for the whole table
// (truncate).
struct TableKey {
  uint32_t table = 0;
  uint64_t key_hash = 0;
  bool operator==(const TableKey&) const = default;
  // Both in one number, for lists of keys by the million.
  uint64_t Mixed() const { return key_hash ^ (uint64_t{table} * 0x9E3779B97F4A7C15U); }
  template <typename H>
  friend H AbslHashValue(H state, const TableKey& key) {
    return H::combine(std::move(state), key.table, key.key_hash);
  }
};

// A delete on its way into the database: a local one that the journal replays, or another region's
// that is being applied.
struct KeyDelete {
  TableKey key;
  std::string key_text;  // canonical; empty for a truncate
  Version version;
  Incarnation incarnation = 0;
};

struct PendingDelete {
  Version version;
  Incarnation incarnation = 0;
};

class TombstoneRegistry {
 public:
  // More keys than this in one table: every key of the table "may have" a tombstone.
  explicit TombstoneRegistry(size_t keys_max = 4'000'000) : keys_max_(keys_max) {}

  bool MayHaveTombstone(TableKey key) const;
  // Whether an insert with this version must look at tombstones. Not for a truncate of its own
  // origin: that came before it (a reload is TRUNCATE and many inserts, and its inserts are to stay
  // on the set-based path).
  bool MayStopInsert(TableKey key, const Version& version) const;
  void Add(TableKey key, const Version& version);
  // Keys whose tombstones were removed by a statement that began after `Generation()` gave this; a
  // key that was added since, or whose next tombstone was on its way then, stays.
  uint64_t Generation() const;
  void Remove(const std::vector<TableKey>& keys, uint64_t generation);
  size_t size() const;

  // The deleting side: the journal, and (in groups of three and more) an applier for its remote
  // deletes.
  void RegisterDeletes(const std::vector<KeyDelete>& deletes);
  void WaitForCommits();  // until every applier that is between EnterCommit and Leave has left
  void DeletesWritten(const std::vector<KeyDelete>& deletes);

  // The newest delete, not by region `except`, that is registered for the key but whose tombstone
  // is not committed yet.
  std::optional<PendingDelete> Pending(TableKey key, Rank except) const;

  // Applier side.
  class Applier {
   public:
    Applier(TombstoneRegistry& registry, Rank origin) : registry_(registry), origin_(origin) {}
    ~Applier() { Leave(); }
    void Begin();
    // Deletes registered since Begin (or since the last call that returned some) that concern this
    // transaction: `concerns` picks them. Empty: the applier is in its commit phase and must commit
    // or roll back, then Leave(). An applier's own deletes never concern it.
    using Concerns = std::function<std::vector<KeyDelete>(const std::vector<KeyDelete>&)>;
    std::vector<KeyDelete> EnterCommit(const Concerns& concerns);
    void Leave();

    // Registers remote deletes of this transaction before it looks for their rows; they are pending
    // until Leave().
    void RegisterDeletes(std::vector<KeyDelete> deletes);
    // The transaction writes a tombstone. Until Leave() nobody who removes an older one forgets the
    // key.
    void Write(TableKey key, const Version& version);

   private:
    TombstoneRegistry& registry_;
    const Rank origin_;
    uint64_t seen_ = 0;
    bool active_ = false;
    std::vector<KeyDelete> registered_;
    std::vector<TableKey> written_;
    uint64_t ticket_ = 0;  // of the commit phase; 0: not in it
  };

 private:
  void Insert(TableKey key, const Version& version);  // these two with the mutex held
  void Renew(TableKey key);
  void TrimLog();
  const size_t keys_max_;
  mutable std::mutex mutex_;
  std::condition_variable committed_;
  absl::flat_hash_map<TableKey, uint64_t> keys_;  // -> generation of the last Add
  // What is known of the truncates of a table while keys_ has it.
  struct Truncates {
    Version newest;
    bool of_one_origin = true;
  };
  absl::flat_hash_map<uint32_t, Truncates> truncates_;
  uint64_t generation_ = 0;
  bool overflow_ = false;
  absl::flat_hash_map<TableKey, std::vector<PendingDelete>> pending_;
  absl::flat_hash_map<TableKey, int> held_;  // tombstones that appliers are writing
  std::deque<KeyDelete> log_;       // registered deletes that an active applier may not have seen
  uint64_t log_begin_ = 0;          // running number of log_.front()
  std::multiset<uint64_t> active_;  // what each active applier has seen
  std::set<uint64_t> committing_;   // tickets of the appliers between EnterCommit and Leave
  uint64_t next_ticket_ = 1;
};

}  // namespace pgduet
