// latest, max, min: a value that is written as a whole. The writes that no other one covers
// compete; the kind picks among them (a multi-value register, Shapiro et al. 2011).
#include "resolve/merge/column_merge.h"
#include "resolve/merge/value_order.h"

namespace pgduet {
namespace {

bool Better(ColumnKind kind, const Entry& one, const Entry& best) {
  if (kind != ColumnKind::kLatest) {
    // NULL loses against every value.
    const bool one_null = one.value.kind != Cell::Kind::kText;
    const bool best_null = best.value.kind != Cell::Kind::kText;
    if (one_null != best_null) return best_null;
    if (!one_null) {
      const bool lower = ValueBefore(one.value.text, best.value.text);
      const bool higher = ValueBefore(best.value.text, one.value.text);
      if (lower != higher) return kind == ColumnKind::kMax ? higher : lower;
    }
  }
  return one.dot.version() > best.dot.version();
}

}  // namespace

void MergeRegister(ColumnKind kind, const ColumnWrite& write, ColumnState& state, Cell& value) {
  if (!write.changed || write.deletes || !write.after.known()) return;
  std::vector<Entry>& entries = state.entries;
  if (entries.size() == 1) entries.front().value = value;
  std::erase_if(entries, [&](const Entry& entry) { return entry.dot.CoveredBy(write.vector); });
  entries.push_back({write.dot, write.after});
  const Entry* best = &entries.front();
  for (const Entry& one : entries) {
    if (Better(kind, one, *best)) best = &one;
  }
  value = best->value;
  if (entries.size() == 1) entries.front().value = Cell();
}

}  // namespace pgduet
