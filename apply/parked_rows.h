// Rows of pgduet.parked: what lost a unique value and waits. Reads and writes inside the caller's
// transaction; the caller holds the table alone (apply/parking_lot.h). One thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "apply/pg_pipeline.h"
#include "apply/target_table.h"
#include "schemas/version.h"

namespace pgduet {

struct ParkedRow {
  Version version;
  uint32_t xid = 0;
  std::string row_json;  // column texts, as jsonb
};

// Why a row is parked.
struct ParkedBecause {
  std::string constraint;
  std::string blocked_by;  // canonical key of the row that is shown
};

// Locks the entry.
absl::StatusOr<std::optional<ParkedRow>> ReadParked(PgPipeline& pipeline, Oid table,
                                                    const std::string& key_text);
// The texts of some columns of a parked row.
absl::StatusOr<std::vector<PgParameter>> ReadParkedColumns(PgPipeline& pipeline,
                                                           const TargetTable& table,
                                                           const std::string& key_text,
                                                           const std::vector<int>& columns);
absl::Status QueueRemoveParked(PgPipeline& pipeline, Oid table, const std::string& key_text);
// Entries below a delete; an empty key text is a truncate.
absl::Status QueueRemoveParkedBelow(PgPipeline& pipeline, Oid table,
                                    const std::vector<std::string>& key_texts,
                                    const Version& version);
// A row that is not in the table. `xid` 0: this transaction.
absl::Status QueuePark(PgPipeline& pipeline, const TargetTable& table, const std::string& key_text,
                       const std::vector<int>& carried, const std::vector<PgParameter>& values,
                       const Version& version, uint32_t xid, const ParkedBecause& because);
// Moves a row of the table.
absl::Status QueueParkVisible(PgPipeline& pipeline, const TargetTable& table,
                              const std::string& key_text, const Version& version, uint32_t xid,
                              const ParkedBecause& because);

}  // namespace pgduet
