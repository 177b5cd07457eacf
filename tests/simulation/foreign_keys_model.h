// One region with parents, children and grandchildren, for foreign_keys_test.cc: clients whose
// foreign keys are enforced, decoding that lags, apply transactions that look first and commit
// later, notes of parents, looks for orphans, and repairs (docs/decisions/0007).
//
// A step is atomic. Who repairs, and when, is the real code (resolve/orphans.h).
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "resolve/orphans.h"
#include "schemas/version.h"

namespace pgduet::foreign_keys {

constexpr int kTables = 3;  // rows of table t refer to rows of table t - 1
constexpr int kKeys = 2;
constexpr int kNothing = -1;

enum class Fault {
  kNone,
  kParentsNotNoted,     // a delete notes nothing
  kChildrenNotNoted,    // a child that is written notes nothing
  kDecidedNotNoted,     // nor one that was decided row by row, unless the tombstone is there
  kLookOnce,            // the first look is the last one
  kNotesInMemory,       // a kill of the agent loses the notes
  kUnpublished,         // a repair stays where it is made
  kVersionOfTheDelete,  // a repair carries the time of the delete that made it necessary
  kTombstonesGoEarly,   // a tombstone goes before every region has seen the delete
  kRevivedHalfway,      // a parent is written back without its own parent
};

struct Stamp {
  CommitTime time = 0;
  Rank rank = 0;
  auto operator<=>(const Stamp&) const = default;
};
struct Key {
  int table = 0;
  int key = 0;
  auto operator<=>(const Key&) const = default;
};
struct Row {
  Stamp stamp;
  int parent = kNothing;
  int content = 0;
};
using Vector = std::vector<size_t>;  // by rank: transactions of it that are in effect

struct Change {
  enum Kind { kInsert, kUpdate, kDelete } kind = kInsert;
  Key key;
  int parent = kNothing;  // of a delete: what the row had, as its content
  int content = 0;
};
struct Transaction {
  Stamp stamp;
  Vector seen;  // with its own place at its own rank
  std::vector<Change> changes;
  bool client = true;
};
struct Entry {  // of the conflict log
  Key orphan;
  int parent = kNothing;
  Decision decision = Decision::kReportOrphan;
  auto operator<=>(const Entry&) const = default;
};
struct Note {
  Key parent;
  std::optional<Stamp> deleted;
};

class Region {
 public:
  Region(Rank rank, int regions, CommitTime skew, const OnOrphan* rules, Fault fault)
      : rank_(rank),
        rules_(rules),
        fault_(fault),
        clock_(100 + skew),
        inbox_(regions),
        open_(regions),
        applied_(regions),
        peers_(regions, Vector(regions)) {}

  std::optional<Transaction> ClientWrites(std::mt19937& random);
  // Capture: the journal, then the record; empty when there is nothing.
  std::optional<Transaction> Decode();
  void Receive(Rank origin, const Transaction& transaction) {
    inbox_[origin].push_back(transaction);
  }
  // A heartbeat, after all that was sent before; it says what is true where decoding stands.
  void Hears(Rank origin, const Region& sender) {
    if (inbox_[origin].empty() && !open_[origin] && sender.undecoded_.empty())
      peers_[origin] = sender.applied_;
  }
  // Begins the next transaction of the origin, or commits the one that is open.
  void Apply(Rank origin);
  // One look; repairs are appended to `repairs`. `overdue` as the clock of the notes says.
  void Look(bool overdue, std::vector<Transaction>& repairs);
  void RemoveStableTombstones();
  void Kill();
  void Tick(CommitTime ticks) { clock_ += ticks; }

  bool Idle() const;
  bool Quiet() const { return Idle() && notes_.empty(); }
  const std::map<Key, Row>& rows() const { return rows_; }
  const std::set<Entry>& log() const { return log_; }

 private:
  struct Open {
    Transaction transaction;
    std::vector<Note> notes;  // of what the look at its beginning saw
  };
  struct Tombstone {
    Stamp stamp;
    Rank origin = 0;
    size_t place = 0;
  };
  bool Locked(Key key) const;
  bool HasParent(int table, int parent) const {
    return table == 0 || parent == kNothing || rows_.contains({table - 1, parent});
  }
  void DeleteWithChildren(Key key, std::mt19937& random, std::vector<Change>& changes);
  Transaction Commit(std::vector<Change> changes, bool client);
  void NoteGone(Key key, Stamp stamp, const Change& change);
  void Raise(Key key, const Transaction& transaction, Rank origin);
  void ApplyChange(const Transaction& transaction, const Change& change, Rank origin);
  bool Covered(const Row& row, const Transaction& transaction) const;
  std::vector<Key> OrphansOf(Key parent) const;
  bool WriteBack(Key key, std::vector<Change>& changes);
  bool Handle(const Note& note, bool overdue, std::vector<Transaction>& repairs);

  const Rank rank_;
  const OnOrphan* rules_;
  const Fault fault_;
  CommitTime clock_;
  std::map<Key, Row> rows_;
  std::map<Key, Tombstone> tombstones_;
  std::map<Key, std::pair<Stamp, Row>> kept_;  // rows of deleted parents
  std::deque<Transaction> undecoded_;
  std::vector<std::deque<Transaction>> inbox_;
  std::vector<std::optional<Open>> open_;
  std::map<Stamp, size_t> place_of_;  // of applied and local transactions, for coverage
  Vector applied_;
  std::vector<Vector> peers_;
  std::vector<Note> notes_;
  // The cohort: how many notes there were at its first look, and what was open then.
  std::optional<size_t> cohort_;
  std::set<Rank> running_;
  std::set<Entry> log_;
};

inline bool Region::Locked(Key key) const {
  return std::any_of(open_.begin(), open_.end(), [&](const std::optional<Open>& one) {
    return one && std::any_of(one->transaction.changes.begin(), one->transaction.changes.end(),
                              [&](const Change& change) { return change.key == key; });
  });
}

// ON DELETE CASCADE or SET NULL, as it comes.
inline void Region::DeleteWithChildren(Key key, std::mt19937& random,
                                       std::vector<Change>& changes) {
  const Row& row = rows_.at(key);
  for (const auto& [child, found] : rows_) {
    if (child.table != key.table + 1 || found.parent != key.key) continue;
    if (random() % 3 == 0) {
      changes.push_back({Change::kUpdate, child, kNothing, found.content});
    } else {
      DeleteWithChildren(child, random, changes);
    }
  }
  changes.push_back({Change::kDelete, key, row.parent, row.content});
}

inline std::optional<Transaction> Region::ClientWrites(std::mt19937& random) {
  const Key key{static_cast<int>(random() % kTables), static_cast<int>(random() % kKeys)};
  const int parent = random() % 5 == 0 ? kNothing : static_cast<int>(random() % kKeys);
  const int content = static_cast<int>(random() % 1000);
  std::vector<Change> changes;
  const auto at = rows_.find(key);
  if (at == rows_.end()) {
    changes.push_back({Change::kInsert, key, key.table == 0 ? kNothing : parent, content});
  } else if (random() % 2 == 0) {
    DeleteWithChildren(key, random, changes);
  } else {
    // Half of the updates leave the reference alone: PostgreSQL does not look at it then.
    const bool moves = key.table > 0 && random() % 2 == 0;
    changes.push_back({Change::kUpdate, key, moves ? parent : at->second.parent, content});
    if (!moves) return Locked(key) ? std::nullopt : std::optional(Commit(changes, true));
  }
  for (const Change& change : changes) {
    if (Locked(change.key)) return std::nullopt;
    if (change.kind == Change::kDelete || change.parent == kNothing) continue;
    if (!HasParent(change.key.table, change.parent) ||
        Locked({change.key.table - 1, change.parent}))
      return std::nullopt;
  }
  return Commit(changes, true);
}

inline Transaction Region::Commit(std::vector<Change> changes, bool client) {
  Transaction transaction{.stamp = {++clock_, rank_},
                          .seen = applied_,
                          .changes = std::move(changes),
                          .client = client};
  for (const Change& change : transaction.changes) {
    rows_.erase(change.key);
    if (change.kind != Change::kDelete)
      rows_[change.key] = {transaction.stamp, change.parent, change.content};
  }
  undecoded_.push_back(transaction);
  return transaction;
}

inline void Region::NoteGone(Key key, Stamp stamp, const Change& change) {
  if (key.table + 1 == kTables || fault_ == Fault::kParentsNotNoted) return;
  notes_.push_back({key, stamp});
  auto [at, fresh] = kept_.try_emplace(key, stamp, Row{stamp, change.parent, change.content});
  if (!fresh && at->second.first < stamp)
    at->second = {stamp, {stamp, change.parent, change.content}};
}

inline void Region::Raise(Key key, const Transaction& transaction, Rank origin) {
  const Tombstone fresh{transaction.stamp, origin, transaction.seen[origin]};
  auto [at, inserted] = tombstones_.try_emplace(key, fresh);
  if (!inserted && at->second.stamp < fresh.stamp) at->second = fresh;
}

inline std::optional<Transaction> Region::Decode() {
  if (undecoded_.empty()) return std::nullopt;
  Transaction transaction = undecoded_.front();
  undecoded_.pop_front();
  transaction.seen[rank_] = ++applied_[rank_];
  place_of_[transaction.stamp] = transaction.seen[rank_];
  for (const Change& change : transaction.changes) {
    if (change.kind != Change::kDelete) continue;
    Raise(change.key, transaction, rank_);
    auto row = rows_.find(change.key);  // the replay
    if (row != rows_.end() && row->second.stamp < transaction.stamp) rows_.erase(row);
    NoteGone(change.key, transaction.stamp, change);
  }
  return transaction;
}

inline void Region::Apply(Rank origin) {
  if (!open_[origin]) {
    if (inbox_[origin].empty()) return;
    const Transaction& next = inbox_[origin].front();
    for (size_t rank = 0; rank < applied_.size(); ++rank) {  // the causal hold
      if (rank != origin && next.seen[rank] > applied_[rank]) return;
    }
    clock_ = std::max(clock_, next.stamp.time);  // the clock wait
    Open open{.transaction = next, .notes = {}};
    for (const Change& change : next.changes) {
      if (change.kind == Change::kDelete || change.key.table == 0 || change.parent == kNothing)
        continue;
      const auto gone = tombstones_.find({change.key.table - 1, change.parent});
      if (gone != tombstones_.end() && fault_ != Fault::kChildrenNotNoted)
        open.notes.push_back({gone->first, gone->second.stamp});
    }
    open_[origin] = std::move(open);
    return;
  }
  const Open open = *std::move(open_[origin]);
  open_[origin].reset();
  running_.erase(origin);
  for (const Change& change : open.transaction.changes)
    ApplyChange(open.transaction, change, origin);
  notes_.insert(notes_.end(), open.notes.begin(), open.notes.end());
  applied_[origin] = open.transaction.seen[origin];
  place_of_[open.transaction.stamp] = open.transaction.seen[origin];
  peers_[origin] = open.transaction.seen;
  inbox_[origin].pop_front();
}

inline bool Region::Covered(const Row& row, const Transaction& transaction) const {
  const auto place = place_of_.find(row.stamp);
  return place != place_of_.end() && place->second <= transaction.seen[row.stamp.rank];
}

inline void Region::ApplyChange(const Transaction& transaction, const Change& change, Rank origin) {
  const auto row = rows_.find(change.key);
  const auto gone = tombstones_.find(change.key);
  const bool lives = row != rows_.end();
  Stamp known;
  if (lives) known = row->second.stamp;
  if (gone != tombstones_.end()) known = std::max(known, gone->second.stamp);
  const bool wins = known < transaction.stamp;
  if (change.kind == Change::kDelete) {
    NoteGone(change.key, transaction.stamp, change);
    if (wins && lives) rows_.erase(row);
    if (!lives || applied_.size() > 2) Raise(change.key, transaction, origin);
    return;
  }
  const bool set_path = change.kind == Change::kInsert ? !lives && gone == tombstones_.end()
                                                       : lives && Covered(row->second, transaction);
  if (!set_path && change.key.table > 0 && change.parent != kNothing &&
      fault_ != Fault::kDecidedNotNoted && fault_ != Fault::kChildrenNotNoted)
    notes_.push_back({{change.key.table - 1, change.parent}, std::nullopt});
  if (wins) rows_[change.key] = {transaction.stamp, change.parent, change.content};
}

inline std::vector<Key> Region::OrphansOf(Key parent) const {
  std::vector<Key> orphans;
  if (rows_.contains(parent)) return orphans;
  for (const auto& [key, row] : rows_) {
    if (key.table == parent.table + 1 && row.parent == parent.key && !Locked(key))
      orphans.push_back(key);
  }
  return orphans;
}

// All the way up, so that the writer's foreign keys hold, as they do for a client. False: a row is
// not known here.
inline bool Region::WriteBack(Key key, std::vector<Change>& changes) {
  const auto kept = kept_.find(key);
  if (kept == kept_.end() || Locked(key)) return false;
  const Row& row = kept->second.second;
  changes.push_back({Change::kInsert, key, row.parent, row.content});
  const Key up{key.table - 1, row.parent};
  for (int child = 0; child < kKeys; ++child)
    log_.insert({{key.table + 1, child}, key.key, Decision::kReviveParent});
  if (key.table == 0 || row.parent == kNothing || fault_ == Fault::kRevivedHalfway) return true;
  return rows_.contains(up) ? !Locked(up) : WriteBack(up, changes);
}

// True when somebody else is to deal with what is left.
inline bool Region::Handle(const Note& note, bool overdue, std::vector<Transaction>& repairs) {
  const int table = note.parent.table + 1;
  std::optional<Stamp> deleted = note.deleted;
  if (const auto gone = tombstones_.find(note.parent);
      gone != tombstones_.end() && (!deleted || *deleted < gone->second.stamp))
    deleted = gone->second.stamp;
  const auto kept = kept_.find(note.parent);
  const std::optional<Decision> step =
      OrphanStep({.rule = rules_[table],
                  .self = rank_,
                  .deleter = deleted ? std::optional(deleted->rank) : std::nullopt,
                  .overdue = overdue,
                  .parent_known = kept != kept_.end()});
  const std::vector<Key> orphans = OrphansOf(note.parent);
  if (!step) return !orphans.empty();
  if (orphans.empty()) return false;
  if (*step != Decision::kReviveParent) {
    for (const Key& orphan : orphans) log_.insert({orphan, note.parent.key, *step});
  }
  if (*step == Decision::kReportOrphan) return false;
  std::vector<Change> changes;
  if (*step == Decision::kReviveParent) {
    if (!WriteBack(note.parent, changes)) return true;  // not decoded yet, perhaps
  } else {
    for (const Key& orphan : orphans)
      changes.push_back(
          {Change::kDelete, orphan, rows_.at(orphan).parent, rows_.at(orphan).content});
  }
  repairs.push_back(Commit(std::move(changes), false));
  if (fault_ == Fault::kUnpublished) undecoded_.back().changes.clear();
  if (fault_ == Fault::kVersionOfTheDelete && deleted) undecoded_.back().stamp = *deleted;
  return false;
}

inline void Region::Look(bool overdue, std::vector<Transaction>& repairs) {
  if (!cohort_) {
    if (notes_.empty()) return;
    cohort_ = notes_.size();
    for (Rank origin = 0; origin < static_cast<Rank>(open_.size()); ++origin) {
      if (open_[origin]) running_.insert(origin);
    }
  }
  const bool last = running_.empty() || fault_ == Fault::kLookOnce;
  const std::vector<Note> looked(notes_.begin(), notes_.begin() + static_cast<long>(*cohort_));
  std::vector<Note> left;
  for (const Note& note : looked) {
    if (Handle(note, overdue, repairs) || !last) left.push_back(note);
    // What is locked is left for the next time.
    else if (!rows_.contains(note.parent) &&
             std::any_of(rows_.begin(), rows_.end(), [&](const auto& one) {
               return one.first.table == note.parent.table + 1 &&
                      one.second.parent == note.parent.key && Locked(one.first);
             }))
      left.push_back(note);
  }
  left.insert(left.end(), notes_.begin() + static_cast<long>(*cohort_), notes_.end());
  notes_ = std::move(left);
  if (!last) return;
  cohort_.reset();
  running_.clear();
}

inline void Region::RemoveStableTombstones() {
  std::erase_if(tombstones_, [&](const auto& one) {
    const Tombstone& gone = one.second;
    for (Rank peer = 0; peer < static_cast<Rank>(peers_.size()); ++peer) {
      if (peer == rank_ || peer == gone.origin || fault_ == Fault::kTombstonesGoEarly) continue;
      if (peers_[peer][gone.origin] < gone.place) return false;
    }
    return true;
  });
}

inline void Region::Kill() {
  for (auto& open : open_) open.reset();
  cohort_.reset();
  running_.clear();
  if (fault_ == Fault::kNotesInMemory) notes_.clear();
}

inline bool Region::Idle() const {
  return undecoded_.empty() &&
         std::all_of(inbox_.begin(), inbox_.end(), [](const auto& one) { return one.empty(); });
}

}  // namespace pgduet::foreign_keys
