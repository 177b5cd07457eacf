#include "apply/origin_applier.h"

#include <absl/time/clock.h>

#include "apply/origin_session.h"
#include "apply/refused_statement.h"
#include "base/backoff.h"
#include "base/log.h"
#include "base/named_error.h"
#include "base/thread_name.h"

namespace pgduet {

OriginApplier::OriginApplier(Options options, const RegionIdentity& identity,
                             const PolicyTables& policies, AppliedState& applied,
                             CoverageHistory& history, TombstoneRegistry& registry,
                             ParkingLot& parking, const ForeignKeyWatch& foreign_keys,
                             DecoderBarrier& barrier, ReaderFactory make_reader,
                             ApplyMetrics& metrics)
    : options_(std::move(options)),
      identity_(identity),
      policies_(policies),
      applied_(applied),
      history_(history),
      registry_(registry),
      parking_(parking),
      foreign_keys_(foreign_keys),
      barrier_(barrier),
      make_reader_(std::move(make_reader)),
      metrics_(metrics) {}

OriginApplier::~OriginApplier() { Stop(); }

void OriginApplier::Start() {
  thread_ = std::jthread([this](std::stop_token stop) { Run(std::move(stop)); });
}

void OriginApplier::Stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  {
    std::scoped_lock lock(mutex_);
    if (session_ != nullptr) session_->Cancel();
  }
  thread_.join();
}

OriginApplier::State OriginApplier::GetState() const {
  std::scoped_lock lock(mutex_);
  return state_;
}

void OriginApplier::SetState(std::string state, const absl::Status& error) {
  std::scoped_lock lock(mutex_);
  state_.state = std::move(state);
  state_.error = error;
}

absl::Status OriginApplier::RunSession(std::stop_token stop) {
  OriginSession::Shared shared{
      .options = options_,
      .identity = identity_,
      .policies = policies_,
      .applied = applied_,
      .history = history_,
      .registry = registry_,
      .parking = parking_,
      .copies = copies_,
      .foreign_keys = foreign_keys_,
      .barrier = barrier_,
      .metrics = metrics_,
      .set_state = [this](const std::string& state) { SetState(state); },
      .set_progress =
          [this](const Position& applied, int64_t offset, CommitTime up_to) {
            std::scoped_lock lock(mutex_);
            state_.applied = applied;
            state_.log_offset = offset;
            state_.in_effect_up_to = up_to;
          },
      .set_heartbeat =
          [this](absl::Time at) {
            std::scoped_lock lock(mutex_);
            state_.heartbeat_at = at;
          }};
  auto session = std::make_shared<OriginSession>(std::move(shared), stop);
  PGDUET_RETURN_IF_ERROR(session->Open(make_reader_));
  {
    std::scoped_lock lock(mutex_);
    session_ = session;
  }
  const std::string& origin = identity_.NameOf(options_.origin);
  LogInfo("apply", "stream started",
          {{"origin", origin}, {"sequence", std::to_string(GetState().applied.sequence)}});
  bool reported_running = false;
  const absl::Status status = session->Work(grouping_, refused_, [&] {
    rounds_.fetch_add(1, std::memory_order_relaxed);
    if (!std::exchange(reported_running, true)) metrics_.StreamState(origin, "");
  });
  refused_ = absl::IsFailedPrecondition(status);
  grouping_ = SqlState(status).starts_with("23") && grouping_ == Grouping::kByKey
                  ? Grouping::kOneByOne
                  : Grouping::kByKey;
  std::scoped_lock lock(mutex_);
  session_.reset();
  return status;
}

void OriginApplier::Run(std::stop_token stop) {
  const std::string& origin = identity_.NameOf(options_.origin);
  NameThisThread(("apply " + origin).substr(0, 15).c_str());
  Backoff backoff;
  // Short at first: whoever mends what has just stopped (or applies a missing migration) sees at
  // once that it helped.
  Backoff stopped({.first = std::min(absl::Milliseconds(400), options_.stopped_retry),
                   .max = options_.stopped_retry});
  std::string last_error;
  Position stands_after;  // what was applied when it stopped last
  while (!stop.stop_requested()) {
    const absl::Time began = absl::Now();
    const absl::Status status = RunSession(stop);
    rounds_.fetch_add(1, std::memory_order_relaxed);
    if (stop.stop_requested()) break;
    if (absl::Now() - began > absl::Seconds(10)) backoff.Reset();
    const bool passing = absl::IsUnavailable(status) || absl::IsAborted(status) ||
                         absl::IsCancelled(status) || absl::IsDeadlineExceeded(status);
    if (passing) {
      SetState("reconnecting", status);
      metrics_.Retried(options_.origin, RetryReason(status));
      LogWarning("apply", "stream interrupted", status, {{"origin", origin}});
      if (ErrorName(status) == "decoder_behind") (void)barrier_.Wait(absl::Seconds(30), stop);
      SleepFor(backoff.Next(), stop);
      continue;
    }
    // A large transaction that met a constraint is tried again row by row before anybody is called.
    if (grouping_ == Grouping::kOneByOne) continue;
    SetState("stopped", status);
    metrics_.StreamState(origin, ErrorName(status));
    // Another transaction than the last time: tell it anew, whatever its error is.
    if (const Position now = GetState().applied; std::exchange(stands_after, now) != now) {
      stopped.Reset();
      last_error.clear();
    }
    if (ErrorName(status) != last_error)
      LogError("apply", "stream stopped", status, {{"origin", origin}});
    last_error = ErrorName(status);
    StandStill(stopped.Next(), stop);
  }
  SetState("ended");
}

void OriginApplier::StandStill(absl::Duration duration, std::stop_token stop) {
  const absl::Time until = absl::Now() + duration;
  while (!stop.stop_requested() && absl::Now() < until) {
    rounds_.fetch_add(1, std::memory_order_relaxed);
    SleepFor(std::min(until - absl::Now(), absl::Seconds(1)), stop);
  }
}

}  // namespace pgduet
