// An in-process log between one capture and one applier: transport `direct`.
//
// The applying database's own record of progress is the log's tail, so nothing here outlives a
// failure: a new reader starts where its database stands, and for that the capture must begin again
// there; its writer is told that it is lost. A new writer (the capture reconnected) re-sends from
// that tail too; what the reader has seen already it drops by sequence. Offsets only grow, over
// runs of the process too.
//
// Threads: one writer and one reader at a time, each on its own thread. Bounded by bytes: a full
// log says ResourceExhausted.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "transport/log.h"

namespace pgduet {

class DirectLog : public std::enable_shared_from_this<DirectLog> {
 public:
  using TailReader = std::function<absl::StatusOr<std::optional<LogTail>>()>;
  static std::shared_ptr<DirectLog> Create(TailReader read_tail,
                                           size_t queue_bytes_max = 8 * 1024 * 1024);

  // Each call ends the life of the writer (reader) that was opened before.
  std::unique_ptr<LogWriter> OpenWriter();
  std::unique_ptr<LogReader> OpenReader();
  // Why nothing more will come from the writer's side until somebody mends it; OK: it may. The
  // reader gets it once it has read what is here.
  void SetFault(absl::Status fault);

 private:
  class Writer;
  class Reader;
  DirectLog(TailReader read_tail, size_t queue_bytes_max);

  const TailReader read_tail_;
  const size_t queue_bytes_max_;
  std::mutex mutex_;
  std::condition_variable arrived_;  // for the reader
  std::condition_variable changed_;  // for the writer
  std::deque<LogEntry> entries_;
  size_t bytes_ = 0;
  int64_t next_offset_;
  int64_t writer_first_offset_;  // of the living writer
  int64_t applied_offset_ = -1;
  uint64_t writer_ = 0;  // serial number of the living writer, and of the living reader
  uint64_t reader_ = 0;
  absl::Status fault_;
  bool writer_lost_ = false;  // the reader began anew after this writer's first record
};

}  // namespace pgduet
