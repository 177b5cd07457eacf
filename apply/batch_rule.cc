#include "apply/batch_rule.h"

#include <algorithm>

#include "apply/table_sql.h"

namespace pgduet {
namespace {

// Of larger ones a transaction of its own costs nothing that could be measured.
constexpr size_t kSmall = 64;

}  // namespace

// Parked rows, orphans and versions that stand side by side are compared with a row's own time.
bool BatchRule::Joins(const ChangeBatch& changes) const {
  if (identity_.OnlyTwo()) return true;
  if (changes.changes.size() > kSmall || !foreign_keys_.keys()->empty()) return false;
  const bool truncates =
      std::any_of(changes.changes.begin(), changes.changes.end(),
                  [](const Change& change) { return change.kind == ChangeKind::kTruncate; });
  if (truncates) return false;
  return std::none_of(
      changes.relations.begin(), changes.relations.end(), [&](const auto& relation) {
        return policies_.Find(relation->schema, relation->name) != nullptr ||
               parking_.Parks(QuoteName(relation->schema) + "." + QuoteName(relation->name));
      });
}

}  // namespace pgduet
