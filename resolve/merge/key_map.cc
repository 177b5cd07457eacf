// map: the top-level keys of a jsonb object, each a value of its own. Of concurrent writes of a key
// the newest is shown; a removal takes away the writes that it had seen, no others.
#include <algorithm>

#include "resolve/merge/collection_text.h"
#include "resolve/merge/column_merge.h"

namespace pgduet {
namespace {

using Parts = std::map<std::string, std::string>;

Parts PartsOf(const Cell& cell) {
  return cell.kind == Cell::Kind::kText ? JsonObjectParts(cell.text) : Parts();
}

// What of the key stays after the write has taken away what it had seen.
void TakeAway(const std::string& key, const AppliedVector& vector, ColumnState& state,
              Parts& shown) {
  const auto known = state.keys.find(key);
  if (known == state.keys.end()) {
    shown.erase(key);
    return;
  }
  std::erase_if(known->second, [&](const Entry& entry) { return entry.dot.CoveredBy(vector); });
  if (known->second.empty()) {
    state.keys.erase(known);
    shown.erase(key);
  }
}

void ShowNewest(const std::string& key, const ColumnState& state, Parts& shown) {
  const auto known = state.keys.find(key);
  if (known == state.keys.end()) return;
  const auto newest = std::max_element(known->second.begin(), known->second.end(),
                                       [](const Entry& left, const Entry& right) {
                                         return left.dot.version() < right.dot.version();
                                       });
  shown[key] = newest->value.text;
}

}  // namespace

void MergeMap(const ColumnWrite& write, ColumnState& state, Cell& value) {
  if (!write.after.known()) return;
  const Parts after = PartsOf(write.after);
  Parts shown = PartsOf(value);
  const Parts before = write.inserts ? shown : PartsOf(write.before);
  for (const auto& [key, old] : before) {
    if (after.contains(key)) continue;
    TakeAway(key, write.vector, state, shown);
    ShowNewest(key, state, shown);
  }
  for (const auto& [key, text] : after) {
    const auto old = before.find(key);
    if (!write.inserts && old != before.end() && old->second == text) continue;
    TakeAway(key, write.vector, state, shown);
    state.keys[key].push_back({write.dot, Cell::Text(text)});
    ShowNewest(key, state, shown);
  }
  value = Cell::Text(JsonObjectOf(shown));
}

}  // namespace pgduet
