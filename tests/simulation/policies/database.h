// A small PostgreSQL: rows under locks, a unique key, states under locks of their own, a log whose
// commit records are stamped, written and made visible in separate steps.
//
// Operations never block: they say kWait, and the caller tries again after a step. One thread.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "resolve/row_engine.h"
#include "tests/simulation/policies/protocol.h"

namespace pgduet::policy_simulation {

using RowId = std::pair<int, int>;  // table, key
using Xid = uint64_t;

struct StoredRow {
  RowImage image;
  Xid writer = 0;
};

struct Change {
  RowId row;
  ChangeKind kind = ChangeKind::kInsert;
  RowImage old_row, new_row;
};

// pgduet.progress of one origin.
struct Progress {
  Position position;
  size_t next = 0;  // in the origin's topic
  AppliedVector known;
};

// A version that was taken into a state, for the checker.
struct TakenNote {
  RowId row;
  Dot dot;
  bool concurrent = false;
};

struct Effects {
  std::map<RowId, std::optional<RowImage>> rows;
  std::map<RowId, std::optional<RowState>> states;
  std::map<Rank, Progress> progress;
  std::optional<Lsn> journaled;
  std::vector<TakenNote> taken;
};

enum class RecordKind { kLocal, kApplied, kInternal };

struct WalRecord {
  RecordKind kind = RecordKind::kInternal;
  Xid xid = 0;
  CommitTime time = 0;
  Rank origin = 0;    // kApplied
  Position position;  // kApplied
  std::vector<Change> changes;
};

enum class Try { kDone, kWait, kNone };

class Database;

// An open transaction; its end of life is a rollback, unless its record was written.
class Transaction {
 public:
  Transaction(Database& database, RecordKind kind);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  Xid xid() const { return record.xid; }
  WalRecord record;
  Effects effects;

 private:
  friend class Database;
  Database& database_;
  enum class Phase { kOpen, kRecorded, kEnded } phase_ = Phase::kOpen;
};

class Database {
 public:
  // kNone: no row is seen, and nothing is locked.
  Try Lock(const Transaction& transaction, RowId row) {
    if (!rows_.contains(row)) return Try::kNone;
    return Own(row_owners_, transaction, row);
  }
  // kNone: a row stands there.
  Try Insert(const Transaction& transaction, RowId row) {
    if (Own(row_owners_, transaction, row) == Try::kWait) return Try::kWait;
    return rows_.contains(row) ? Try::kNone : Try::kDone;
  }
  Try LockState(const Transaction& transaction, RowId row) {
    return Own(state_owners_, transaction, row);
  }

  Lsn WriteRecord(Transaction& transaction, CommitTime stamp) {
    transaction.record.time = stamp;
    wal_.push_back(transaction.record);
    if (transaction.record.kind == RecordKind::kLocal) local_lsns_[transaction.xid()] = end();
    transaction.phase_ = Transaction::Phase::kRecorded;
    return end();
  }
  void MakeVisible(Transaction& transaction) {
    Effects& effects = transaction.effects;
    for (auto& [row, image] : effects.rows) {
      if (image) {
        rows_[row] = {std::move(*image), transaction.xid()};
      } else {
        rows_.erase(row);
      }
    }
    for (auto& [row, state] : effects.states) {
      if (state) {
        states_[row] = std::move(*state);
      } else {
        states_.erase(row);
      }
    }
    for (auto& [rank, progress] : effects.progress) progress_[rank] = std::move(progress);
    if (effects.journaled) journaled_ = std::max(journaled_, *effects.journaled);
    taken_.insert(taken_.end(), effects.taken.begin(), effects.taken.end());
    End(transaction);
  }

  std::optional<RowImage> RowOf(RowId row) const {
    const auto at = rows_.find(row);
    return at == rows_.end() ? std::nullopt : std::optional(at->second.image);
  }
  Xid WriterOf(RowId row) const {
    const auto at = rows_.find(row);
    return at == rows_.end() ? 0 : at->second.writer;
  }
  RowState StateOf(RowId row) const {
    const auto at = states_.find(row);
    return at == states_.end() ? RowState() : at->second;
  }
  const std::map<RowId, RowState>& states() const { return states_; }
  const Progress& progress(Rank rank) { return progress_[rank]; }
  Lsn journaled() const { return journaled_; }
  const std::vector<TakenNote>& taken() const { return taken_; }
  const std::vector<WalRecord>& wal() const { return wal_; }
  Lsn end() const { return Lsn(wal_.size()); }
  // Of a local transaction; nothing for others.
  std::optional<Lsn> LsnOf(Xid xid) const {
    const auto at = local_lsns_.find(xid);
    return at == local_lsns_.end() ? std::nullopt : std::optional(at->second);
  }
  bool Running(Xid xid) const { return running_.contains(xid); }
  bool AnyRunning() const { return !running_.empty(); }

 private:
  friend class Transaction;
  using Owners = std::map<RowId, Xid>;

  static Try Own(Owners& owners, const Transaction& transaction, RowId row) {
    const Xid owner = owners.try_emplace(row, transaction.xid()).first->second;
    return owner == transaction.xid() ? Try::kDone : Try::kWait;
  }
  void End(Transaction& transaction) {
    for (Owners* owners : {&row_owners_, &state_owners_})
      std::erase_if(*owners, [&](const auto& one) { return one.second == transaction.xid(); });
    running_.erase(transaction.xid());
    transaction.phase_ = Transaction::Phase::kEnded;
  }

  std::map<RowId, StoredRow> rows_;
  std::map<RowId, RowState> states_;
  std::map<Rank, Progress> progress_;
  std::vector<TakenNote> taken_;
  Lsn journaled_;
  std::vector<WalRecord> wal_;
  std::map<Xid, Lsn> local_lsns_;
  Owners row_owners_, state_owners_;
  std::set<Xid> running_;
  Xid next_xid_ = 1;
};

inline Transaction::Transaction(Database& database, RecordKind kind) : database_(database) {
  record.kind = kind;
  record.xid = database.next_xid_++;
  database.running_.insert(record.xid);
}
inline Transaction::~Transaction() {
  if (phase_ == Phase::kOpen) database_.End(*this);
  if (phase_ == Phase::kRecorded) database_.MakeVisible(*this);
}

}  // namespace pgduet::policy_simulation
