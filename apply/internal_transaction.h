// Transactions of the agent's own work in its database: replays, sweeps, returns, notes.
#pragma once

#include <absl/status/status.h>

#include "apply/pg_pipeline.h"
#include "apply/region_identity.h"

namespace pgduet {

// Queues the begin and the marker by which capture knows that nothing in the transaction is to be
// published.
absl::Status BeginInternal(PgPipeline& pipeline, const RegionIdentity& identity);

}  // namespace pgduet
