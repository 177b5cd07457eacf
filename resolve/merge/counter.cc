// counter: the sum of what each write added to what it had found. An insert adds its value to
// nothing, a delete takes away what it had seen, an assignment adds the difference. NULL and what
// is not a finite number count as zero.
#include <algorithm>

#include "resolve/merge/column_merge.h"
#include "resolve/merge/decimal.h"

namespace pgduet {
namespace {

Decimal NumberIn(const Cell& cell) {
  if (cell.kind != Cell::Kind::kText) return {};
  return Decimal::Parse(cell.text).value_or(Decimal());
}

}  // namespace

void MergeCounter(const ColumnWrite& write, ColumnState& state, Cell& value) {
  if (!write.after.known()) return;
  if (write.inserts)
    std::erase_if(state.entries,
                  [&](const Entry& entry) { return entry.dot.CoveredBy(write.vector); });
  const Decimal added = NumberIn(write.after) - NumberIn(write.before);
  if (added == Decimal()) return;
  value = Cell::Text((NumberIn(value) + added).ToString());
  if (write.hidden) state.entries.push_back({write.dot, Cell::Text(added.ToString())});
}

void TakeBack(const AppliedVector& vector, const ColumnState& state, Cell& value) {
  Decimal sum = NumberIn(value);
  for (const Entry& entry : state.entries) {
    if (!entry.dot.CoveredBy(vector)) sum = sum - NumberIn(entry.value);
  }
  value = Cell::Text(sum.ToString());
}

bool CountsAsZero(const Cell& counter) { return NumberIn(counter) == Decimal(); }

}  // namespace pgduet
