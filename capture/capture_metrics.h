// What capture tells Prometheus, as verbs. Thread-safe. Names: docs/metrics.md.
#pragma once

#include <memory>

#include "schemas/change.h"

namespace prometheus {
class Registry;
}

namespace pgduet {

class CaptureMetrics {
 public:
  explicit CaptureMetrics(prometheus::Registry& registry);
  ~CaptureMetrics();
  CaptureMetrics(const CaptureMetrics&) = delete;
  CaptureMetrics& operator=(const CaptureMetrics&) = delete;

  void Connected(bool connected);
  void TransactionPublished();
  void TransactionFiltered();
  void ChangesPublished(const ChangeBatch& batch);
  void RecordAppended(size_t bytes);
  void HeartbeatSent();
  void ValuesUnavailable(uint64_t count);
  void Lag(double seconds);
  void Slot(bool active, double retained_wal_bytes, double safe_wal_bytes);

 private:
  struct Series;
  std::unique_ptr<Series> series_;
};

}  // namespace pgduet
