// The application at one region: local transactions of one to three operations, committed in the
// steps of PostgreSQL: the time is taken, the record is written, flushed, and only then the changes
// become visible.
#pragma once

#include "tests/simulation/region.h"

namespace pgduet::simulation {

class Application {
 public:
  explicit Application(Region& region) : region_(region), dice_(region.world.dice) {}

  Task<void> Run() {
    while (!region_.world.stopping) {
      co_await Step{};
      try {
        co_await OneTransaction();
      } catch (const Aborted&) {
      }
      co_await Pause(region_.world, 30, 20, 200);
    }
  }

 private:
  Task<void> OneTransaction() {
    Transaction transaction(region_.database, RecordKind::kLocal, region_.world.step);
    transaction.record.serial = region_.world.next_serial++;
    transaction.record.origin = region_.rank;
    const int operations = dice_.Between(1, 3);
    for (int i = 0; i < operations; ++i) {
      if (dice_.Percent(2)) {
        co_await TruncateTable(transaction);
      } else {
        co_await ChangeRow(transaction, static_cast<Key>(dice_.Below(region_.world.keys)));
      }
      co_await Pause(region_.world, 2, 3, 30);
    }
    if (transaction.record.changes.empty() || dice_.Percent(5)) throw Aborted{};
    co_await Commit(transaction);
  }

  Row NewRow(Transaction& transaction) {
    const Xid xid = dice_.Percent(region_.world.scope.subtransaction_percent)
                        ? region_.database.AssignSubxid(transaction)
                        : 0;
    region_.database.AssignXid(transaction);
    return {xid != 0 ? xid : transaction.record.xid,
            transaction.record.serial * 16 + transaction.record.changes.size(),
            transaction.record.serial};
  }
  void Note(Transaction& transaction, ChangeKind kind, Key key, uint64_t value = 0) {
    transaction.record.changes.push_back({kind, key, value});
  }

  Task<void> ChangeRow(Transaction& transaction, Key key) {
    const std::optional<Row> old = co_await LockRow(region_, transaction, key);
    const Row row = NewRow(transaction);
    if (!old) {
      const bool inserted = co_await InsertRow(region_, transaction, key, row);
      if (inserted) Note(transaction, ChangeKind::kInsert, key, row.value);
      co_return;
    }
    const uint64_t choice = dice_.Below(100);
    if (choice < 35) {
      region_.database.Put(transaction, key, std::nullopt);
      Note(transaction, ChangeKind::kDelete, key);
    } else if (choice < 45) {
      const Key moved = static_cast<Key>(dice_.Below(region_.world.keys));
      const bool inserted = co_await InsertRow(region_, transaction, moved, row);
      if (!inserted) co_return;
      region_.database.Put(transaction, key, std::nullopt);
      Note(transaction, ChangeKind::kDelete, key);
      Note(transaction, ChangeKind::kInsert, moved, row.value);
    } else {
      region_.database.Put(transaction, key, row);
      Note(transaction, ChangeKind::kUpdate, key, row.value);
    }
  }

  Task<void> TruncateTable(Transaction& transaction) {
    Patience patience(dice_);
    while (region_.database.LockTable(transaction) == Try::kWait) {
      patience.Spend();
      co_await Step{};
    }
    region_.database.AssignXid(transaction);
    for (Key key = 0; key < region_.world.keys; ++key) {
      if (region_.database.Visible(transaction, key)) transaction.record.rows[key] = std::nullopt;
    }
    Note(transaction, ChangeKind::kTruncate, kTable);
  }

  Task<void> Commit(Transaction& transaction) {
    transaction.record.time = region_.Clock();
    co_await Pause(region_.world, 1, region_.world.scope.preempted_percent,
                   40);  // preempted: others get their records in first
    const Lsn lsn = region_.database.WriteRecord(transaction);
    co_await Pause(region_.world, 2, 5, 20);
    region_.database.Flush(lsn);
    co_await Pause(region_.world, 1, region_.world.scope.late_percent,
                   60);  // a synchronous standby answers late
    region_.database.MakeVisible(transaction);
  }

  Region& region_;
  Dice& dice_;
};

}  // namespace pgduet::simulation
