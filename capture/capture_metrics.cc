#include "capture/capture_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

namespace pgduet {
namespace {

prometheus::Counter& NewCounter(prometheus::Registry& registry, const char* name, const char* help,
                                const prometheus::Labels& labels = {}) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add(labels);
}

prometheus::Gauge& NewGauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

constexpr char kChanges[] = "pgduet_capture_changes_total";
constexpr char kChangesHelp[] = "Row changes published, by operation.";

}  // namespace

struct CaptureMetrics::Series {
  explicit Series(prometheus::Registry& r)
      : connected(
            NewGauge(r, "pgduet_capture_connected", "1 while the replication stream is open.")),
        transactions(
            NewCounter(r, "pgduet_capture_transactions_total", "Local transactions published.")),
        filtered(NewCounter(r, "pgduet_capture_filtered_transactions_total",
                            "Transactions that were applied here, and so are not published.")),
        inserts(NewCounter(r, kChanges, kChangesHelp, {{"operation", "insert"}})),
        updates(NewCounter(r, kChanges, kChangesHelp, {{"operation", "update"}})),
        deletes(NewCounter(r, kChanges, kChangesHelp, {{"operation", "delete"}})),
        truncates(NewCounter(r, kChanges, kChangesHelp, {{"operation", "truncate"}})),
        bytes(NewCounter(r, "pgduet_capture_published_bytes_total",
                         "Bytes of records handed to the log.")),
        records(NewCounter(r, "pgduet_capture_records_total", "Records handed to the log.")),
        heartbeats(NewCounter(r, "pgduet_heartbeats_sent_total", "Heartbeats published.")),
        unavailable(
            NewCounter(r, "pgduet_capture_unavailable_values_total",
                       "Unchanged large values that a later version of the row completes.")),
        lag(NewGauge(r, "pgduet_capture_lag_seconds",
                     "Age of the oldest commit that is decoded and not durable on the log.")),
        slot_active(NewGauge(r, "pgduet_slot_active", "1 while the replication slot is in use.")),
        slot_retained(
            NewGauge(r, "pgduet_slot_retained_wal_bytes", "WAL that the slot keeps from removal.")),
        slot_safe(NewGauge(
            r, "pgduet_slot_safe_wal_bytes",
            "WAL that can still be written before the slot may be lost; -1: no limit is set.")) {}
  prometheus::Gauge& connected;
  prometheus::Counter &transactions, &filtered, &inserts, &updates, &deletes, &truncates, &bytes,
      &records, &heartbeats, &unavailable;
  prometheus::Gauge &lag, &slot_active, &slot_retained, &slot_safe;
};

CaptureMetrics::CaptureMetrics(prometheus::Registry& registry)
    : series_(std::make_unique<Series>(registry)) {}
CaptureMetrics::~CaptureMetrics() = default;

void CaptureMetrics::Connected(bool connected) { series_->connected.Set(connected ? 1 : 0); }
void CaptureMetrics::TransactionPublished() { series_->transactions.Increment(); }
void CaptureMetrics::TransactionFiltered() { series_->filtered.Increment(); }
void CaptureMetrics::RecordAppended(size_t bytes) {
  series_->records.Increment();
  series_->bytes.Increment(static_cast<double>(bytes));
}
void CaptureMetrics::HeartbeatSent() { series_->heartbeats.Increment(); }
void CaptureMetrics::ValuesUnavailable(uint64_t count) {
  if (count > 0) series_->unavailable.Increment(static_cast<double>(count));
}
void CaptureMetrics::Lag(double seconds) { series_->lag.Set(seconds); }

void CaptureMetrics::ChangesPublished(const ChangeBatch& batch) {
  double inserts = 0, updates = 0, deletes = 0, truncates = 0;
  for (const Change& change : batch.changes) {
    switch (change.kind) {
      case ChangeKind::kInsert:
        ++inserts;
        break;
      case ChangeKind::kUpdate:
        ++updates;
        break;
      case ChangeKind::kDelete:
        ++deletes;
        break;
      case ChangeKind::kTruncate:
        ++truncates;
        break;
    }
  }
  if (inserts > 0) series_->inserts.Increment(inserts);
  if (updates > 0) series_->updates.Increment(updates);
  if (deletes > 0) series_->deletes.Increment(deletes);
  if (truncates > 0) series_->truncates.Increment(truncates);
}

void CaptureMetrics::Slot(bool active, double retained_wal_bytes, double safe_wal_bytes) {
  series_->slot_active.Set(active ? 1 : 0);
  series_->slot_retained.Set(retained_wal_bytes);
  series_->slot_safe.Set(safe_wal_bytes);
}

}  // namespace pgduet
