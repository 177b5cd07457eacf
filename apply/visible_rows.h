// The rows of a table that keeps versions, as they stand: read with a lock, written anew.
// One thread; inside an open transaction.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "apply/pg_pipeline.h"
#include "apply/target_table.h"
#include "resolve/row_state.h"
#include "schemas/version.h"

namespace pgduet {

struct VisibleRow {
  std::optional<RowImage> row;  // empty: there is none
  uint32_t xid = 0;             // of its writer
  CommitTime time = kOldestTime;
  Oid roident = 0;
  bool own = false;  // written by this very transaction
};

// Locks and reads the rows of these keys, runs the pipeline. In the keys' order.
absl::StatusOr<std::vector<VisibleRow>> ReadVisibleRows(PgPipeline& pipeline,
                                                        const TargetTable& table,
                                                        const std::vector<std::string>& keys);

// Queues what makes `before` into `after`. Returns the index of a result that must have touched one
// row (an insert may meet a row that has just appeared), or nothing.
absl::StatusOr<std::optional<size_t>> QueueVisibleRow(PgPipeline& pipeline,
                                                      const TargetTable& table,
                                                      const std::string& key_text,
                                                      const std::optional<RowImage>& before,
                                                      const std::optional<RowImage>& after);

PgParameter ParameterOf(const Cell& cell);
// The key's values, for the statements that find a row by it.
std::vector<PgParameter> KeyParametersOf(const std::string& key_text);

}  // namespace pgduet
