#include "resolve/merge/row_merge.h"

#include <set>

#include "resolve/merge/column_merge.h"
#include "resolve/merge/decimal.h"
#include "resolve/merge/float_text.h"

namespace pgduet {
namespace {

const Cell& CellOf(const RowImage& row, size_t column, const Cell& otherwise) {
  return column < row.size() ? row[column] : otherwise;
}

bool Differs(const RowWrite& write, size_t column) {
  static const Cell kUnknown;
  const Cell& after = CellOf(write.new_row, column, kUnknown);
  if (write.kind == ChangeKind::kInsert) return true;
  return after.known() && after != CellOf(write.old_row, column, kUnknown);
}

// Groups in which one column differs count as changed in all.
std::set<int> ChangedGroups(const RowShape& shape, const RowWrite& write) {
  std::set<int> groups;
  for (size_t column = 0; column < shape.columns.size(); ++column) {
    if (shape.columns[column].group >= 0 && Differs(write, column))
      groups.insert(shape.columns[column].group);
  }
  return groups;
}

// What the column's type can hold of the exact sum. False: the sum is beyond it.
bool FitType(const ShapeColumn& column, Cell& cell) {
  const std::optional<Decimal> number = Decimal::Parse(cell.text);
  if (!number) return true;
  const std::optional<Decimal> low = Decimal::Parse(column.low), high = Decimal::Parse(column.high);
  if (low && *number < *low) {
    cell.text = column.low;
    return false;
  }
  if (high && *high < *number) {
    cell.text = column.high;
    return false;
  }
  if (column.float_bits > 0)
    cell.text = NearestFloat(*number, column.float_bits).value_or(cell.text);
  return true;
}

}  // namespace

RowImage MergeBase(const RowShape& shape, const RowWrite& write, const RowState& state,
                   const std::optional<RowImage>& visible) {
  if (state.shadow) return *state.shadow;
  if (visible) return *visible;
  if (write.old_row.size() == shape.columns.size()) return write.old_row;
  return RowImage(shape.columns.size(), Cell::Null());
}

void MergeColumns(const RowShape& shape, const RowWrite& write, RowState& state, RowImage& row) {
  static const Cell kNothing = Cell::Null();
  state.columns.resize(shape.columns.size());
  row.resize(shape.columns.size());
  const std::set<int> changed_groups = ChangedGroups(shape, write);
  const bool deletes = write.kind == ChangeKind::kDelete;
  for (size_t column = 0; column < shape.columns.size(); ++column) {
    const ShapeColumn& one = shape.columns[column];
    const ColumnWrite column_write{
        .dot = write.dot,
        .vector = *write.vector,
        .before = CellOf(write.old_row, column, kNothing),
        .after = deletes ? kNothing : CellOf(write.new_row, column, kNothing),
        .changed = one.group >= 0 ? changed_groups.contains(one.group) : Differs(write, column),
        .inserts = write.kind == ChangeKind::kInsert,
        .deletes = deletes};
    MergeColumn(one.kind, one.json, column_write, state.columns[column], row[column]);
  }
}

bool CountersAreZero(const RowShape& shape, const RowImage& row) {
  for (size_t column = 0; column < shape.columns.size(); ++column) {
    if (shape.columns[column].kind == ColumnKind::kCounter && !CountsAsZero(row[column]))
      return false;
  }
  return true;
}

bool ShowMerged(const RowShape& shape, RowImage& merged, RowImage& shown) {
  bool in_bounds = true;
  for (size_t column = 0; column < shape.columns.size(); ++column)
    Canonicalise(shape.columns[column].kind, shape.columns[column].json, merged[column]);
  shown = merged;
  for (size_t column = 0; column < shape.columns.size(); ++column) {
    const ShapeColumn& one = shape.columns[column];
    if (one.kind != ColumnKind::kCounter) continue;
    in_bounds &= FitType(one, shown[column]);
    // 1e+20 hides nothing of the sum.
    if (Equivalent(one.kind, one.json, shown[column], merged[column]))
      merged[column] = shown[column];
  }
  return in_bounds;
}

bool ShowOwn(const RowShape& shape, const RowImage& own, RowImage& merged, RowImage& shown) {
  const RowImage sum = merged;
  const bool in_bounds = ShowMerged(shape, merged, shown);
  for (size_t column = 0; column < shape.columns.size() && column < own.size(); ++column) {
    const ShapeColumn& one = shape.columns[column];
    if (!own[column].known() || !Equivalent(one.kind, one.json, own[column], sum[column])) continue;
    merged[column] = own[column];
    shown[column] = own[column];
  }
  return in_bounds;
}

}  // namespace pgduet
