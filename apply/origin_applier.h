// Applies what one peer publishes: reads its log, judges continuity, holds back what came too
// early, applies in order, exactly once.
//
// Two threads: "read <origin>" turns log entries into checked stream events and queues them
// (bounded by bytes); "apply <origin>" owns the database session. What went wrong is retried from
// the database's own record of progress: nothing is remembered that the database does not hold. A
// named error that an operator must mend stops this stream (other streams go on) and is tried again
// after a pause.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "apply/applied_state.h"
#include "apply/apply_metrics.h"
#include "apply/apply_transaction.h"
#include "apply/bulk_copy.h"
#include "apply/coverage_history.h"
#include "apply/decoder_barrier.h"
#include "apply/foreign_keys.h"
#include "apply/parking_lot.h"
#include "apply/policy_tables.h"
#include "apply/region_identity.h"
#include "apply/target_session.h"
#include "apply/tombstone_registry.h"
#include "transport/log.h"

namespace pgduet {

class OriginSession;

class OriginApplier {
 public:
  struct Options {
    std::string conninfo;
    Rank origin = 0;
    uint64_t policy_hash = 0;
    std::string policy_text;
    uint64_t previous_policy_hash = 0;  // see RecordStream::Options
    std::set<std::pair<std::string, std::string>> changed_tables;
    absl::Duration max_clock_skew = absl::Seconds(5);
    size_t queue_bytes_max = 8 * 1024 * 1024;
    size_t batch_bytes_max =
        1024 * 1024;  // transactions that share one apply transaction (groups of two)
    size_t batch_transactions_max = 1000;
    absl::Duration stopped_retry = absl::Seconds(5);  // pauses of a stopped stream grow to this
    absl::Duration stalled_run =
        absl::Seconds(2);  // a large transaction's locks are given back after this silence
  };
  // What /status shows.
  struct State {
    std::string state = "starting";  // starting, running, holding, stopped, reconnecting
    absl::Status error;
    Position applied;
    int64_t log_offset = -1;
    CommitTime in_effect_up_to = 0;  // of the origin: commits and heartbeats
    absl::Time heartbeat_at = absl::InfinitePast();
  };
  using ReaderFactory = std::function<absl::StatusOr<std::unique_ptr<LogReader>>()>;

  OriginApplier(Options options, const RegionIdentity& identity, const PolicyTables& policies,
                AppliedState& applied, CoverageHistory& history, TombstoneRegistry& registry,
                ParkingLot& parking, const ForeignKeyWatch& foreign_keys, DecoderBarrier& barrier,
                ReaderFactory make_reader, ApplyMetrics& metrics);
  ~OriginApplier();

  void Start();
  void Stop();  // waits for both threads
  State GetState() const;
  // Grows while the apply thread makes rounds; for liveness.
  uint64_t rounds() const { return rounds_.load(std::memory_order_relaxed); }

 private:
  void Run(std::stop_token stop);
  void StandStill(absl::Duration duration, std::stop_token stop);
  absl::Status RunSession(std::stop_token stop);
  void SetState(std::string state, const absl::Status& error = absl::OkStatus());

  const Options options_;
  const RegionIdentity& identity_;
  const PolicyTables& policies_;
  AppliedState& applied_;
  CoverageHistory& history_;
  TombstoneRegistry& registry_;
  ParkingLot& parking_;
  CopyTrust copies_;  // outlives sessions
  const ForeignKeyWatch& foreign_keys_;
  DecoderBarrier& barrier_;
  const ReaderFactory make_reader_;
  ApplyMetrics& metrics_;
  bool refused_ = false;  // the last session ended because the database refused a change
  Grouping grouping_ = Grouping::kByKey;  // of the next session's first transaction
  std::atomic<uint64_t> rounds_ = 0;
  mutable std::mutex mutex_;
  State state_;
  std::shared_ptr<OriginSession> session_;  // the running one, for Stop()
  std::jthread thread_;
};

}  // namespace pgduet
