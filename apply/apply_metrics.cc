#include "apply/apply_metrics.h"

#include <array>
#include <map>
#include <mutex>
#include <optional>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

namespace pgduet {
namespace {

const prometheus::Histogram::BucketBoundaries kLagBuckets = {
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1, 2, 5, 10, 30, 60};

// In the order of PerOrigin::changes and PerOrigin::lag.
constexpr std::array kOperations = {"insert", "update", "delete", "truncate"};
constexpr std::array kStages = {"publish", "transport", "hold", "apply", "end_to_end"};

}  // namespace

struct ApplyMetrics::Families {
  template <typename Builder>
  static auto& Make(Builder builder, prometheus::Registry& registry, const char* name,
                    const char* help) {
    return builder.Name(name).Help(help).Register(registry);
  }
  explicit Families(prometheus::Registry& r)
      : transactions(Make(prometheus::BuildCounter(), r, "pgduet_apply_transactions_total",
                          "Transactions of the origin that are in effect here.")),
        changes(Make(prometheus::BuildCounter(), r, "pgduet_apply_changes_total",
                     "Row changes applied, by operation.")),
        conflicts(Make(prometheus::BuildCounter(), r, "pgduet_apply_conflicts_total",
                       "Conflicts met while applying, as written to pgduet.conflict.")),
        slow_rows(Make(prometheus::BuildCounter(), r, "pgduet_apply_slow_path_rows_total",
                       "Keys that were decided one by one.")),
        retries(Make(prometheus::BuildCounter(), r, "pgduet_apply_retries_total",
                     "Apply transactions tried again.")),
        lag(Make(prometheus::BuildGauge(), r, "pgduet_lag_seconds",
                 "Age of what is in effect here, by stage of the way; grows while blocked.")),
        end_to_end(Make(prometheus::BuildHistogram(), r, "pgduet_end_to_end_seconds",
                        "Commit at the origin to commit here.")),
        heartbeat_age(Make(prometheus::BuildGauge(), r, "pgduet_heartbeat_age_seconds",
                           "Time since the origin's last sign of life.")),
        queue_bytes(Make(prometheus::BuildGauge(), r, "pgduet_apply_queue_bytes",
                         "Records read and not yet applied.")),
        tombstones(Make(prometheus::BuildGauge(), r, "pgduet_tombstones",
                        "Deletes that are not stable yet.")),
        siblings(Make(prometheus::BuildGauge(), r, "pgduet_rows_with_siblings",
                      "Rows with several versions that wait for the application or a person.")),
        unswept(Make(prometheus::BuildGauge(), r, "pgduet_tombstones_unswept",
                     "Remote deletes that may have missed a row that was just becoming visible.")),
        orphan_checks(Make(prometheus::BuildGauge(), r, "pgduet_orphan_checks",
                           "Parents whose children are still to be looked at, or to be dealt "
                           "with by another region.")),
        out_of_range(Make(prometheus::BuildCounter(), r, "pgduet_apply_counters_out_of_range_total",
                          "Merged counters whose sum is beyond their type.")),
        conflict_topic_behind(Make(prometheus::BuildGauge(), r,
                                   "pgduet_conflict_topic_behind_entries",
                                   "Entries of pgduet.conflict that its topic has not yet.")),
        parked_rows(Make(prometheus::BuildGauge(), r, "pgduet_parked_rows",
                         "Rows that wait for a value of a unique key.")),
        closed_time_age(
            Make(prometheus::BuildGauge(), r, "pgduet_closed_time_age_seconds",
                 "Age of the newest commit time below which nothing of this region is to come.")),
        conflict_log_rows(Make(prometheus::BuildGauge(), r, "pgduet_conflict_log_rows",
                               "Entries of pgduet.conflict.")),
        conflict_log_bytes(Make(prometheus::BuildGauge(), r, "pgduet_conflict_log_bytes",
                                "Size of pgduet.conflict with its indexes.")),
        conflicts_removed(Make(prometheus::BuildCounter(), r,
                               "pgduet_conflict_log_removed_rows_total",
                               "Entries that retention removed from pgduet.conflict, by limit.")),
        stopped(Make(prometheus::BuildGauge(), r, "pgduet_stream_stopped",
                     "1 while a stream is stopped by this error and waits for an operator.")),
        errors(Make(prometheus::BuildCounter(), r, "pgduet_stream_errors_total",
                    "Errors that interrupted a stream.")) {}
  prometheus::Family<prometheus::Counter>& transactions;
  prometheus::Family<prometheus::Counter>& changes;
  prometheus::Family<prometheus::Counter>& conflicts;
  prometheus::Family<prometheus::Counter>& slow_rows;
  prometheus::Family<prometheus::Counter>& retries;
  prometheus::Family<prometheus::Gauge>& lag;
  prometheus::Family<prometheus::Histogram>& end_to_end;
  prometheus::Family<prometheus::Gauge>& heartbeat_age;
  prometheus::Family<prometheus::Gauge>& queue_bytes;
  prometheus::Family<prometheus::Gauge>& tombstones;
  prometheus::Family<prometheus::Gauge>& siblings;
  prometheus::Family<prometheus::Gauge>& unswept;
  prometheus::Family<prometheus::Gauge>& orphan_checks;
  prometheus::Family<prometheus::Counter>& out_of_range;
  prometheus::Family<prometheus::Gauge>& conflict_topic_behind;
  prometheus::Family<prometheus::Gauge>& parked_rows;
  prometheus::Family<prometheus::Gauge>& closed_time_age;
  prometheus::Family<prometheus::Gauge>& conflict_log_rows;
  prometheus::Family<prometheus::Gauge>& conflict_log_bytes;
  prometheus::Family<prometheus::Counter>& conflicts_removed;
  prometheus::Family<prometheus::Gauge>& stopped;
  prometheus::Family<prometheus::Counter>& errors;
  std::mutex mutex;
  std::map<std::string, std::string, std::less<>> stopped_by;  // stream -> error whose gauge is 1
};

// What every transaction touches, found once: a look-up by labels costs more than the counting.
struct ApplyMetrics::PerOrigin {
  struct Counts {
    prometheus::Counter& transactions;
    std::array<prometheus::Counter*, kOperations.size()> changes;
    prometheus::Counter& slow_rows;
    prometheus::Counter& out_of_range;
  };
  struct Lags {
    std::array<prometheus::Gauge*, kStages.size()> lag;
    prometheus::Histogram& end_to_end;
  };
  // A series is there from its first event on, not before.
  const Counts& counts(Families& families) {
    std::call_once(counts_once, [&] {
      made_counts.emplace(Counts{.transactions = families.transactions.Add({{"origin", name}}),
                                 .changes = {},
                                 .slow_rows = families.slow_rows.Add({{"origin", name}}),
                                 .out_of_range = families.out_of_range.Add({{"origin", name}})});
      for (size_t i = 0; i < kOperations.size(); ++i)
        made_counts->changes[i] =
            &families.changes.Add({{"origin", name}, {"operation", kOperations[i]}});
    });
    return *made_counts;
  }
  const Lags& lags(Families& families) {
    std::call_once(lags_once, [&] {
      made_lags.emplace(
          Lags{.lag = {}, .end_to_end = families.end_to_end.Add({{"origin", name}}, kLagBuckets)});
      for (size_t i = 0; i < kStages.size(); ++i)
        made_lags->lag[i] = &families.lag.Add({{"origin", name}, {"stage", kStages[i]}});
    });
    return *made_lags;
  }

  std::string name;
  std::once_flag counts_once, lags_once;
  std::optional<Counts> made_counts;
  std::optional<Lags> made_lags;
};

ApplyMetrics::ApplyMetrics(prometheus::Registry& registry, const std::vector<std::string>& regions)
    : families_(std::make_unique<Families>(registry)), per_origin_(regions.size()) {
  for (size_t rank = 0; rank < regions.size(); ++rank) per_origin_[rank].name = regions[rank];
  // None is an answer, too: where no table has such a policy, nobody counts.
  RowsWithSiblings("versions", 0);
  RowsWithSiblings("error", 0);
}

ApplyMetrics::~ApplyMetrics() = default;

void ApplyMetrics::Committed(Rank origin, const ApplyCounts& counts) {
  const PerOrigin::Counts& to = per_origin_[origin].counts(*families_);
  to.transactions.Increment(static_cast<double>(counts.transactions));
  const std::array operations = {counts.inserts, counts.updates, counts.deletes, counts.truncates};
  for (size_t i = 0; i < operations.size(); ++i)
    to.changes[i]->Increment(static_cast<double>(operations[i]));
  to.slow_rows.Increment(static_cast<double>(counts.slow_rows));
  to.out_of_range.Increment(static_cast<double>(counts.out_of_range));
  for (const auto& [what, count] : counts.conflicts) {
    families_->conflicts
        .Add({{"origin", per_origin_[origin].name},
              {"kind", std::string(ConflictKindName(what.first))},
              {"decision", std::string(DecisionName(what.second))}})
        .Increment(static_cast<double>(count));
  }
}

void ApplyMetrics::TransactionLag(Rank origin, const LagStages& stages) {
  const PerOrigin::Lags& to = per_origin_[origin].lags(*families_);
  const std::array values = {stages.publish, stages.transport, stages.hold, stages.apply,
                             stages.end_to_end};
  for (size_t i = 0; i < values.size(); ++i) to.lag[i]->Set(std::max(0.0, values[i]));
  to.end_to_end.Observe(std::max(0.0, stages.end_to_end));
}

void ApplyMetrics::Idle(Rank origin, double age_seconds) {
  families_->lag.Add({{"origin", per_origin_[origin].name}, {"stage", "end_to_end"}})
      .Set(std::max(0.0, age_seconds));
}

void ApplyMetrics::HeartbeatAge(Rank origin, double seconds) {
  families_->heartbeat_age.Add({{"origin", per_origin_[origin].name}}).Set(std::max(0.0, seconds));
}

void ApplyMetrics::Retried(Rank origin, std::string_view reason) {
  families_->retries.Add({{"origin", per_origin_[origin].name}, {"reason", std::string(reason)}})
      .Increment();
}

void ApplyMetrics::QueueBytes(Rank origin, size_t bytes) {
  families_->queue_bytes.Add({{"origin", per_origin_[origin].name}})
      .Set(static_cast<double>(bytes));
}

void ApplyMetrics::Tombstones(size_t count) {
  families_->tombstones.Add({}).Set(static_cast<double>(count));
}

void ApplyMetrics::RowsWithSiblings(std::string_view policy, size_t count) {
  families_->siblings.Add({{"policy", std::string(policy)}}).Set(static_cast<double>(count));
}

void ApplyMetrics::UnsweptTombstones(size_t count) {
  families_->unswept.Add({}).Set(static_cast<double>(count));
}

void ApplyMetrics::OrphanChecks(size_t count) {
  families_->orphan_checks.Add({}).Set(static_cast<double>(count));
}

void ApplyMetrics::ClosedTimeAge(double seconds) {
  families_->closed_time_age.Add({}).Set(std::max(0.0, seconds));
}

void ApplyMetrics::ParkedRows(size_t count) {
  families_->parked_rows.Add({}).Set(static_cast<double>(count));
}

void ApplyMetrics::ConflictTopicBehind(int64_t entries) {
  families_->conflict_topic_behind.Add({}).Set(static_cast<double>(entries));
}

void ApplyMetrics::ConflictLog(int64_t rows, int64_t bytes) {
  families_->conflict_log_rows.Add({}).Set(static_cast<double>(rows));
  families_->conflict_log_bytes.Add({}).Set(static_cast<double>(bytes));
}

void ApplyMetrics::ConflictsRemoved(std::string_view reason, int64_t rows) {
  families_->conflicts_removed.Add({{"reason", std::string(reason)}})
      .Increment(static_cast<double>(rows));
}

void ApplyMetrics::StreamState(std::string_view stream, std::string_view error) {
  std::scoped_lock lock(families_->mutex);
  std::string& before = families_->stopped_by[std::string(stream)];
  if (!before.empty() && before != error) {
    families_->stopped.Add({{"stream", std::string(stream)}, {"error", before}}).Set(0);
  }
  if (!error.empty()) {
    families_->stopped.Add({{"stream", std::string(stream)}, {"error", std::string(error)}}).Set(1);
    families_->errors.Add({{"stream", std::string(stream)}, {"error", std::string(error)}})
        .Increment();
  }
  before = error;
}

}  // namespace pgduet
