// pgduet.row_state: what is known of rows whose table keeps versions. Reading locks: whoever
// decides about a row holds its entry, so that two streams, or a stream and the journal, decide one
// after the other. Entries are locked in the order of their digests. One thread; inside an open
// transaction.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "apply/pg_pipeline.h"
#include "apply/target_table.h"
#include "resolve/row_engine.h"

namespace pgduet {

struct KnownRow {
  std::string key_text;
  RowState state;
  bool row_stands = false;
};

// Locks and reads the entries of these keys (each once), runs the pipeline. In the keys' order.
absl::StatusOr<std::vector<KnownRow>> LockRowStates(PgPipeline& pipeline, Oid table,
                                                    const RowShape& shape,
                                                    const std::vector<std::string>& keys);

// Queues the states. `regions`: how many the group has.
absl::Status QueueRowStates(PgPipeline& pipeline, Oid table, const RowEngine& engine,
                            const std::vector<KnownRow>& rows, size_t regions);

}  // namespace pgduet
