#include "capture/capture_loop.h"

#include <absl/time/clock.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/named_error.h"
#include "base/thread_name.h"
#include "capture/capture_run.h"

namespace pgduet {

CaptureLoop::CaptureLoop(CaptureOptions options, LogWriterFactory make_writer,
                         LocalObserver& observer, CaptureMetrics* metrics)
    : options_(std::move(options)),
      make_writer_(std::move(make_writer)),
      observer_(observer),
      metrics_(metrics) {}

CaptureLoop::State CaptureLoop::GetState() const {
  std::scoped_lock lock(mutex_);
  return state_;
}

void CaptureLoop::SetState(std::string state, const absl::Status& error) {
  std::scoped_lock lock(mutex_);
  state_.state = std::move(state);
  state_.error = error;
}

void CaptureLoop::Run(std::stop_token stop) {
  NameThisThread(("capture " + options_.region).substr(0, 15).c_str());
  Backoff backoff;
  std::string last_error;
  while (!stop.stop_requested()) {
    auto run = std::make_unique<CaptureRun>(*this, stop);
    absl::Status status = run->Open();
    if (status.ok()) {
      SetState("streaming");
      on_state_("");
      last_error.clear();
      backoff.Reset();
      if (metrics_ != nullptr) metrics_->Connected(true);
      status = run->Work();
    }
    run.reset();  // the slot is free while we wait
    if (metrics_ != nullptr) metrics_->Connected(false);
    rounds_.fetch_add(1, std::memory_order_relaxed);
    if (stop.stop_requested()) break;
    const bool passing =
        absl::IsUnavailable(status) || absl::IsAborted(status) || absl::IsCancelled(status);
    if (passing) {
      SetState("reconnecting", status);
      on_interruption_(status);
      LogWarning("capture", "stream interrupted", status, {{"slot", options_.slot}});
      SleepFor(backoff.Next(), stop);
      continue;
    }
    SetState("stopped", status);
    on_state_(ErrorName(status));
    if (ErrorName(status) != last_error)
      LogError("capture", "stream stopped", status, {{"slot", options_.slot}});
    last_error = ErrorName(status);
    const absl::Time until = absl::Now() + options_.stopped_retry;
    while (absl::Now() < until && SleepFor(absl::Milliseconds(500), stop)) {
      rounds_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  SetState("ended");
}

}  // namespace pgduet
