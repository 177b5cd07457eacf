// One connected stretch of applying one origin: from the database's record of progress until
// something fails.
//
// Takes a batch or one transaction, holds it until its causes are here and the clock has passed it,
// and applies it; the next batch is collected while the server works. A transaction larger than
// one chunk is applied as its chunks come. One thread.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "apply/batch_collector.h"
#include "apply/batch_rule.h"
#include "apply/closed_time.h"
#include "apply/durable_progress.h"
#include "apply/hold_back.h"
#include "apply/log_pump.h"
#include "apply/origin_applier.h"
#include "apply/parked_returns.h"
#include "schemas/policy_notice.h"

namespace pgduet {

class OriginSession {
 public:
  struct Shared {
    const OriginApplier::Options& options;
    const RegionIdentity& identity;
    const PolicyTables& policies;
    AppliedState& applied;
    CoverageHistory& history;
    TombstoneRegistry& registry;
    ParkingLot& parking;
    CopyTrust& copies;
    const ForeignKeyWatch& foreign_keys;
    DecoderBarrier& barrier;
    ApplyMetrics& metrics;
    // Told to the owner's state.
    std::function<void(const std::string&)> set_state;
    std::function<void(const Position&, int64_t, CommitTime)>
        set_progress;  // in effect up to this time of the origin
    std::function<void(absl::Time)> set_heartbeat;
  };
  OriginSession(Shared shared, std::stop_token stop)
      : shared_(std::move(shared)),
        stop_(std::move(stop)),
        hold_back_(shared_.identity, shared_.options.origin, shared_.options.max_clock_skew,
                   shared_.applied, shared_.barrier, shared_.set_state, stop_),
        rule_(shared_.identity, shared_.options.origin, shared_.applied, shared_.policies,
              shared_.parking, shared_.foreign_keys),
        returns_(shared_.identity, shared_.options.origin, shared_.parking, shared_.history,
                 shared_.registry, shared_.applied, shared_.policies) {}

  // Connects, loads the progress, and starts reading there.
  absl::Status Open(const OriginApplier::ReaderFactory& make_reader);
  // Works until stopped (OK) or until something fails. `grouping` holds for the first transaction
  // only.
  absl::Status Work(Grouping grouping, bool after_refusal, const std::function<void()>& round_done);
  // Ends a statement that is running; from any thread.
  void Cancel() { session_->Cancel(); }

 private:
  // The last transaction of what is applied together.
  struct Last {
    RecordHeader header;
    AppliedVector vector;
    ApplyBatch::Arrival arrival;
  };
  absl::Status LoadProgress(int64_t& next_offset);
  absl::Status CollectBatch(ApplyBatch& batch);
  absl::Status Heartbeat(LogPump::Item& item);
  absl::Status Notice(const LogPump::Item& item);
  absl::Status WaitAtMark();
  absl::Status ApplyWhole(ApplyBatch& batch, Grouping grouping);
  absl::Status ApplyTogether(const std::vector<ApplyUnit>& units, std::vector<Segment> segments,
                             const Last& last, CommitTime highest, Grouping grouping);
  absl::Status ApplyLarge(ApplyBatch& batch, Grouping grouping);
  absl::Status Retrying(const std::function<absl::Status(Grouping)>& attempt, Grouping grouping);
  void Committed(const Last& last, const ApplyCounts& counts, absl::Time apply_begin);
  void WarnOutOfRange(const ApplyCounts& counts, absl::Time now);
  absl::Status ReportDurable();
  ApplyScope Scope();

  Shared shared_;
  std::stop_token stop_;
  HoldBack hold_back_;
  BatchRule rule_;
  ParkedReturns returns_;
  std::unique_ptr<PgConnection> catalog_connection_;
  std::unique_ptr<TargetCatalog> catalog_;
  std::unique_ptr<TargetSession> session_;
  std::unique_ptr<LogPump> pump_;
  std::unique_ptr<BatchCollector> batches_;
  ApplyBatch applied_batch_;  // freed while the server works on the next
  ClosingAlong closing_;
  const std::function<void()> meanwhile_ = [this] {
    applied_batch_ = {};
    batches_->CollectAhead();
  };
  bool gathers_ = false;
  Position applied_;
  DurableProgress durable_;
  absl::Time out_of_range_warned_ = absl::InfinitePast();
  absl::Time heartbeat_stored_ = absl::InfinitePast();
  CommitTime in_effect_up_to_ = 0;
  LockPatience decoder_patience_;
  std::optional<PolicyNotice> mark_;  // the stream stands here until that change has ended
};

}  // namespace pgduet
