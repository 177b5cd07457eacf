// One connected stretch of a CaptureLoop: from the log's tail until something fails or a stop is
// requested. One thread.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <absl/time/time.h>

#include "capture/capture_loop.h"
#include "capture/transaction_assembler.h"
#include "capture/unchanged_values.h"

namespace pgduet {

class CaptureRun : public AssemblerSink {
 public:
  CaptureRun(CaptureLoop& loop, std::stop_token stop);
  absl::Status Open();
  absl::Status Work();

 private:
  // Of what was appended and is not durable yet, oldest first.
  struct InFlight {
    uint64_t appended;       // the writer's count behind the record
    Lsn through;             // valid: everything before is published with this record
    CommitTime commit_time;  // kOldestTime for heartbeats
  };
  absl::Status CheckSlot();
  absl::Status CheckTail(const std::optional<LogTail>& tail);
  absl::StatusOr<PgResult> AskSlot();
  absl::Status CheckSystem();
  absl::Status CheckTimeline() const;
  absl::Status TakeRound();
  absl::Status TakeFrames();
  absl::Status Housekeeping();
  absl::Status SendHeartbeat();
  absl::Status Announce();
  absl::Status Append(Record record);
  absl::Status AppendBytes(const std::string& bytes);
  // The observer does what it put off; then what was held goes to the log.
  absl::Status Release();
  absl::Status Feedback();
  void CollectDurable();
  void ReportSlot();
  RecordHeader NewHeader(RecordKind kind) const;
  bool AlreadyPublished(const LocalTransaction& transaction) const {
    return transaction.commit_lsn <= resume_after_;
  }

  absl::Status TransactionBegins(const LocalTransaction& transaction) override;
  absl::Status Chunk(const LocalTransaction& transaction, ChangeBatch batch, bool last,
                     Lsn end_lsn) override;
  void Applied(const AppliedMarker& marker) override;
  void Barrier(std::string_view token) override;
  void TimeClosed(CommitTime time) override;
  absl::Status PolicyNoticed(std::string_view notice) override;
  void TransactionEnds(Lsn end_lsn) override;

  CaptureLoop& loop_;
  const CaptureOptions& options_;
  std::stop_token stop_;
  std::unique_ptr<LogWriter> writer_;
  std::unique_ptr<PgConnection> control_;
  std::unique_ptr<ReplicationStream> stream_;
  std::unique_ptr<TransactionAssembler> assembler_;
  std::optional<Lsn> switched_;  // where the server left the timeline that we know
  UnchangedValues unchanged_values_;

  AppliedVector vector_;  // at the place in the WAL that is being read
  bool vector_moved_ = false;
  bool awaited_passed_ = false;           // somebody waits for what this round has observed
  CommitTime closed_time_ = kOldestTime;  // what later records keep above
  Position last_published_;
  Lsn resume_after_;  // transactions up to here are on the log already
  Lsn decoded_through_;
  uint32_t next_chunk_ = 0;
  std::deque<InFlight> in_flight_;
  std::vector<std::string> held_;  // encoded records that wait for the observer, in order
  size_t held_bytes_ = 0;
  Lsn durable_through_;  // published and durable
  Lsn confirmed_;
  absl::Time heartbeat_at_ = absl::InfinitePast();
  absl::Time feedback_at_ = absl::InfinitePast();
  absl::Time slot_reported_at_ = absl::InfinitePast();
};

// A log that keeps nothing and calls everything durable: for a capture whose only reader is its
// observer.
class DiscardingLogWriter : public LogWriter {
 public:
  absl::Status Append(std::string) override {
    ++count_;
    return absl::OkStatus();
  }
  absl::Status Wait(absl::Duration) override { return absl::OkStatus(); }
  uint64_t AppendedCount() const override { return count_; }
  uint64_t DurableCount() const override { return count_; }
  absl::StatusOr<std::optional<LogTail>> ReadTail() override { return std::optional<LogTail>(); }

 private:
  uint64_t count_ = 0;
};

}  // namespace pgduet
