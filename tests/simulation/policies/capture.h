// Capture of one region, and its journal: decodes the log in order, takes local writes into the
// states, publishes.
#pragma once

#include <algorithm>

#include "tests/simulation/policies/region.h"

namespace pgduet::policy_simulation {

class Capture {
 public:
  explicit Capture(Region& region) : region_(region), world_(region.world) {}

  Task<void> Run() {
    Resume();
    while (true) {
      co_await Step{};
      co_await Pause(world_, 1, world_.scope.lag_percent, world_.scope.lag_max);
      if (at_ == region_.database.end()) {
        if (world_.dice.Percent(10)) Heartbeat();
        continue;
      }
      const WalRecord record = region_.database.wal()[at_.value()];
      at_ = Lsn(at_.value() + 1);
      if (record.kind == RecordKind::kApplied) vector_.Advance(record.origin, record.position);
      vector_.Advance(region_.rank, region_.PositionOf(region_.rank, at_, record.time));
      if (record.kind == RecordKind::kLocal) co_await Publish(record);
      region_.memory.decoded = at_;
      region_.memory.at_decoded = vector_;
    }
  }

 private:
  // From the tail of the topic; at times not all of it is seen, and some is published again.
  void Resume() {
    const size_t size = region_.topic.size();
    const size_t seen = size - std::min<size_t>(size, world_.dice.Below(3));
    if (seen > 0) {
      at_ = region_.topic[seen - 1].position.commit_lsn;
      vector_ = region_.topic[seen - 1].vector;
    }
    region_.memory.decoded = at_;
    region_.memory.at_decoded = vector_;
  }
  void Heartbeat() {
    if (!at_.valid()) return;
    region_.topic.push_back({.heartbeat = true,
                             .position = region_.PositionOf(region_.rank, at_, region_.Clock()),
                             .vector = vector_,
                             .changes = {}});
  }

  Task<void> Publish(const WalRecord& record) {
    for (const Change& change : record.changes) Register(change, record.time);
    Record published{.heartbeat = false,
                     .position = region_.PositionOf(region_.rank, at_, record.time),
                     .vector = vector_,
                     .changes = record.changes};
    if (!world_.protocol.journal_first) region_.topic.push_back(published);
    while (true) {
      bool done = false;
      try {
        co_await Journal(record);
        done = true;
      } catch (const Aborted&) {
      }
      if (done) break;
      co_await Pause(world_, 5, 0, 0);
    }
    if (!world_.protocol.journal_first) co_return;
    co_await Pause(world_, 1, 5, 30);
    if (!world_.protocol.vector_from_wal) {
      published.vector = region_.Applied();
      published.vector.Set(region_.rank, published.position);
    }
    region_.topic.push_back(std::move(published));
  }

  // Tells the oracle of the write, once.
  void Register(const Change& change, CommitTime time) {
    RowHistory& history = world_.histories[change.row];
    PolicyWrite write;
    write.dot = DotOf(time);
    for (size_t at = 0; at < history.size(); ++at) {
      if (history[at].dot == write.dot) return;
      if (history[at].dot.CoveredBy(vector_)) write.past.set(at);
    }
    if (history.size() >= testing::kWritesMax) throw Violation("too many writes of one row");
    const RowShape& shape = world_.EngineOf(change.row).shape();
    const testing::Oracle oracle(shape, history);
    write.kind = change.kind;
    write.vector = vector_;
    if (change.kind != ChangeKind::kInsert) write.stood = change.old_row;
    const bool merges = shape.policy.kind == PolicyKind::kMerge;
    if (!merges && world_.whole_deletes[change.row.first] &&
        write.stood != oracle.Visible(write.past))
      throw Violation("a local write has not seen what its vector says");
    if (merges) write.found = write.stood ? *write.stood : oracle.Found(write.past);
    write.after = change.new_row;
    history.push_back(std::move(write));
  }
  Dot DotOf(CommitTime time) const {
    return {.rank = region_.rank,
            .incarnation = region_.IncarnationOf(region_.rank),
            .lsn = at_,
            .time = time};
  }

  Task<void> Journal(const WalRecord& record) {
    if (at_ <= region_.database.journaled() && world_.protocol.journal_once) co_return;
    if (world_.protocol.journal_sees) {
      while (region_.database.Running(record.xid)) co_await Step{};
    }
    Transaction transaction(region_.database, RecordKind::kInternal);
    for (const Change& change : record.changes) {
      co_await LockState(region_, transaction, change.row);
      co_await Take(transaction, record, change);
      co_await Pause(world_, 1, 5, 10);
    }
    transaction.effects.journaled = at_;
    co_await Commit(region_, transaction);
  }

  Task<void> Take(Transaction& transaction, const WalRecord& record, const Change& change) {
    RowState state = region_.database.StateOf(change.row);
    const RowWrite write{.dot = DotOf(record.time),
                         .kind = change.kind,
                         .vector = &vector_,
                         .old_row = change.old_row,
                         .new_row = change.new_row};
    std::optional<RowImage> visible;
    if (change.kind != ChangeKind::kInsert) visible = change.old_row;
    const bool seen_all =
        std::all_of(state.members.begin(), state.members.end(),
                    [&](const Member& member) { return member.dot.CoveredBy(vector_); });
    // Where merged columns are hidden the write may show more than it wrote.
    if ((seen_all && !state.shadow) || !world_.protocol.journal_shows) {
      TakeInto(region_, change.row, write, state, visible, transaction.effects);
    } else {
      const Xid writer = record.xid;
      co_await TakeContested(transaction, writer, change.row, write, state, visible);
    }
    transaction.effects.states[change.row] = std::move(state);
  }

  // Remote writes came in between its commit and now. What stands is mended, unless a later local
  // write stands there or has taken the row away: it comes by, and decides.
  Task<void> TakeContested(Transaction& transaction, Xid writer, RowId row, const RowWrite& write,
                           RowState& state, std::optional<RowImage>& visible) {
    co_await LockRow(region_, transaction, row);
    const std::optional<RowImage> stands = region_.database.RowOf(row);
    const Xid stands_by = region_.database.WriterOf(row);
    const bool remote = stands && !region_.database.LsnOf(stands_by);
    const bool gone = !stands && write.kind == ChangeKind::kDelete;
    const bool settled = remote || gone || (stands && stands_by == writer);
    if (remote) visible = stands;
    TakeInto(region_, row, write, state, visible, transaction.effects);
    const bool merges = world_.EngineOf(row).shape().policy.kind == PolicyKind::kMerge;
    if (settled || !world_.protocol.journal_own_row) {
      if (visible == stands) co_return;
      const bool locked = stands || co_await InsertRow(region_, transaction, row);
      if (!locked) throw Aborted{};
      transaction.effects.rows[row] = visible;
    } else if (merges && !state.shadow) {
      state.shadow = visible;
    }
  }

  Region& region_;
  World& world_;
  Lsn at_;
  AppliedVector vector_;  // at this place
};

}  // namespace pgduet::policy_simulation
