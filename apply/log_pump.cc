#include "apply/log_pump.h"

#include <absl/time/clock.h>

#include "base/thread_name.h"

namespace pgduet {

LogPump::LogPump(std::unique_ptr<LogReader> reader, RecordStream stream, size_t queue_bytes_max,
                 const std::string& origin)
    : reader_(std::move(reader)),
      stream_(std::move(stream)),
      queue_(queue_bytes_max),
      thread_name_(("read " + origin).substr(0, 15)),
      thread_([this](std::stop_token stop) { Run(std::move(stop)); }) {}

LogPump::~LogPump() {
  thread_.request_stop();
  reader_->Interrupt();
  queue_.Close();
  thread_.join();
}

void LogPump::Run(std::stop_token stop) {
  NameThisThread(thread_name_.c_str());
  while (!stop.stop_requested()) {
    absl::StatusOr<std::optional<LogEntry>> entry = reader_->Next(absl::Milliseconds(500));
    if (!entry.ok()) {
      queue_.Push({.status = entry.status()}, 1);
      return;
    }
    if (!entry->has_value()) {
      if (stream_.doubt().ok()) continue;
      queue_.Push({.status = stream_.doubt()}, 1);
      return;
    }
    absl::StatusOr<StreamEvent> event = stream_.Accept((*entry)->offset, (*entry)->bytes);
    if (!event.ok()) {
      queue_.Push({.status = event.status()}, 1);
      return;
    }
    if (event->kind == StreamEventKind::kNothing) continue;
    const size_t bytes = (*entry)->bytes.size() + 256;
    if (!queue_.Push(
            {.status = {}, .event = *std::move(event), .read_at = absl::Now(), .bytes = bytes},
            bytes))
      return;
  }
}

}  // namespace pgduet
