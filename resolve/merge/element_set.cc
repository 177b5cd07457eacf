// add_wins_set: an observed-remove set (Shapiro et al. 2011). A write removes the additions of an
// element that it had seen; an addition that it had not seen keeps the element.
#include <algorithm>
#include <set>

#include "resolve/merge/collection_text.h"
#include "resolve/merge/column_merge.h"

namespace pgduet {
namespace {

std::set<std::string> ElementsOf(bool json, const Cell& cell) {
  if (cell.kind != Cell::Kind::kText) return {};
  std::vector<std::string> parts = json ? JsonArrayParts(cell.text) : ArrayParts(cell.text);
  return {parts.begin(), parts.end()};
}

}  // namespace

void MergeSet(bool json, const ColumnWrite& write, ColumnState& state, Cell& value) {
  if (!write.after.known()) return;
  const std::set<std::string> after = ElementsOf(json, write.after);
  std::set<std::string> elements = ElementsOf(json, value);
  const std::set<std::string> before = write.inserts ? elements : ElementsOf(json, write.before);
  for (const std::string& element : before) {
    if (after.contains(element)) continue;
    const auto known = state.elements.find(element);
    if (known != state.elements.end()) {
      std::erase_if(known->second, [&](const Dot& dot) { return dot.CoveredBy(write.vector); });
      if (!known->second.empty()) continue;
      state.elements.erase(known);
    }
    elements.erase(element);
  }
  for (const std::string& element : after) {
    if (before.contains(element) && !write.inserts) continue;
    // An addition that this writer had not seen, and that is here without a name, would be stable:
    // seen by all. So an element without names here has none.
    std::vector<Dot>& dots = state.elements[element];
    std::erase_if(dots, [&](const Dot& dot) { return dot.CoveredBy(write.vector); });
    dots.push_back(write.dot);
    elements.insert(element);
  }
  std::vector<std::string> parts(elements.begin(), elements.end());
  std::sort(parts.begin(), parts.end(), PartBefore);
  value = Cell::Text(json ? JsonArrayOf(parts) : ArrayOf(parts));
}

}  // namespace pgduet
