// Keeps pgduet.conflict within its limits, a few rows at a time. Part of the housekeeper's thread.
//
// By age every entry goes, open or not. By count those that a person has dealt with go first, then
// the oldest. What somebody holds locked (an undo at work) is left for the next time.
#pragma once

#include <cstdint>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "apply/apply_metrics.h"
#include "base/pg_connection.h"

namespace pgduet {

struct ConflictLogLimits {
  absl::Duration keep = absl::Hours(24 * 90);
  int64_t max_rows = 1'000'000;
};

class ConflictRetention {
 public:
  ConflictRetention(ConflictLogLimits limits, ApplyMetrics& metrics)
      : limits_(limits), metrics_(metrics) {}
  // Does something every ten seconds; while there is much to remove, every second.
  absl::Status Step(PgConnection& connection, absl::Time now);
  // After another connection: what was counted may have been taken back.
  void Reset();

 private:
  absl::StatusOr<int64_t> RemoveOld(PgConnection& connection);
  absl::StatusOr<int64_t> RemoveExcess(PgConnection& connection);
  absl::Status Count(PgConnection& connection);
  absl::Status CountAll(PgConnection& connection);
  absl::Status Tell(PgConnection& connection);

  const ConflictLogLimits limits_;
  ApplyMetrics& metrics_;
  absl::Time due_ = absl::InfinitePast();
  int64_t rows_ = 0;        // as counted, with what was added and removed here since
  int64_t counted_to_ = 0;  // highest id of that
  absl::Time count_due_ = absl::InfinitePast();
};

}  // namespace pgduet
