// Capture at one region: decodes the flushed log in order, journals local deletes, publishes with
// the vector that is true at that place of the log, and moves the slot only past what cannot be
// lost.
#pragma once

#include <algorithm>

#include "tests/simulation/region.h"

namespace pgduet::simulation {

class Capture {
 public:
  explicit Capture(Region& region)
      : region_(region), dice_(region.world.dice), database_(region.database) {}

  Task<void> Run() {
    Resume();
    while (true) {
      co_await Step{};
      if (region_.decoded < database_.flushed()) {
        const Lsn lsn(region_.decoded.value() + 1);
        const WalRecord record = database_.At(lsn);
        co_await Decode(record, lsn);
        region_.decoded = lsn;
        region_.memory->history.DecodedThrough(lsn);
        Close();
      } else if (dice_.Percent(5)) {
        Heartbeat();
      }
      Confirm();
    }
  }

 private:
  // The end of the topic says where to go on; the slot says from where the log is read again.
  void Resume() {
    region_.decoded = region_.confirmed;
    through_ = region_.confirmed;
    region_.FlushBeforeLoad();  // what an earlier run journaled
    for (const Record& record : region_.topic) {
      sequence_ = std::max(sequence_, record.sequence);
      published_ = std::max(published_, record.position.commit_lsn);
      for (Rank rank = 0; rank < region_.world.regions; ++rank) {
        if (record.vector.At(rank).commit_lsn.valid())
          vector_.Advance(rank, record.vector.At(rank));
      }
    }
  }

  Task<void> Decode(const WalRecord& record, Lsn lsn) {
    switch (record.kind) {
      case RecordKind::kApplied:
        vector_.Advance(record.progress->origin, record.progress->position);
        break;
      case RecordKind::kBarrier:
        region_.memory->barriers_reached.insert(record.token);
        break;
      case RecordKind::kLocal:
        region_.memory->history.LocalCommitted(record.xid, record.time, lsn);
        co_await Step{};
        co_await Journal(record, lsn);
        co_await Pause(region_.world, 2, 5, 40);
        Publish(record, lsn);
        break;
      case RecordKind::kInternal:
      case RecordKind::kAbort:
        break;
    }
  }

  static std::vector<Key> DeletedKeys(const WalRecord& record) {
    std::vector<Key> keys;
    for (const RowWrite& change : record.changes) {
      const bool gone = change.kind == ChangeKind::kDelete || change.kind == ChangeKind::kTruncate;
      if (gone && std::find(keys.begin(), keys.end(), change.key) == keys.end()) {
        keys.push_back(change.key);
      }
    }
    return keys;
  }

  Task<void> Journal(const WalRecord& record, Lsn lsn) {
    const std::vector<Key> keys = DeletedKeys(record);
    if (keys.empty() || lsn <= database_.journaled()) co_return;
    const Version version{record.time, region_.rank, lsn};
    DeleteGate& gate = region_.memory->gate;
    for (const Key key : keys) gate.Register({key, version, record.serial});
    co_await Step{};
    const uint64_t ticket = gate.next_ticket();
    while (gate.CommitsBefore(ticket)) co_await Step{};
    for (bool written = false; !written;) {
      try {
        co_await WriteJournal(record, keys, version);
        written = true;
      } catch (const Aborted&) {
      }
      co_await Step{};
    }
    gate.Settled();
  }

  Task<void> WriteJournal(const WalRecord& source, const std::vector<Key>& keys,
                          const Version& version) {
    Transaction transaction(database_, RecordKind::kInternal, region_.world.step);
    transaction.record.journal_of = source.serial;
    database_.AssignXid(transaction);
    transaction.record.origin = region_.rank;
    for (const Key key : keys) {
      if (!region_.world.protocol.journal_replays) break;
      for (Key row = 0; row < region_.world.keys; ++row) {
        if (key == row || key == kTable) co_await Replay(transaction, row, version, source.serial);
      }
    }
    for (const Key key : keys) {
      const Tombstone tombstone{.version = version, .writer = source.serial};
      co_await RaiseTombstone(region_, transaction, key, tombstone);
      co_await Step{};
    }
    transaction.record.journaled = version.commit_lsn;
    const Lsn written = co_await CommitAsynchronously(region_, transaction);
    unflushed_.push_back({version.commit_lsn, written});
  }

  // A row of another region under a locally deleted key.
  Task<void> Replay(Transaction& transaction, Key key, const Version& version, Serial deleter) {
    const std::optional<Row> row = co_await LockRow(region_, transaction, key);
    if (!row) co_return;
    const Database::Stamp stamp = database_.StampOf(transaction, row->xmin);
    if (stamp.origin == region_.rank) co_return;
    co_await Step{};
    if (region_.world.protocol.replay_checks_vector && HadSeen(row->xmin, version)) co_return;
    const bool delete_wins = Version{stamp.time, stamp.origin, Lsn()} < version;
    transaction.record.log.push_back({key, ConflictKind::kUpdateDeleted,
                                      delete_wins ? Decision::kKeepLocal : Decision::kApplyRemote,
                                      row->writer, deleter});
    if (delete_wins) database_.Put(transaction, key, std::nullopt);
  }

  bool HadSeen(Xid writer, const Version& version) const {
    for (const Progress& one : database_.progress()) {
      if (one.xid != writer) continue;
      return one.vector.Contains(version.rank, region_.IncarnationOf(version.rank),
                                 version.commit_lsn);
    }
    return false;
  }

  void Publish(const WalRecord& source, Lsn lsn) {
    if (lsn <= published_) return;
    published_ = lsn;
    const Position position = region_.PositionOf(lsn, source.time, ++sequence_);
    vector_.Set(region_.rank, position);
    Record record{.sequence = sequence_,
                  .serial = source.serial,
                  .position = position,
                  .vector = vector_,
                  .changes = source.changes,
                  .closed = Closed()};
    if (!region_.world.protocol.vector_from_wal) {
      record.vector = region_.memory->applied;
      record.vector.Set(region_.rank, position);
    }
    region_.topic.push_back(record);
    through_ = lsn;
    if (dice_.Percent(4)) region_.topic.push_back(record);  // sent twice
    if (dice_.Percent(2)) region_.topic.push_back(region_.topic[dice_.Below(region_.topic.size())]);
  }

  void Heartbeat() {
    region_.topic.push_back({.heartbeat = true,
                             .sequence = sequence_,
                             .position = vector_.At(region_.rank),
                             .vector = vector_,
                             .closed = Closed()});
    through_ = region_.decoded;
  }

  void Close() { region_.memory->closed[region_.rank] = Closed(); }
  CommitTime Closed() const {
    CommitTime closed = region_.memory->closed[region_.rank];
    for (const Memory::Closing& closing : region_.memory->closings) {
      if (closing.position <= region_.decoded) closed = std::max(closed, closing.time);
    }
    return closed;
  }

  void Confirm() {
    std::erase_if(unflushed_,
                  [&](const Unflushed& one) { return one.written <= database_.flushed(); });
    Lsn safe = region_.world.protocol.confirm_published ? through_ : region_.decoded;
    for (const Unflushed& one : unflushed_) safe = std::min(safe, Lsn(one.source.value() - 1));
    region_.confirmed = std::max(region_.confirmed, safe);
  }

  struct Unflushed {
    Lsn source;
    Lsn written;
  };
  Region& region_;
  Dice& dice_;
  Database& database_;
  AppliedVector vector_;
  uint64_t sequence_ = 0;
  Lsn published_;
  Lsn through_;  // what the topic's last record speaks for
  std::vector<Unflushed> unflushed_;
};

}  // namespace pgduet::simulation
