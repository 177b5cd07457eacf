// Sets memory back to what the database holds.
//
// Apply commits are asynchronous: a crash of the database takes the last ones back, of every
// origin. Until each stream has reconnected, the others (causal order, coverage) and the
// housekeeper (stability) must not trust what memory says of it. So every session that begins calls
// this first.
#pragma once

#include <absl/status/status.h>

#include "apply/applied_state.h"
#include "apply/coverage_history.h"
#include "apply/region_identity.h"
#include "base/pg_connection.h"

namespace pgduet {

absl::Status SetBackLostProgress(PgConnection& connection, const RegionIdentity& identity,
                                 AppliedState& applied, CoverageHistory& history);

}  // namespace pgduet
