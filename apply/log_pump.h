// The reading half of one peer's stream: a thread that takes log entries, judges them, and queues
// events in order.
//
// Bounded by bytes: a slow apply slows the reading. The thread ends with the first error, which is
// the last event.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/bounded_queue.h"
#include "transport/log.h"
#include "transport/record_stream.h"

namespace pgduet {

class LogPump {
 public:
  struct Item {
    absl::Status status;  // not OK: the end
    StreamEvent event;
    absl::Time read_at;
    size_t bytes = 0;
  };
  LogPump(std::unique_ptr<LogReader> reader, RecordStream stream, size_t queue_bytes_max,
          const std::string& origin);
  ~LogPump();

  std::optional<Item> Pop(absl::Duration timeout) { return queue_.Pop(timeout); }
  std::optional<Item> TryPop() { return queue_.TryPop(); }
  size_t queued_bytes() const { return queue_.cost(); }
  // Tells the log what is in effect and durable; see LogReader::Applied.
  void Applied(int64_t offset, Lsn through_lsn) { reader_->Applied(offset, through_lsn); }

 private:
  void Run(std::stop_token stop);
  std::unique_ptr<LogReader> reader_;
  RecordStream stream_;
  BoundedQueue<Item> queue_;
  std::string thread_name_;
  std::jthread thread_;
};

}  // namespace pgduet
