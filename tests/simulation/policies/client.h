// An application: transactions over a few rows of mixed tables, each row written from what stands.
#pragma once

#include "tests/simulation/policies/region.h"

namespace pgduet::policy_simulation {

class Client {
 public:
  explicit Client(Region& region)
      : region_(region),
        world_(region.world),
        left_(world_.dice.Between(1, world_.scope.transactions_max)) {}

  Task<void> Run() {
    while (left_-- > 0 && !world_.stopping) {
      co_await Pause(world_, 8, 20, world_.scope.idle_max);
      try {
        co_await Write();
      } catch (const Aborted&) {
      }
    }
  }

 private:
  Task<void> Write() {
    Transaction transaction(region_.database, RecordKind::kLocal);
    for (int count = world_.dice.Between(1, world_.scope.rows_max); count > 0; --count) {
      const RowId row(static_cast<int>(world_.dice.Below(world_.tables.size())),
                      static_cast<int>(world_.dice.Below(world_.keys)));
      if (!transaction.effects.rows.contains(row)) co_await WriteRow(transaction, row);
      co_await Pause(world_, 1, 5, 10);
    }
    co_await Commit(region_, transaction);
  }

  Task<void> WriteRow(Transaction& transaction, RowId row) {
    Change change{.row = row, .kind = ChangeKind::kInsert, .old_row = {}, .new_row = {}};
    const bool there = co_await LockRow(region_, transaction, row);
    if (there) {
      change.old_row = *region_.database.RowOf(row);
      change.kind = world_.dice.Percent(world_.scope.delete_percent) ? ChangeKind::kDelete
                                                                     : ChangeKind::kUpdate;
    } else {
      const bool inserted = co_await InsertRow(region_, transaction, row);
      if (!inserted) co_return;  // ON CONFLICT DO NOTHING
    }
    std::optional<RowImage> image;
    if (change.kind != ChangeKind::kDelete) image = NewRow(row, change.old_row);
    if (image) change.new_row = *image;
    transaction.effects.rows[row] = image;
    transaction.record.changes.push_back(change);
  }

  RowImage NewRow(RowId row, const RowImage& old_row) {
    testing::Chance chance(world_.dice.Below(UINT64_MAX));
    const RowShape& shape = world_.EngineOf(row).shape();
    while (true) {
      RowImage image = old_row.empty() ? testing::RandomRow(chance, shape)
                                       : testing::Changed(chance, shape, old_row);
      if (shape.policy.kind != PolicyKind::kMerge || !testing::BreaksCheck(image)) return image;
    }
  }

  Region& region_;
  World& world_;
  int left_;
};

}  // namespace pgduet::policy_simulation
