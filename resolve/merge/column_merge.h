// How one column takes one write: the rules of merge tables. Each rule commutes for writes that
// have not seen each other, and gives the write's own value when the write has seen all others; so
// every region gets the same value from the same writes.
//
// A kind is one file beside this one; MergeColumn is the only place that knows all of them.
#pragma once

#include "resolve/row_state.h"
#include "resolve/table_policy.h"

namespace pgduet {

struct ColumnWrite {
  const Dot& dot;
  const AppliedVector& vector;
  // What the writer found (null when there was no row) and left there (null after a delete).
  const Cell& before;
  const Cell& after;
  bool changed = false;  // the column, or another one of its group; every column of an insert
  bool inserts = false;  // the row: overwrites all that it had seen, also what was not shown
  bool deletes = false;  // the row
};

// `json`: an add_wins_set is a jsonb array. `value`: the column as merged so far.
void MergeColumn(ColumnKind kind, bool json, const ColumnWrite& write, ColumnState& state,
                 Cell& value);
// The same value in the form that all regions give it after a merge.
void Canonicalise(ColumnKind kind, bool json, Cell& value);
// Whether the two say the same, maybe in other words: sets in another order, 1.50 and 1.5, a NULL
// where nothing is.
bool Equivalent(ColumnKind kind, bool json, const Cell& left, const Cell& right);
bool CountsAsZero(const Cell& counter);
// Lets go of what every write to come has seen.
void ForgetStable(const AppliedVector& stable, ColumnState& state);

// The kinds.
void MergeRegister(ColumnKind kind, const ColumnWrite& write, ColumnState& state, Cell& value);
void MergeCounter(const ColumnWrite& write, Cell& value);
void MergeSet(bool json, const ColumnWrite& write, ColumnState& state, Cell& value);
void MergeMap(const ColumnWrite& write, ColumnState& state, Cell& value);

}  // namespace pgduet
