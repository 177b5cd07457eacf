// Metrics of changes of policies. Thread-safe.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

namespace pgduet {

class PolicyChangeMetrics {
 public:
  explicit PolicyChangeMetrics(prometheus::Registry& registry);
  void Gate(bool closed) { gate_.Set(closed ? 1 : 0); }
  void FileDiffers(bool differs) { file_differs_.Set(differs ? 1 : 0); }
  void Applied() { applied_.Increment(); }
  void Aborted() { aborted_.Increment(); }

 private:
  prometheus::Gauge& gate_;
  prometheus::Gauge& file_differs_;
  prometheus::Family<prometheus::Counter>& changes_;
  prometheus::Counter& applied_;
  prometheus::Counter& aborted_;
};

}  // namespace pgduet
