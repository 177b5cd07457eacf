#include "resolve/merge/column_merge.h"

#include <algorithm>

#include "resolve/merge/collection_text.h"
#include "resolve/merge/decimal.h"

namespace pgduet {
namespace {

bool AllStable(const std::vector<Entry>& entries, const AppliedVector& stable) {
  return std::all_of(entries.begin(), entries.end(),
                     [&](const Entry& entry) { return entry.dot.CoveredBy(stable); });
}

std::string Sorted(bool json, const std::string& text) {
  std::vector<std::string> parts = json ? JsonArrayParts(text) : ArrayParts(text);
  std::sort(parts.begin(), parts.end(), PartBefore);
  parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
  return json ? JsonArrayOf(parts) : ArrayOf(parts);
}

}  // namespace

void MergeColumn(ColumnKind kind, bool json, const ColumnWrite& write, ColumnState& state,
                 Cell& value) {
  switch (kind) {
    case ColumnKind::kLatest:
    case ColumnKind::kMax:
    case ColumnKind::kMin:
      return MergeRegister(kind, write, state, value);
    case ColumnKind::kCounter:
      return MergeCounter(write, value);
    case ColumnKind::kAddWinsSet:
      return MergeSet(json, write, state, value);
    case ColumnKind::kMap:
      return MergeMap(write, state, value);
  }
}

void Canonicalise(ColumnKind kind, bool json, Cell& value) {
  if (kind == ColumnKind::kCounter) {
    value = Cell::Text(Decimal::Parse(value.text).value_or(Decimal()).ToString());
  } else if (kind == ColumnKind::kAddWinsSet) {
    const std::string empty = json ? "[]" : "{}";
    value = Cell::Text(value.kind == Cell::Kind::kText ? Sorted(json, value.text) : empty);
  } else if (kind == ColumnKind::kMap) {
    value = Cell::Text(JsonObjectOf(JsonObjectParts(value.text)));
  }
}

bool Equivalent(ColumnKind kind, bool json, const Cell& left, const Cell& right) {
  if (left == right) return true;
  if (kind != ColumnKind::kCounter && kind != ColumnKind::kAddWinsSet && kind != ColumnKind::kMap)
    return false;
  Cell one = left, other = right;
  Canonicalise(kind, json, one);
  Canonicalise(kind, json, other);
  return one == other;
}

void ForgetStable(const AppliedVector& stable, ColumnState& state) {
  // Values that compete are let go together: the one that is shown stays shown.
  if (AllStable(state.entries, stable)) state.entries.clear();
  std::erase_if(state.keys, [&](const auto& key) { return AllStable(key.second, stable); });
  // An element with no name left is there for all.
  for (auto& [element, dots] : state.elements)
    std::erase_if(dots, [&](const Dot& dot) { return dot.CoveredBy(stable); });
  std::erase_if(state.elements, [](const auto& element) { return element.second.empty(); });
}

}  // namespace pgduet
