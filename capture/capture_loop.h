// Reads one database's WAL and publishes its transactions to a log: from the log's own tail on,
// nothing lost, nothing repeated.
//
// The same loop serves `kafka` (our database, our topic), `direct` (a peer's database, an
// in-process log) and, with a DiscardingLogWriter, the local watch of `direct`. Runs on one thread,
// "capture"; State() from any.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "capture/capture_metrics.h"
#include "capture/local_observer.h"
#include "capture/replication_stream.h"
#include "transport/log.h"

namespace pgduet {

struct CaptureOptions {
  std::string conninfo;
  std::string slot;
  std::string publication;
  std::string group;
  std::string set;
  std::string region;  // whose database this is
  Rank rank = 0;
  Incarnation incarnation = 0;
  std::string system_identifier;
  int timeline = 0;  // that the last run saw
  Lsn baseline_lsn;
  uint64_t policy_hash = 0;
  std::string policy_text;
  uint64_t writer_epoch = 0;
  // The log keeps nothing (DiscardingLogWriter): the slot alone says where to continue.
  bool position_is_slot = false;
  absl::Duration heartbeat_idle = absl::Seconds(1);
  absl::Duration heartbeat_moving = absl::Milliseconds(50);
  absl::Duration feedback_interval = absl::Seconds(1);
  absl::Duration stopped_retry = absl::Seconds(5);
};

class CaptureLoop {
 public:
  struct State {
    std::string state = "starting";  // starting, streaming, reconnecting, stopped, ended
    absl::Status error;
    Lsn decoded_through;
    Lsn durable_through;  // the log holds everything before it, and keeps it
    Lsn published;        // commit LSN of the last published transaction
    uint64_t sequence = 0;
    Lsn confirmed;
  };
  using LogWriterFactory = std::function<absl::StatusOr<std::unique_ptr<LogWriter>>()>;
  CaptureLoop(CaptureOptions options, LogWriterFactory make_writer, LocalObserver& observer,
              CaptureMetrics* metrics);

  // Until stopped. Errors are retried for ever and shown in State(); `on_state` hears of each stop
  // and recovery.
  void Run(std::stop_token stop);
  void OnState(std::function<void(const std::string& error)> on_state) {
    on_state_ = std::move(on_state);
  }
  // What passes by itself (a lost connection), each time.
  void OnInterruption(std::function<void(const absl::Status&)> on_interruption) {
    on_interruption_ = std::move(on_interruption);
  }
  State GetState() const;
  uint64_t rounds() const { return rounds_.load(std::memory_order_relaxed); }

 private:
  friend class CaptureRun;
  void SetState(std::string state, const absl::Status& error = absl::OkStatus());

  const CaptureOptions options_;
  const LogWriterFactory make_writer_;
  LocalObserver& observer_;
  CaptureMetrics* metrics_;  // may be null
  std::function<void(const std::string& error)> on_state_ = [](const std::string&) {};
  std::function<void(const absl::Status&)> on_interruption_ = [](const absl::Status&) {};
  std::atomic<uint64_t> rounds_ = 0;
  mutable std::mutex mutex_;
  State state_;
};

}  // namespace pgduet
