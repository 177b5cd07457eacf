// counter: the sum of what each write added. An insert adds its value to nothing, a delete takes
// away what it had seen, an assignment adds the difference. NULL counts as zero. What is not a
// finite number makes the sum NaN, until a write that has seen all others sets it.
#include "resolve/merge/column_merge.h"
#include "resolve/merge/decimal.h"

namespace pgduet {
namespace {

std::optional<Decimal> NumberIn(const Cell& cell) {
  return cell.kind == Cell::Kind::kText ? Decimal::Parse(cell.text) : Decimal();
}

}  // namespace

void MergeCounter(const ColumnWrite& write, Cell& value) {
  if (!write.after.known()) return;
  const std::optional<Decimal> total = NumberIn(value);
  const std::optional<Decimal> before = NumberIn(write.before), after = NumberIn(write.after);
  if (before && after && *before == *after) return;
  value = Cell::Text(total && before && after ? (*total + (*after - *before)).ToString() : "NaN");
}

}  // namespace pgduet
