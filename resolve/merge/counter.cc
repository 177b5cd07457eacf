// counter: the sum of what each write added to the row that it met. An insert adds its value to
// nothing, a delete takes away what it had seen, an assignment adds the difference. NULL and what
// is not a finite number count as zero. A float is the decimal number that PostgreSQL prints: the
// sum of those is exact, and rounded once, when it is shown.
#include "resolve/merge/column_merge.h"
#include "resolve/merge/decimal.h"

namespace pgduet {
namespace {

Decimal NumberIn(const Cell& cell) {
  if (cell.kind != Cell::Kind::kText) return {};
  return Decimal::Parse(cell.text).value_or(Decimal());
}

}  // namespace

void MergeCounter(const ColumnWrite& write, Cell& value) {
  if (!write.after.known()) return;
  const Decimal added =
      NumberIn(write.after) - (write.inserts ? Decimal() : NumberIn(write.before));
  if (added == Decimal()) return;
  value = Cell::Text((NumberIn(value) + added).ToString());
}

bool CountsAsZero(const Cell& counter) { return NumberIn(counter) == Decimal(); }

}  // namespace pgduet
