// The two ends of a region's log, and what a position in it is. Implementations: kafka_log.h,
// direct_log.h.
//
// A log is append-only and totally ordered. It may hold duplicates (a producer's retry, a re-sent
// run): the reader's side sorts them out (record_stream.h). It never loses what it called durable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "schemas/record.h"
#include "schemas/version.h"

namespace pgduet {

// What the end of our own log says: where to continue after a restart.
struct LogTail {
  uint64_t sequence = 0;  // of the last complete transaction; 0: none yet
  Position last;          // the same with its LSN and incarnation
  Lsn through_lsn;        // everything of the WAL before it is published
  Incarnation incarnation = 0;
  AppliedVector vector;  // at that place
  uint64_t writer_epoch = 0;
};

// Threads: one (the capture thread).
class LogWriter {
 public:
  virtual ~LogWriter() = default;
  // OK: queued in order, not yet durable; on its way with the next Wait(), which sends what has
  // been appended since the last one together, or soon after (HoldsBack). ResourceExhausted: the
  // queue is full; Wait() and try again. Unavailable: the log was lost, with what was not durable;
  // make a new writer and continue from its tail.
  virtual absl::Status Append(std::string record) = 0;
  // Sends what was appended, and serves the log's own work for at most this long; returns early
  // when something became durable.
  virtual absl::Status Wait(absl::Duration timeout) = 0;
  // Something that was appended could not be sent yet: call Wait() again soon.
  virtual bool HoldsBack() const { return false; }
  // How many appended records are queued, and how many of them (a prefix) survive a crash of agent
  // and broker.
  virtual uint64_t AppendedCount() const = 0;
  virtual uint64_t DurableCount() const = 0;
  // Reads the end of the log. Nothing: the log is empty.
  virtual absl::StatusOr<std::optional<LogTail>> ReadTail() = 0;
};

struct LogEntry {
  // The reader continues at offset + 1. Entries that came in one message: its offset belongs to the
  // last of them, the others have the offset before it. Never moves back.
  int64_t offset = 0;
  std::string bytes;
};

// Threads: one reads; Interrupt() from any.
class LogReader {
 public:
  virtual ~LogReader() = default;
  // Continues at this offset; -1: at the log's beginning. DataLoss/position_lost when the log no
  // longer has it. The entry before it may be given once more: it tells a new RecordStream which
  // writers are past.
  virtual absl::Status Seek(int64_t offset) = 0;
  // The next entry, or nothing when none came in time. Unavailable: try again later.
  virtual absl::StatusOr<std::optional<LogEntry>> Next(absl::Duration timeout) = 0;
  // Everything up to this offset is in effect and durable at the reader's database; the log may
  // forget it. (Kafka: committed only so that lag tools see it. direct: lets the peer's slot move.)
  virtual void Applied(int64_t offset, Lsn through_lsn) = 0;
  virtual void Interrupt() = 0;
};

}  // namespace pgduet
