#include "transport/record_stream.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/named_error.h"
#include "schemas/policy_notice.h"
#include "transport/policy_difference.h"

namespace pgduet {
namespace {

absl::Status Gap(std::string_view what) {
  return NamedError(absl::StatusCode::kDataLoss, "sequence_gap", what,
                    "Records are missing from this log: if they are still in the topic (a wrong "
                    "position, another "
                    "cluster), correct that; otherwise attach this region again from a peer.");
}

absl::Status Invalid(std::string_view what) {
  return NamedError(
      absl::StatusCode::kDataLoss, "invalid_record", what,
      "Find out which program wrote this record; if the log cannot be mended, attach this region "
      "again from a peer.");
}

absl::Status Foreign(std::string_view name, std::string_view field, std::string_view expected,
                     std::string_view found) {
  return NamedError(
      absl::StatusCode::kFailedPrecondition, name,
      fmt::format("record belongs to another {}: expected={} found={}", field, expected, found),
      "Check the topic name and the brokers of this region in the configuration.");
}

}  // namespace

RecordStream::RecordStream(Options options, Position applied)
    : options_(std::move(options)), applied_(applied) {}

absl::StatusOr<StreamEvent> RecordStream::Accept(int64_t offset, std::string_view bytes) {
  auto raw = DecodeEnvelope(bytes);
  auto event = raw.ok() ? Judge(offset, *std::move(raw)) : raw.status();
  if (event.ok()) return event;
  return WithContext(event.status(), fmt::format("log entry: origin={} set={} offset={}",
                                                 options_.origin, options_.set, offset));
}

absl::StatusOr<StreamEvent> RecordStream::Judge(int64_t offset, RawRecord raw) {
  PGDUET_RETURN_IF_ERROR(CheckIdentity(raw.header));
  const uint64_t writer_epoch = raw.header.writer_epoch;
  if (writer_epoch < writer_epoch_) return StreamEvent{.offset = offset};
  absl::StatusOr<StreamEvent> event = StreamEvent{};
  switch (raw.header.kind) {
    case RecordKind::kAnnouncement:
      event = AcceptAnnouncement(std::move(raw));
      break;
    case RecordKind::kHeartbeat:
      event = AcceptHeartbeat(std::move(raw), offset);
      break;
    case RecordKind::kTransaction:
      event = AcceptTransaction(std::move(raw), offset);
      break;
    case RecordKind::kNotice:
      event = AcceptNotice(std::move(raw));
      break;
    case RecordKind::kOwnership:
      break;
  }
  if (!event.ok()) return event;
  writer_epoch_ = writer_epoch;
  event->offset = offset;
  return event;
}

absl::Status RecordStream::CheckIdentity(const RecordHeader& header) const {
  if (header.group != options_.group) {
    return Foreign("foreign_group", "group", options_.group, header.group);
  }
  if (header.origin != options_.origin) {
    return Foreign("foreign_origin", "region", options_.origin, header.origin);
  }
  if (header.set != options_.set) return Foreign("foreign_origin", "set", options_.set, header.set);
  if (header.rank != options_.rank) {
    return Foreign("foreign_origin", "rank (order of the regions in the configuration)",
                   std::to_string(options_.rank), std::to_string(header.rank));
  }
  return absl::OkStatus();
}

absl::Status RecordStream::CheckIncarnation(const RecordHeader& header) const {
  const bool known = applied_.incarnation != 0;
  if (!known || applied_.incarnation == header.incarnation) return absl::OkStatus();
  return NamedError(
      absl::StatusCode::kFailedPrecondition, "incarnation_changed",
      fmt::format("origin has another WAL history than the one applied here: expected={} found={}",
                  IncarnationToString(applied_.incarnation),
                  IncarnationToString(header.incarnation)),
      "The origin's database was restored, rebuilt or failed over behind what it had published: "
      "attach this region again from it.");
}

absl::Status RecordStream::CheckPolicy(const RecordHeader& header) const {
  if (header.policy_hash == options_.policy_hash ||
      (options_.previous_hash != 0 && header.policy_hash == options_.previous_hash)) {
    return absl::OkStatus();
  }
  return PolicyMismatch(
      peer_policy_text_.empty()
          ? fmt::format("hash here={:016x} there={:016x}", options_.policy_hash, header.policy_hash)
          : DescribePolicyDifference(options_.policy_text, peer_policy_text_));
}

// Of a record that was published under the set before ours.
absl::Status RecordStream::CheckTables(const Record& record) const {
  if (record.header.policy_hash == options_.policy_hash) return absl::OkStatus();
  for (const auto& relation : record.batch.relations) {
    if (!options_.changed_tables.contains({relation->schema, relation->name})) continue;
    return PolicyMismatch(
        fmt::format("the origin writes {}.{} under the set that was left by 'pgduet policy apply'",
                    relation->schema, relation->name));
  }
  return absl::OkStatus();
}

// Two different transactions under one number: two writers have counted differently.
absl::Status RecordStream::CheckNotForked(const RecordHeader& header) const {
  if (header.sequence != applied_.sequence || header.sequence == 0) return absl::OkStatus();
  if (!header.commit_lsn.valid() || header.commit_lsn == applied_.commit_lsn)
    return absl::OkStatus();
  return Invalid(fmt::format(
      "two transactions have one sequence number: sequence={} applied_lsn={} found_lsn={}",
      header.sequence, applied_.commit_lsn.ToString(), header.commit_lsn.ToString()));
}

absl::StatusOr<StreamEvent> RecordStream::AcceptAnnouncement(RawRecord raw) {
  PGDUET_ASSIGN_OR_RETURN(Record record, DecodeBody(std::move(raw)));
  if (!record.policy_text.empty()) peer_policy_text_ = std::move(record.policy_text);
  return StreamEvent{};
}

absl::StatusOr<StreamEvent> RecordStream::AcceptHeartbeat(RawRecord raw, int64_t offset) {
  const RecordHeader& header = raw.header;
  PGDUET_RETURN_IF_ERROR(CheckIncarnation(header));
  if (header.sequence < applied_.sequence) return StreamEvent{};
  PGDUET_RETURN_IF_ERROR(CheckNotForked(header));
  // An agent that is restarted with a new file leaves heartbeats of the old one behind: no row
  // depends on them.
  doubt_ = CheckPolicy(header);
  if (!doubt_.ok()) return StreamEvent{};
  if (header.sequence > applied_.sequence) {
    return Gap(
        fmt::format("heartbeat tells of a transaction that never came: applied={} published={}",
                    applied_.sequence, header.sequence));
  }
  PGDUET_ASSIGN_OR_RETURN(Record record, DecodeBody(std::move(raw)));
  return StreamEvent{StreamEventKind::kHeartbeat, std::move(record), offset};
}

// No matter under which set: it speaks of both. What was said before the last transaction that is
// applied here was heard then.
absl::StatusOr<StreamEvent> RecordStream::AcceptNotice(RawRecord raw) {
  PGDUET_RETURN_IF_ERROR(CheckIncarnation(raw.header));
  if (raw.header.sequence < applied_.sequence) return StreamEvent{};
  PGDUET_RETURN_IF_ERROR(CheckNotForked(raw.header));
  if (raw.header.sequence > applied_.sequence) {
    return Gap(fmt::format("notice tells of a transaction that never came: applied={} published={}",
                           applied_.sequence, raw.header.sequence));
  }
  PGDUET_ASSIGN_OR_RETURN(Record record, DecodeBody(std::move(raw)));
  if (!record.notice.starts_with(kPolicyNoticeBegin)) return StreamEvent{};
  PGDUET_RETURN_IF_ERROR(DecodePolicyNotice(record.notice).status());
  return StreamEvent{StreamEventKind::kNotice, std::move(record)};
}

absl::Status RecordStream::CheckNext(const RecordHeader& header) const {
  const uint64_t expected = applied_.sequence + 1;
  if (header.sequence > expected) {
    return Gap(fmt::format("transactions are missing before this one: expected={} found={}",
                           expected, header.sequence));
  }
  if (applied_.incarnation != 0 && header.commit_lsn <= applied_.commit_lsn) {
    return Invalid(fmt::format(
        "transaction's LSN does not grow with its sequence: sequence={} lsn={} previous={}",
        header.sequence, header.commit_lsn.ToString(), applied_.commit_lsn.ToString()));
  }
  return absl::OkStatus();
}

absl::StatusOr<StreamEvent> RecordStream::AcceptTransaction(RawRecord raw, int64_t offset) {
  const RecordHeader& header = raw.header;
  PGDUET_RETURN_IF_ERROR(CheckIncarnation(header));
  PGDUET_RETURN_IF_ERROR(CheckNotForked(header));
  if (header.sequence <= applied_.sequence) return StreamEvent{};
  PGDUET_RETURN_IF_ERROR(CheckPolicy(header));
  doubt_ = absl::OkStatus();
  PGDUET_RETURN_IF_ERROR(CheckNext(header));

  if (header.chunk == 0 && header.fragment == 0) {
    const Run begun{header.writer_epoch, header.incarnation, header.commit_lsn, header.commit_time,
                    0};
    return AcceptPiece(std::move(raw), begun, Join{}, offset);
  }
  // The rest of a run whose beginning is not its writer's last word, or was not seen: if its writer
  // has not begun anew, the next number tells of a gap.
  if (!run_ || run_->writer_epoch != header.writer_epoch) return StreamEvent{};
  if (run_->incarnation != header.incarnation || run_->commit_lsn != header.commit_lsn ||
      run_->commit_time != header.commit_time) {
    return Invalid(
        fmt::format("chunks of one transaction differ in what it is: sequence={} chunk={}",
                    header.sequence, header.chunk));
  }
  const auto found = std::pair(header.chunk, header.fragment);
  const auto expected = std::pair(run_->next_chunk, join_.next_fragment);
  const bool joins_anew = header.chunk == run_->next_chunk && header.fragment == 0;
  if (found < expected && !joins_anew) return StreamEvent{};  // a producer's retry
  if (found > expected) {
    return Gap(fmt::format(
        "a piece of a transaction is missing: sequence={} expected_chunk={}.{} found_chunk={}.{}",
        header.sequence, expected.first, expected.second, found.first, found.second));
  }
  return AcceptPiece(std::move(raw), *run_, header.fragment == 0 ? Join{} : join_, offset);
}

// The piece fits; nothing is stored before it is known to be sound.
absl::StatusOr<StreamEvent> RecordStream::AcceptPiece(RawRecord raw, Run run, const Join& join,
                                                      int64_t offset) {
  const RecordHeader header = raw.header;
  if (header.fragment != 0 && header.fragments != join.fragments) {
    return Invalid(
        fmt::format("fragments of one chunk differ in their number: sequence={} chunk={}",
                    header.sequence, header.chunk));
  }
  std::shared_ptr<std::string> body = join.bytes;
  const size_t bytes_before = body == nullptr ? 0 : body->size();
  if (bytes_before + raw.body.size() > kBodyBytesMax) {
    return NamedError(absl::StatusCode::kDataLoss, "oversized_record",
                      fmt::format("joined fragments are too large: sequence={} chunk={} max={}",
                                  header.sequence, header.chunk, kBodyBytesMax),
                      "Find out which program wrote this record.");
  }
  if (body == nullptr) {
    body = std::make_shared<std::string>(std::move(raw.body));
  } else {
    body->append(raw.body);
  }
  if (header.fragment + 1 < header.fragments) {
    run_ = run;
    join_ = Join{std::move(body), header.fragment + 1, header.fragments};
    return StreamEvent{};
  }
  auto record = DecodeBody(std::move(raw), body, &relations_);
  if (!record.ok()) {
    if (join.bytes != nullptr) body->resize(bytes_before);
    return record.status();
  }
  if (const absl::Status tables = CheckTables(*record); !tables.ok()) {
    if (join.bytes != nullptr) body->resize(bytes_before);
    return tables;
  }
  const bool restarts = header.chunk == 0 && handed_out_;
  join_ = Join{};
  if (header.last) {
    applied_ = Position{header.incarnation, header.sequence, header.commit_lsn, header.commit_time};
    run_.reset();
  } else {
    ++run.next_chunk;
    run_ = run;
  }
  handed_out_ = !header.last;
  return StreamEvent{restarts ? StreamEventKind::kRestart : StreamEventKind::kChunk,
                     *std::move(record), offset};
}

}  // namespace pgduet
