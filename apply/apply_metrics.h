// What apply tells Prometheus, as verbs. Thread-safe. Names and labels: docs/metrics.md.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/time/time.h>

#include "apply/apply_scope.h"

namespace prometheus {
class Registry;
}

namespace pgduet {

// Where a transaction's time went, in seconds, from its commit at the origin to its commit here.
struct LagStages {
  double publish = 0;    // commit at the origin -> record handed to the log (capture and publish)
  double transport = 0;  // handed to the log -> read here
  double hold = 0;       // causal hold and clock wait
  double apply = 0;      // begin -> commit here
  double end_to_end = 0;
};

class ApplyMetrics {
 public:
  ApplyMetrics(prometheus::Registry& registry, const std::vector<std::string>& regions);
  ~ApplyMetrics();
  ApplyMetrics(const ApplyMetrics&) = delete;
  ApplyMetrics& operator=(const ApplyMetrics&) = delete;

  void Committed(Rank origin, const ApplyCounts& counts);
  void TransactionLag(Rank origin, const LagStages& stages);
  // Without new transactions: the age of what is in effect here, by heartbeats; grows while
  // blocked.
  void Idle(Rank origin, double age_seconds);
  void HeartbeatAge(Rank origin, double seconds);
  void Retried(Rank origin, std::string_view reason);
  void QueueBytes(Rank origin, size_t bytes);
  void Tombstones(size_t count);
  void RowsWithSiblings(std::string_view policy, size_t count);
  void UnsweptTombstones(size_t count);
  void OrphanChecks(size_t count);
  void ParkedRows(size_t count);
  void ConflictTopicBehind(int64_t entries);
  void ClosedTimeAge(double seconds);
  void ConflictLog(int64_t rows, int64_t bytes);
  // `reason`: "age" or "count".
  void ConflictsRemoved(std::string_view reason, int64_t rows);
  // `stream`: "capture" or a region name. An empty error: runs.
  void StreamState(std::string_view stream, std::string_view error);

 private:
  struct Families;
  struct PerOrigin;
  std::unique_ptr<Families> families_;
  std::vector<PerOrigin> per_origin_;  // by rank
};

}  // namespace pgduet
