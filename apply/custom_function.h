// The user's SQL function of a `custom` table: asked for the row when several versions stand side
// by side.
//
// Called as f(f(m1, m2, context), m3, context): the members by version, the oldest first, so that
// every region calls it in the same way. A deleted member is NULL. The result NULL means that the
// row is deleted. An error of the function means that the newest version is shown, everywhere; a
// time-out is not the same everywhere, so it stops the stream: custom_timeout.
// One thread; inside an open transaction.
#pragma once

#include <optional>

#include <absl/status/status.h>

#include "apply/pg_pipeline.h"
#include "apply/region_identity.h"
#include "apply/target_table.h"
#include "resolve/row_engine.h"

namespace pgduet {

absl::Status AskFunction(PgPipeline& pipeline, const TargetTable& table, const RowEngine& engine,
                         const RowState& state, const RegionIdentity& identity,
                         std::optional<RowImage>& visible);

}  // namespace pgduet
