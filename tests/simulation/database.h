// A small PostgreSQL: row locks, unique keys, read committed, a log with a flush position, commit
// records that are stamped, written, flushed and made visible in separate steps, and crashes that
// take back what was not flushed.
//
// Operations never block: they say kWait, and the caller tries again after a step. One thread.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "tests/simulation/settings.h"
#include "tests/simulation/wal.h"

namespace pgduet::simulation {

class Database;

// An open transaction. Its end of life is a rollback, unless the record was written: then it
// commits.
class Transaction {
 public:
  Transaction(Database& database, RecordKind kind, const uint64_t& steps);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  WalRecord record;

 private:
  friend class Database;
  Database& database_;
  const uint64_t& steps_;  // of the world
  const uint64_t epoch_;
  enum class State { kOpen, kRecorded, kEnded } state_ = State::kOpen;
};

enum class Try { kDone, kWait, kNone };

class Database {
 public:
  struct Stamp {
    CommitTime time = 0;
    Rank origin = 0;
  };

  void AssignXid(Transaction& transaction) {
    if (transaction.record.xid != 0) return;
    transaction.record.xid = next_xid_++;
    running_.insert(transaction.record.xid);
  }
  Xid AssignSubxid(Transaction& transaction) {
    AssignXid(transaction);
    transaction.record.subxids.push_back(next_xid_++);
    running_.insert(transaction.record.subxids.back());
    return transaction.record.subxids.back();
  }

  // What a statement of this transaction sees under the key.
  std::optional<Row> Visible(const Transaction& transaction, Key key) const {
    const auto mine = transaction.record.rows.find(key);
    if (mine != transaction.record.rows.end()) return mine->second;
    const auto at = rows_.find(key);
    return at == rows_.end() ? std::nullopt : std::optional(at->second);
  }
  // Locks the visible row. kNone: there is none, and nobody's uncommitted insert is waited for.
  Try Lock(Transaction& transaction, Key key) {
    if (!EnterTable(transaction)) return Try::kWait;
    if (!Visible(transaction, key)) return Try::kNone;
    return Hold(row_holders_, transaction, key) ? Try::kDone : Try::kWait;
  }
  // kNone: a row stands there. Waits for whoever has an uncommitted insert or delete of the key.
  Try Insert(Transaction& transaction, Key key, const Row& row) {
    if (!EnterTable(transaction)) return Try::kWait;
    const auto holder = row_holders_.find(key);
    const bool foreign = holder != row_holders_.end() && holder->second != &transaction;
    if (foreign && holder->second->record.rows.contains(key)) return Try::kWait;
    if (Visible(transaction, key)) return Try::kNone;
    Hold(row_holders_, transaction, key);
    transaction.record.rows[key] = row;
    return Try::kDone;
  }
  // The row is locked by this transaction.
  void Put(Transaction& transaction, Key key, std::optional<Row> row) {
    Require(row_holders_.at(key) == &transaction, "write without a lock");
    transaction.record.rows[key] = row;
  }
  // Access exclusive: waits for everybody who has touched the table.
  Try LockTable(Transaction& transaction) {
    if (table_holder_ != nullptr && table_holder_ != &transaction) return Try::kWait;
    for (const Transaction* user : table_users_) {
      if (user != &transaction) return Try::kWait;
    }
    table_holder_ = &transaction;
    return Try::kDone;
  }
  const std::map<Key, Row>& rows() const { return rows_; }

  std::optional<Tombstone> VisibleTombstone(const Transaction& transaction, Key key) const {
    const auto mine = transaction.record.tombstones.find(key);
    if (mine != transaction.record.tombstones.end()) return mine->second;
    const auto at = tombstones_.find(key);
    return at == tombstones_.end() ? std::nullopt : std::optional(at->second);
  }
  // Raises the tombstone; what was to be swept still is.
  Try RaiseTombstone(Transaction& transaction, Key key, Tombstone tombstone) {
    if (!Hold(tombstone_holders_, transaction, key)) return Try::kWait;
    if (const auto now = VisibleTombstone(transaction, key)) {
      tombstone.unswept |= now->unswept;
      if (tombstone.version < now->version) {
        tombstone.version = now->version;
        tombstone.writer = now->writer;
        tombstone.vector = now->vector;
      }
    }
    transaction.record.tombstones[key] = tombstone;
    return Try::kDone;
  }
  Try SetTombstone(Transaction& transaction, Key key, std::optional<Tombstone> tombstone) {
    if (!Hold(tombstone_holders_, transaction, key)) return Try::kWait;
    transaction.record.tombstones[key] = tombstone;
    return Try::kDone;
  }
  const std::map<Key, Tombstone>& tombstones() const { return tombstones_; }

  Stamp StampOf(const Transaction& reader, Xid xmin) const {
    if (xmin == reader.record.xid) return {reader.record.time, reader.record.origin};
    return stamps_.at(xmin);
  }

  // Writes the record that ends the transaction; it is not visible yet.
  Lsn WriteRecord(Transaction& transaction) {
    Require(transaction.state_ == Transaction::State::kOpen, "commit of an ended transaction");
    AssignXid(transaction);
    transaction.state_ = Transaction::State::kRecorded;
    wal_.push_back(transaction.record);
    return end();
  }
  void MakeVisible(Transaction& transaction) {
    Require(transaction.state_ == Transaction::State::kRecorded, "visible before the record");
    auto record = wal_.rbegin();
    while (record->xid != transaction.record.xid) ++record;
    record->visible_at = transaction.steps_;
    Redo(*record);
    End(transaction);
  }

  Lsn end() const { return Lsn(wal_.size()); }
  Lsn flushed() const { return flushed_; }
  void Flush(Lsn through) { flushed_ = std::max(flushed_, std::min(through, end())); }
  const WalRecord& At(Lsn lsn) const { return wal_[lsn.value() - 1]; }
  const std::vector<WalRecord>& wal() const { return wal_; }

  // pg_snapshot_xmin and pg_snapshot_xmax.
  Xid OldestRunning() const { return running_.empty() ? next_xid_ : *running_.begin(); }
  Xid NextXid() const { return next_xid_; }

  const std::vector<Progress>& progress() const { return progress_; }
  const Progress* LastProgress(Rank origin) const {
    for (auto at = progress_.rbegin(); at != progress_.rend(); ++at) {
      if (at->origin == origin) return &*at;
    }
    return nullptr;
  }
  Lsn journaled() const { return journaled_; }
  const std::vector<LogEntry>& conflict_log() const { return conflict_log_; }
  uint64_t epoch() const { return epoch_; }

  // The tail after `keep` is gone; everything open is rolled back; the rest comes back from the
  // log.
  void Crash(Lsn keep) {
    ++epoch_;
    wal_.resize(keep.value());
    flushed_ = keep;
    rows_.clear();
    tombstones_.clear();
    stamps_.clear();
    progress_.clear();
    conflict_log_.clear();
    journaled_ = Lsn();
    running_.clear();
    row_holders_.clear();
    tombstone_holders_.clear();
    table_users_.clear();
    table_holder_ = nullptr;
    next_xid_ = kFirstXid;
    for (const WalRecord& record : wal_) {
      Redo(record);
      next_xid_ = std::max(next_xid_, record.xid + 1);
      for (const Xid sub : record.subxids) next_xid_ = std::max(next_xid_, sub + 1);
    }
  }

 private:
  friend class Transaction;
  using Holders = std::map<Key, Transaction*>;
  static constexpr Xid kFirstXid = 100;

  static void Require(bool condition, const char* what) {
    if (!condition) throw Violation(what);
  }
  bool EnterTable(Transaction& transaction) {
    if (table_holder_ != nullptr && table_holder_ != &transaction) return false;
    table_users_.insert(&transaction);
    return true;
  }
  static bool Hold(Holders& holders, Transaction& transaction, Key key) {
    return holders.try_emplace(key, &transaction).first->second == &transaction;
  }
  template <typename Map, typename Effects>
  static void Put(Map& map, const Effects& effects) {
    for (const auto& [key, value] : effects) {
      if (value) {
        map[key] = *value;
      } else {
        map.erase(key);
      }
    }
  }
  void Redo(const WalRecord& record) {
    if (record.kind == RecordKind::kAbort) return;
    Put(rows_, record.rows);
    Put(tombstones_, record.tombstones);
    stamps_[record.xid] = {record.time, record.origin};
    for (const Xid sub : record.subxids) stamps_[sub] = {record.time, record.origin};
    conflict_log_.insert(conflict_log_.end(), record.log.begin(), record.log.end());
    if (record.progress) progress_.push_back(*record.progress);
    if (record.journaled) journaled_ = std::max(journaled_, *record.journaled);
  }
  void Rollback(Transaction& transaction) {
    if (transaction.record.xid != 0) {
      wal_.push_back({.kind = RecordKind::kAbort,
                      .xid = transaction.record.xid,
                      .subxids = transaction.record.subxids});
    }
    End(transaction);
  }
  void End(Transaction& transaction) {
    transaction.state_ = Transaction::State::kEnded;
    running_.erase(transaction.record.xid);
    for (const Xid sub : transaction.record.subxids) running_.erase(sub);
    const auto mine = [&](const auto& entry) { return entry.second == &transaction; };
    std::erase_if(row_holders_, mine);
    std::erase_if(tombstone_holders_, mine);
    table_users_.erase(&transaction);
    if (table_holder_ == &transaction) table_holder_ = nullptr;
  }

  std::vector<WalRecord> wal_;
  Lsn flushed_;
  std::map<Key, Row> rows_;
  std::map<Key, Tombstone> tombstones_;
  std::map<Xid, Stamp> stamps_;
  std::vector<Progress> progress_;
  std::vector<LogEntry> conflict_log_;
  Lsn journaled_;
  Xid next_xid_ = kFirstXid;
  std::set<Xid> running_;
  Holders row_holders_;
  Holders tombstone_holders_;
  std::set<Transaction*> table_users_;
  Transaction* table_holder_ = nullptr;
  uint64_t epoch_ = 0;
};

inline Transaction::Transaction(Database& database, RecordKind kind, const uint64_t& steps)
    : database_(database), steps_(steps), epoch_(database.epoch_) {
  record.kind = kind;
  record.began_at = steps;
}

inline Transaction::~Transaction() {
  if (epoch_ != database_.epoch_ || state_ == State::kEnded) return;
  if (state_ == State::kOpen) {
    database_.Rollback(*this);
  } else {
    database_.MakeVisible(*this);
  }
}

}  // namespace pgduet::simulation
