// One peer's log as a checked stream of transactions: the place where continuity is judged.
//
// Takes the bytes of log entries in order and says what they mean for a reader that has applied up
// to a position: duplicates, re-sent runs and zombie writers' records disappear; a gap, a foreign
// group, another policy, a forged or corrupt record is a named error and the stream stays there
// (nothing is skipped). Pure but for its own state; one thread.
//
// Rules: docs/wire_format.md, "What a reader checks".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/statusor.h>

#include "schemas/record.h"
#include "schemas/record_codec.h"

namespace pgduet {

enum class StreamEventKind {
  kNothing,  // duplicate, zombie, incomplete fragment, announcement: nothing to do
  kChunk,    // record.header.chunk == 0 begins a transaction, .last ends it
  kRestart,  // the run begun before was abandoned by its writer: undo it; the record is chunk 0 of
             // the re-sent run
  kHeartbeat,  // may come inside a run
  kNotice,     // about a change of policies (schemas/policy_notice.h); between runs only
};

struct StreamEvent {
  StreamEventKind kind = StreamEventKind::kNothing;
  Record record;
  int64_t offset = 0;
};

class RecordStream {
 public:
  struct Options {
    std::string group;
    std::string origin;
    std::string set;
    Rank rank = 0;
    uint64_t policy_hash = 0;
    std::string policy_text;  // ours, to name the setting that differs
    // The set before ours, when ours came online: until the origin has switched, too, its records
    // still have that hash, and none of them touches the tables whose policy is another one now
    // (schema, name). A record that does is refused.
    uint64_t previous_hash = 0;  // 0: none
    std::set<std::pair<std::string, std::string>> changed_tables;
  };
  // `applied` is what the reader's database holds of this origin (sequence 0 and incarnation 0:
  // nothing yet).
  RecordStream(Options options, Position applied);

  // The meaning of the next entry. Errors: corrupt_record, unsupported_protocol, invalid_record,
  // oversized_record, foreign_group, foreign_origin, policy_mismatch, incarnation_changed,
  // sequence_gap. After an error the stream's state is as before the entry, so that the same entry
  // can be judged again after the mend.
  absl::StatusOr<StreamEvent> Accept(int64_t offset, std::string_view bytes);

  // The place of the reader's database when the transaction being read is undone.
  const Position& applied() const { return applied_; }

  // policy_mismatch while the newest entry is a heartbeat of other policies: an error once nothing
  // better comes.
  const absl::Status& doubt() const { return doubt_; }

 private:
  // A transaction of which chunks have been handed out, or are being joined.
  struct Run {
    uint64_t writer_epoch = 0;
    Incarnation incarnation = 0;
    Lsn commit_lsn;
    CommitTime commit_time = 0;
    uint32_t next_chunk = 0;
  };
  // The fragments so far of chunk `next_chunk`.
  struct Join {
    std::shared_ptr<std::string> bytes;
    uint32_t next_fragment = 0;
    uint32_t fragments = 0;
  };

  absl::StatusOr<StreamEvent> Judge(int64_t offset, RawRecord raw);
  absl::Status CheckIdentity(const RecordHeader& header) const;
  absl::Status CheckIncarnation(const RecordHeader& header) const;
  absl::Status CheckPolicy(const RecordHeader& header) const;
  absl::Status CheckTables(const Record& record) const;
  absl::Status CheckNotForked(const RecordHeader& header) const;
  absl::Status CheckNext(const RecordHeader& header) const;
  absl::StatusOr<StreamEvent> AcceptAnnouncement(RawRecord raw);
  absl::StatusOr<StreamEvent> AcceptHeartbeat(RawRecord raw, int64_t offset);
  absl::StatusOr<StreamEvent> AcceptNotice(RawRecord raw);
  absl::StatusOr<StreamEvent> AcceptTransaction(RawRecord raw, int64_t offset);
  absl::StatusOr<StreamEvent> AcceptPiece(RawRecord raw, Run run, const Join& join, int64_t offset);

  Options options_;
  Position applied_;           // last complete transaction seen (or given)
  uint64_t writer_epoch_ = 0;  // highest seen
  std::optional<Run> run_;
  Join join_;
  bool handed_out_ = false;  // a chunk of sequence applied_.sequence + 1 has been handed out
  absl::Status doubt_;
  std::string peer_policy_text_;
  RelationCache relations_;
};

}  // namespace pgduet
