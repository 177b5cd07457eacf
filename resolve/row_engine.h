// The engine behind every policy but last write wins: takes one write of one row at a time, in any
// order that respects causality, and keeps the maximal set and the visible row.
//
// For any set of writes, every region that has taken all of them shows the same row. The argument:
//   - the members are the maximal elements of the writes taken, whatever the order;
//   - the visible row is a function of the members (picks), or of the merged columns, whose rules
//     commute for concurrent writes (merge/*.h);
//   - a write that covers all that is here shows its own row: it is the only member, and what it
//     did to the columns is how its row differs from the one that it met. (Where something was
//     hidden from it, a bound or a CHECK or a delete, the columns show that now: also at its
//     origin.)
// tests/resolve/row_engine_test.cc and tests/simulation/policies hold it against oracles.
// Pure: no I/O, no clock, no logging.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "resolve/row_state.h"
#include "resolve/table_policy.h"
#include "schemas/change.h"

namespace pgduet {

// A column as the engine sees it.
struct ShapeColumn {
  std::string name;
  ColumnKind kind = ColumnKind::kLatest;
  int group = -1;         // `latest` columns with the same number win together
  bool json = false;      // add_wins_set: a jsonb array, not an SQL array
  std::string low, high;  // counter: bounds of the type as decimal numbers; empty: none
  int float_bits = 0;     // counter: 32 or 64, it shows the nearest float; 0: it shows the sum
};

// A table's columns under its policy.
struct RowShape {
  TablePolicy policy;
  std::vector<ShapeColumn> columns;
  std::vector<std::string> Names() const;
};

// What one transaction did to one row: its first old row and its last new row.
struct RowWrite {
  Dot dot;
  ChangeKind kind = ChangeKind::kUpdate;  // insert, update or delete
  // The origin's applied vector at that transaction; contains the dot itself.
  const AppliedVector* vector = nullptr;
  // Update and delete in merge tables: the row that it met, all columns. Other tables: it may be
  // empty, if `new_row` is whole.
  RowImage old_row;
  RowImage new_row;  // insert and update: absent cells are unchanged
};

enum class Shown : uint8_t {
  kRemote,    // the arriving write's row is what is visible
  kLocal,     // what was visible stays
  kMerged,    // neither: a row that no side wrote, or another version of it (or its delete)
  kFunction,  // the caller asks the user's function for the row (CustomOrder)
};

struct Outcome {
  bool concurrent = false;  // the write had not seen all that was here: log it
  // Of those that it had not seen, the newest: what the log shows as the other side.
  std::optional<Member> other;
  Shown shown = Shown::kRemote;
  // A merged counter is beyond its type's range and shows the bound.
  bool overflow = false;
};

class RowEngine {
 public:
  explicit RowEngine(RowShape shape) : shape_(std::move(shape)) {}
  const RowShape& shape() const { return shape_; }

  // Each write is taken exactly once (the caller's positions see to that); a second write with the
  // same dot is a later chunk of the same transaction.
  // `visible`: the row as it stands, and then as it has to stand (empty: no row). For a write of
  // this database that capture has just decoded, which stands already, it is the row before it.
  // `stable`: what every write to come has seen; what is kept of such writes is let go.
  Outcome Take(const RowWrite& taken, const AppliedVector& stable, RowState& state,
               std::optional<RowImage>& visible) const;

  // Whether a state that is stable says nothing that a write to come needs: it may go then. Merged
  // columns that the row does not show have to be the same for all writes to come, so they stay
  // until one of them has brought them out.
  bool Settled(const RowState& state, bool row_stands) const;

  // The database refused the merged row: what is shown instead, equal everywhere (the newest
  // living member's row), and the merged columns go to the shadow.
  void ShowNewest(RowState& state, std::optional<RowImage>& visible) const;

  // What it is to go from the row that stood to the one that is visible, by this write.
  static Shown WhatShows(const RowWrite& write, const std::optional<RowImage>& stood,
                         const std::optional<RowImage>& visible);

  // Which member a pick policy shows.
  const Member& Pick(const RowState& state) const;
  // The members in the order in which a custom function gets them: by version, the oldest first.
  static std::vector<const Member*> CustomOrder(const RowState& state);

 private:
  bool ShowColumns(const RowWrite& write, bool concurrent, RowImage merged, RowState& state,
                   std::optional<RowImage>& visible) const;
  bool Lives(const RowState& state) const;
  static void Forget(const AppliedVector& stable, RowState& state);

  const RowShape shape_;
};

}  // namespace pgduet
