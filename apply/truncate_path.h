// TRUNCATE under last write wins: a delete of every row that stands there with a lower version.
//
// Covered rows go in one statement; the others are read, decided one by one, and logged as
// conflicts.
#pragma once

#include <memory>

#include "apply/apply_scope.h"
#include "apply/change_groups.h"

namespace pgduet {

absl::Status ApplyTruncate(const ApplyScope& scope, const std::shared_ptr<const TargetTable>& table,
                           const std::shared_ptr<const Relation>& relation, const ApplyUnit& unit,
                           ApplyCounts& counts);

}  // namespace pgduet
