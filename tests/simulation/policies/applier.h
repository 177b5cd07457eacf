// Applies what one origin has published: causal hold, clock wait, then one atomic transaction.
#pragma once

#include <algorithm>
#include <set>

#include "tests/simulation/policies/region.h"

namespace pgduet::policy_simulation {

class Applier {
 public:
  Applier(Region& region, Rank origin) : region_(region), world_(region.world), origin_(origin) {}

  Task<void> Run() {
    next_ = region_.database.progress(origin_).next;
    region_.memory.known[origin_] = region_.database.progress(origin_).known;
    while (true) {
      co_await Step{};
      co_await Pause(world_, 2, 8, 200);
      const std::vector<Record>& topic = region_.all[origin_]->topic;
      if (next_ >= topic.size()) continue;
      const Record record = topic[next_];
      if (!world_.protocol.applied_known) Learn(topic.back());
      co_await Take(record);
      Learn(record);
      ++next_;
    }
  }

 private:
  void Learn(const Record& record) {
    AppliedVector& known = region_.memory.known[origin_];
    for (Rank rank = 0; rank < world_.regions; ++rank) {
      if (record.vector.At(rank).incarnation != 0) known.Advance(rank, record.vector.At(rank));
    }
  }

  bool Applied(const Record& record) {
    return record.position.commit_lsn <= region_.database.progress(origin_).position.commit_lsn;
  }
  Task<void> Take(const Record& record) {
    if (record.heartbeat) co_return;
    if (world_.protocol.drop_duplicates && Applied(record)) co_return;
    while (world_.protocol.causal_hold &&
           !region_.Applied().ContainsAll(record.vector, {origin_, region_.rank})) {
      co_await Step{};
    }
    while (world_.protocol.clock_wait && region_.Clock() < record.position.commit_time) {
      co_await Step{};
    }
    while (true) {
      bool done = false;
      Lsn wait_for;
      try {
        done = co_await Attempt(record, wait_for);
      } catch (const Aborted&) {
      }
      if (done) break;
      // Without locks: capture may need them.
      while (region_.memory.decoded < wait_for) co_await Step{};
      co_await Pause(world_, 4, 0, 0);
    }
  }

  // False: begin again, once `wait_for` is decoded.
  Task<bool> Attempt(const Record& record, Lsn& wait_for) {
    Transaction transaction(region_.database, RecordKind::kApplied);
    transaction.record.origin = origin_;
    transaction.record.position = record.position;
    std::vector<RowId> missing;
    for (const Change& change : record.changes) {
      const bool there = co_await LockRow(region_, transaction, change.row);
      if (!there) missing.push_back(change.row);
      const auto writer = region_.database.LsnOf(region_.database.WriterOf(change.row));
      if (there && writer && *writer > region_.memory.decoded && world_.protocol.writer_decoded) {
        wait_for = *writer;
        co_return false;
      }
      co_await Pause(world_, 1, 5, 10);
    }
    const bool claimed = co_await ClaimKeys(transaction, record, missing);
    if (!claimed) co_return false;
    const bool reached = missing.empty() || co_await Barrier(wait_for);
    if (!reached) co_return false;
    for (const Change& change : record.changes)
      co_await LockState(region_, transaction, change.row);
    co_await Pause(world_, 1, 5, 10);
    for (const RowId& row : missing) {
      if (region_.database.RowOf(row) && world_.protocol.missing_again) co_return false;
    }
    for (const Change& change : record.changes) {
      const bool written = co_await Write(transaction, record, change);
      if (!written) co_return false;
    }
    Progress progress{
        .position = record.position, .next = next_ + 1, .known = region_.memory.known[origin_]};
    transaction.effects.progress[origin_] = std::move(progress);
    co_await Commit(region_, transaction);
    must_claim_.clear();
    co_return true;
  }

  // Inserts what the change carries (it is decided later what stands). False: a row stands there.
  Task<bool> ClaimKeys(const Transaction& transaction, const Record& record,
                       const std::vector<RowId>& missing) {
    if (!world_.protocol.claims_keys) co_return true;
    for (const Change& change : record.changes) {
      const bool whole =
          change.kind != ChangeKind::kDelete || world_.whole_deletes[change.row.first];
      const bool wanted = whole || must_claim_.contains(change.row);
      const bool misses = std::find(missing.begin(), missing.end(), change.row) != missing.end();
      if (!wanted || !misses) continue;
      const bool inserted = co_await InsertRow(region_, transaction, change.row);
      if (!inserted) co_return false;
    }
    co_return true;
  }

  // All that was committed here before this moment is decoded.
  Task<bool> Barrier(Lsn& wait_for) {
    const Lsn barrier = region_.database.end();
    for (int patience = 20; world_.protocol.barrier && region_.memory.decoded < barrier;) {
      if (--patience < 0) {
        wait_for = barrier;
        co_return false;
      }
      co_await Step{};
    }
    co_return true;
  }

  // False: an insert has met a row that became visible in between, or has to claim its key first.
  Task<bool> Write(Transaction& transaction, const Record& record, const Change& change) {
    RowState state = region_.database.StateOf(change.row);
    std::optional<RowImage> visible = region_.database.RowOf(change.row);
    const bool stood = visible.has_value();
    const RowWrite write{.dot = {.rank = origin_,
                                 .incarnation = record.position.incarnation,
                                 .lsn = record.position.commit_lsn,
                                 .time = record.position.commit_time},
                         .kind = change.kind,
                         .vector = &record.vector,
                         .old_row = change.old_row,
                         .new_row = change.new_row};
    TakeInto(region_, change.row, write, state, visible, transaction.effects);
    if (visible && !stood) {
      const bool claims = world_.protocol.claims_keys && change.kind == ChangeKind::kDelete &&
                          !world_.whole_deletes[change.row.first];
      if (claims && must_claim_.insert(change.row).second) co_return false;
      const bool inserted = co_await InsertRow(region_, transaction, change.row);
      if (!inserted) co_return false;
    }
    if (visible || stood) transaction.effects.rows[change.row] = visible;
    transaction.effects.states[change.row] = std::move(state);
    co_return true;
  }

  Region& region_;
  World& world_;
  const Rank origin_;
  size_t next_ = 0;
  std::set<RowId> must_claim_;  // deletes after which another version stands
};

}  // namespace pgduet::policy_simulation
