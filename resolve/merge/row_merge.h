// A merge table's row: every column takes a write by its own rule. Pure.
#pragma once

#include <optional>

#include "resolve/row_engine.h"

namespace pgduet {

// The merged columns before the write: the shadow, else the visible row, else what the writer found
// (a row that is not here though nobody deleted it), else nothing.
RowImage MergeBase(const RowShape& shape, const RowWrite& write, const RowState& state,
                   const std::optional<RowImage>& visible);

// Every column of `row` takes the write.
void MergeColumns(const RowShape& shape, const RowWrite& write, RowState& state, RowImage& row);

bool CountersAreZero(const RowShape& shape, const RowImage& row);

// The row in the form that all regions give it after a merge; `shown` has the bound in the place of
// a counter that is beyond its type, and the nearest float in that of a sum of floats. Returns
// false when a counter is beyond its type.
bool ShowMerged(const RowShape& shape, RowImage& merged, RowImage& shown);

// The same after a write that had seen all others: its own words where they say what the merged
// columns say (its order of a set's elements, its digits).
bool ShowOwn(const RowShape& shape, const RowImage& own, RowImage& merged, RowImage& shown);

}  // namespace pgduet
