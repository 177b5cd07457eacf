// One apply transaction in its steps: set path, row path, barrier, truncate, last-step check,
// commit.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "resolve/last_write_wins.h"
#include "tests/simulation/change_groups.h"

namespace pgduet::simulation {

// Roll back, await the decoder without locks, apply again.
struct DecoderBehind {};

// An applier's place in the commit phase; given back however it ends.
class GateHold {
 public:
  explicit GateHold(DeleteGate& gate) : gate_(gate) {}
  ~GateHold() {
    for (const Key key : held_) gate_.Release(key);
    if (ticket_ != 0) gate_.LeaveCommit(ticket_);
  }
  GateHold(const GateHold&) = delete;
  GateHold& operator=(const GateHold&) = delete;
  void EnterCommit() { ticket_ = gate_.EnterCommit(); }
  // The key of a tombstone that is being written; held until the end.
  void Write(Key key) {
    gate_.Hold(key);
    held_.push_back(key);
  }

 private:
  DeleteGate& gate_;
  uint64_t ticket_ = 0;
  std::vector<Key> held_;
};

// Everything committed before the call has been decoded when this returns. False: patience was at
// its end.
inline Task<bool> AwaitBarrier(Region& region, int steps_max) {
  const uint64_t token = region.world.next_token++;
  Lsn lsn;
  {
    Transaction barrier(region.database, RecordKind::kBarrier, region.world.step);
    barrier.record.token = token;
    lsn = region.database.WriteRecord(barrier);
    region.database.MakeVisible(barrier);
  }
  region.database.Flush(lsn);
  for (int step = 0; !region.memory->barriers_reached.contains(token); ++step) {
    if (step >= steps_max) co_return false;
    co_await Step{};
  }
  co_return true;
}

class ApplyTransaction {
 public:
  ApplyTransaction(Region& region, Rank origin, const std::vector<Record>& units,
                   size_t last_offset)
      : region_(region),
        protocol_(region.world.protocol),
        dice_(region.world.dice),
        database_(region.database),
        gate_(region.memory->gate),
        history_(region.memory->history),
        origin_(origin),
        units_(units),
        last_offset_(last_offset),
        transaction_(region.database, RecordKind::kApplied, region.world.step),
        hold_(gate_),
        seen_(gate_.registered()) {}

  Task<void> Run() {
    WalRecord& record = transaction_.record;
    for (const Record& unit : units_)
      record.time = std::max(record.time, unit.position.commit_time);
    if (!protocol_.batch_highest_time) record.time = units_.back().position.commit_time;
    record.origin = origin_;
    for (const Record& unit : units_) record.applied.push_back(unit.serial);
    database_.AssignXid(transaction_);
    co_await Step{};
    for (const Segment& segment : GroupChanges(units_)) {
      co_await ApplySegment(segment);
      if (segment.truncating_unit) co_await ApplyTruncate(units_[*segment.truncating_unit]);
    }
    if (dice_.Permille(20)) throw Aborted{};
    co_await Commit();
  }

 private:
  struct Standing {
    std::optional<Row> row;
    LocalState state;
    bool own = false;
    Serial writer = 0;
    bool ambiguous = false;
  };
  using Vector = AppliedVector;

  Version VersionOf(const KeyStep& step) const { return units_[step.unit].version(origin_); }

  // --- Coverage ---
  bool FastCovered(const Row& row) const {
    const Vector& vector = units_.front().vector;
    if (row.xmin == transaction_.record.xid) return true;
    const Database::Stamp stamp = database_.StampOf(transaction_, row.xmin);
    if (stamp.origin == origin_) return true;
    if (!protocol_.coverage_by_horizon) return stamp.time <= vector.At(stamp.origin).commit_time;
    if (stamp.origin == region_.rank) return row.xmin < history_.LocalHorizon(vector);
    return row.xmin < history_.OriginHorizon(stamp.origin, vector);
  }
  Coverage Covered(const Standing& standing, Key key, const Vector& vector) const {
    const Version& version = standing.state.version;
    if (standing.own || version.rank == origin_) return {.covered = true};
    if (standing.state.kind == LocalState::Kind::kDeleted) {
      return {.covered = vector.Contains(version.rank, region_.IncarnationOf(version.rank),
                                         version.commit_lsn)};
    }
    if (version.rank == region_.rank) {
      return history_.LocalCovered(standing.row->xmin, version.commit_time, vector);
    }
    return history_.OriginCovered(version.rank, standing.row->xmin, key, vector);
  }

  // --- A segment: set path, then what it left, row by row ---
  Task<void> ApplySegment(const Segment& segment) {
    std::vector<const KeyGroup*> left;
    if (dice_.Percent(15)) {  // the fallback of 0001 after a constraint violation
      for (const KeyGroup& group : segment.groups) left.push_back(&group);
    } else {
      co_await SetPath(segment, left);
    }
    std::vector<const KeyGroup*> unexplained;
    for (const KeyGroup* group : left) {
      const bool explained = co_await RowPath(*group, !protocol_.barrier);
      if (!explained) unexplained.push_back(group);
    }
    if (unexplained.empty()) co_return;
    const bool reached = co_await AwaitBarrier(region_, dice_.Between(0, 60));
    if (!reached) throw DecoderBehind{};
    for (const KeyGroup* group : unexplained) {
      const bool decided = co_await RowPath(*group, true);
      if (!decided) throw Violation("the row path asked for a second barrier");
    }
  }

  Task<void> SetPath(const Segment& segment, std::vector<const KeyGroup*>& left) {
    std::map<NetEffect, std::vector<const KeyGroup*>> statements;
    for (const KeyGroup& group : segment.groups) {
      const bool slow = group.net() == NetEffect::kTransient ||
                        (group.net() == NetEffect::kInsert && gate_.MayHaveTombstone(group.key));
      if (slow) {
        left.push_back(&group);
      } else {
        statements[group.net()].push_back(&group);
      }
    }
    for (const auto& [net, groups] : statements) {
      for (const KeyGroup* group : groups) {
        co_await Step{};
        const bool done =
            net == NetEffect::kInsert ? co_await SetInsert(*group) : co_await SetChange(*group);
        if (!done) left.push_back(group);
      }
    }
  }

  Task<bool> SetInsert(const KeyGroup& group) {
    const bool inserted =
        co_await InsertRow(region_, transaction_, group.key, RowOf(group.key, group.steps.back()));
    if (inserted) inserted_[group.key] = VersionOf(group.steps.back());
    co_return inserted;
  }

  Task<bool> SetChange(const KeyGroup& group) {
    const KeyStep& last = group.steps.back();
    const bool deletes = group.deletes();
    if (deletes && !region_.Two()) co_await WriteTombstone(group.key, last, protocol_.sweep_hits);
    const std::optional<Row> row = co_await LockRow(region_, transaction_, group.key);
    if (!row || !FastCovered(*row)) co_return false;
    database_.Put(transaction_, group.key,
                  deletes ? std::nullopt : std::optional(RowOf(group.key, last)));
    co_return true;
  }

  Row RowOf(Key key, const KeyStep& step) {
    if (units_.size() > 1) written_[key] = units_[step.unit].position;
    return {transaction_.record.xid, step.value, units_[step.unit].serial};
  }

  // With other streams about, any delete may be missed by an insert that waits for it; with one,
  // only a delete that met no row.
  Task<void> WriteTombstone(Key key, const KeyStep& step, bool unswept) {
    hold_.Write(key);
    const Record& unit = units_[step.unit];
    const Tombstone tombstone{unit.version(origin_), unit.serial, unswept && protocol_.sweep,
                              unit.vector};
    co_await RaiseTombstone(region_, transaction_, key, tombstone);
  }

  // --- Row path ---
  // False: neither row nor tombstone under a key that should have one of them.
  Task<bool> RowPath(const KeyGroup& group, bool after_barrier) {
    for (int round = 0; round < 20; ++round) {
      Standing standing = co_await Read(group.key);
      const bool unexplained = standing.state.kind == LocalState::Kind::kNeverSeen &&
                               group.steps.front().kind != ChangeKind::kInsert;
      if (unexplained && !after_barrier) co_return false;
      std::vector<LogEntry> entries;
      const std::optional<KeyStep> outcome = Decide(group, standing, entries);
      const bool written = co_await Write(group.key, standing, outcome);
      if (!written) continue;  // a row appeared between look and insert
      std::vector<LogEntry>& log = transaction_.record.log;
      log.insert(log.end(), entries.begin(), entries.end());
      co_return true;
    }
    throw Aborted{};
  }

  Task<Standing> Read(Key key) {
    Standing standing;
    std::optional<PendingDelete> pending;
    if (protocol_.pending_first) pending = gate_.Pending(key);
    co_await Step{};
    standing.row = co_await LockRow(region_, transaction_, key);
    if (standing.row) {
      const Database::Stamp stamp = database_.StampOf(transaction_, standing.row->xmin);
      // What the same origin wrote is older, whatever the stamp of its batch says.
      standing.own = standing.row->xmin == transaction_.record.xid ||
                     (protocol_.stream_order && stamp.origin == origin_);
      standing.writer = standing.row->writer;
      standing.state = {.kind = LocalState::Kind::kLive,
                        .version = {stamp.time, stamp.origin, Lsn()}};
      if (stamp.origin == region_.rank) {
        standing.state.version.commit_lsn = history_.LocalLsn(standing.row->xmin);
      }
      co_return standing;
    }
    co_await Step{};
    for (const Key place : {key, kTable}) {
      const std::optional<Tombstone> found = database_.VisibleTombstone(transaction_, place);
      if (found) Dead(standing, found->version, found->writer);
    }
    co_await Step{};
    if (!protocol_.pending_first) pending = gate_.Pending(key);
    if (pending) Dead(standing, pending->version, pending->writer);
    co_return standing;
  }
  static void Dead(Standing& standing, const Version& version, Serial writer) {
    const bool higher =
        standing.state.kind == LocalState::Kind::kNeverSeen || standing.state.version < version;
    if (!higher) return;
    standing.state = {.kind = LocalState::Kind::kDeleted, .version = version};
    standing.writer = writer;
  }

  // The last step that takes effect, or nothing.
  std::optional<KeyStep> Decide(const KeyGroup& group, Standing now,
                                std::vector<LogEntry>& entries) {
    std::optional<KeyStep> outcome;
    for (const KeyStep& step : group.steps) {
      const Record& unit = units_[step.unit];
      if (protocol_.own_tombstones && now.state.version == VersionOf(step)) now.own = true;
      const Coverage coverage = Covered(now, group.key, unit.vector);
      now.state.covered = coverage.covered;
      if (now.own) now.state.version = {};
      Resolution resolution = LastWriteWins(step.kind, VersionOf(step), now.state);
      if (!protocol_.by_version) resolution.decision = Decision::kApplyRemote;
      if (resolution.conflict) {
        entries.push_back({group.key, *resolution.conflict, resolution.decision, unit.serial,
                           now.writer, coverage.ambiguous});
      }
      if (resolution.decision == Decision::kKeepLocal) continue;
      outcome = step;
      now.own = true;
      now.writer = unit.serial;
      now.state.kind =
          step.kind == ChangeKind::kDelete ? LocalState::Kind::kDeleted : LocalState::Kind::kLive;
    }
    return outcome;
  }

  Task<bool> Write(Key key, const Standing& standing, const std::optional<KeyStep>& outcome) {
    if (!outcome) co_return true;
    if (outcome->kind == ChangeKind::kDelete) {
      const bool missed = !standing.row && protocol_.sweep;
      if (!region_.Two() || missed) {
        co_await WriteTombstone(key, *outcome, missed || protocol_.sweep_hits);
      }
      if (standing.row) database_.Put(transaction_, key, std::nullopt);
      co_return true;
    }
    if (standing.row) {
      database_.Put(transaction_, key, RowOf(key, *outcome));
      co_return true;
    }
    const bool inserted = co_await InsertRow(region_, transaction_, key, RowOf(key, *outcome));
    if (inserted) inserted_[key] = VersionOf(*outcome);
    co_return inserted;
  }

  // --- Truncate: a delete of every row with a lower version ---
  Task<void> ApplyTruncate(const Record& unit) {
    for (Key key = 0; key < region_.world.keys; ++key) {
      const std::optional<Row> row = co_await LockRow(region_, transaction_, key);
      if (!row) continue;
      const bool goes = FastCovered(*row) || DecideTruncated(unit, key, *row);
      if (goes) database_.Put(transaction_, key, std::nullopt);
    }
    if (region_.Two() && !protocol_.sweep) co_return;
    hold_.Write(kTable);
    const Tombstone tombstone{unit.version(origin_), unit.serial, protocol_.sweep, unit.vector};
    co_await RaiseTombstone(region_, transaction_, kTable, tombstone);
  }
  bool DecideTruncated(const Record& unit, Key key, const Row& row) {
    const Database::Stamp stamp = database_.StampOf(transaction_, row.xmin);
    Standing standing{.row = row, .writer = row.writer};
    standing.state = {.kind = LocalState::Kind::kLive,
                      .version = {stamp.time, stamp.origin, Lsn()}};
    const Coverage coverage = Covered(standing, key, unit.vector);
    standing.state.covered = coverage.covered;
    const Resolution resolution =
        LastWriteWins(ChangeKind::kDelete, unit.version(origin_), standing.state);
    if (resolution.conflict) {
      transaction_.record.log.push_back({key, *resolution.conflict, resolution.decision,
                                         unit.serial, row.writer, coverage.ambiguous});
    }
    return resolution.decision == Decision::kApplyRemote;
  }

  // --- Commit ---
  void DecideLateDelete(const PendingDelete& late, Key key) {
    const auto at = inserted_.find(key);
    const std::optional<Row> row = database_.Visible(transaction_, key);
    if (at == inserted_.end() || !row || row->xmin != transaction_.record.xid) return;
    const bool seen = units_.back().vector.Contains(
        late.version.rank, region_.IncarnationOf(late.version.rank), late.version.commit_lsn);
    if (seen && protocol_.replay_checks_vector) return;
    const bool delete_wins = at->second < late.version;
    transaction_.record.log.push_back({key, ConflictKind::kUpdateDeleted,
                                       delete_wins ? Decision::kKeepLocal : Decision::kApplyRemote,
                                       row->writer, late.writer});
    if (delete_wins) database_.Put(transaction_, key, std::nullopt);
  }

  Task<void> Commit() {
    while (protocol_.registration_check) {
      const std::vector<PendingDelete> late = gate_.RegisteredSince(seen_);
      if (late.empty()) break;
      for (const PendingDelete& one : late) {
        for (Key key = 0; key < region_.world.keys; ++key) {
          if (one.key == key || one.key == kTable) DecideLateDelete(one, key);
        }
      }
      co_await Step{};
    }
    hold_.EnterCommit();
    co_await Step{};
    const Progress progress{origin_,
                            units_.back().position,
                            last_offset_,
                            units_.back().vector,
                            transaction_.record.xid,
                            written_};
    transaction_.record.progress = progress;
    co_await CommitAsynchronously(region_, transaction_);
    co_await Step{};
    history_.Applied(progress);
  }

  Region& region_;
  const Protocol& protocol_;
  Dice& dice_;
  Database& database_;
  DeleteGate& gate_;
  CoverageHistory& history_;
  const Rank origin_;
  const std::vector<Record>& units_;
  const size_t last_offset_;
  Transaction transaction_;
  GateHold hold_;
  size_t seen_;
  std::map<Key, Version> inserted_;
  std::map<Key, Position> written_;
};

}  // namespace pgduet::simulation
