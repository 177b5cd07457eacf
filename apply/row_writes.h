// What a source transaction did to each row, as one write: several changes of one key in one
// transaction count as their result. Both ends collapse in the same way (capture's observer here,
// apply there), which is what the engine's rules for sets and counters need.
#pragma once

#include <vector>

#include "apply/change_groups.h"
#include "resolve/row_engine.h"

namespace pgduet {

// The writes of one key, one for each transaction that changed it, in order. A row that came and
// went in one transaction gives none. `units` outlives the result (vectors are referred to).
std::vector<RowWrite> WritesOf(const TargetTable& table, const KeyGroup& group,
                               const std::vector<ApplyUnit>& units);

Dot DotOf(const RecordHeader& header);

}  // namespace pgduet
