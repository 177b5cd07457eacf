#include "schemas/record_header_codec.h"

#include <array>
#include <optional>

#include <fmt/format.h>

#include "base/named_error.h"
#include "schemas/record_vector_codec.h"
#include "schemas/text_check.h"
#include "schemas/wire_fields.h"

namespace pgduet {
namespace {

constexpr uint32_t kClosedTimeProtocol = 2;

// Field numbers of record.proto.
enum HeaderField : uint32_t {
  kKind = 1,
  kGroup,
  kOrigin,
  kSet,
  kRank,
  kPolicyHash,
  kIncarnation,
  kWriterEpoch,
  kSequence,
  kPreviousSequence,
  kCommitLsn,
  kCommitTime,
  kXid,
  kChunk,
  kLast,
  kFragment,
  kFragments,
  kThroughLsn,
  kSentAt,
  kVector,
  kClosedTime
};
constexpr size_t kHeaderBytes = 160;  // about, without names and vector

// ---- Decoding: first what stands there, then whether it is allowed.

struct HeaderFields {
  explicit HeaderFields(std::string_view bytes) : reader(bytes) {}
  FieldReader reader;
  uint64_t kind = reader.Varint(kKind);
  std::string_view group = reader.Name(kGroup);
  std::string_view origin = reader.Name(kOrigin);
  std::string_view set = reader.Name(kSet);
  uint64_t rank = reader.Varint(kRank);
  uint64_t policy_hash = reader.Fixed64(kPolicyHash);
  uint64_t incarnation = reader.Fixed64(kIncarnation);
  uint64_t writer_epoch = reader.Varint(kWriterEpoch);
  uint64_t sequence = reader.Varint(kSequence);
  uint64_t previous_sequence = reader.Varint(kPreviousSequence);
  uint64_t commit_lsn = reader.Varint(kCommitLsn);
  CommitTime commit_time = reader.Time(kCommitTime);
  uint64_t xid = reader.Varint(kXid);
  uint64_t chunk = reader.Varint(kChunk);
  uint64_t last = reader.Varint(kLast);
  uint64_t fragment = reader.Varint(kFragment);
  uint64_t fragments = reader.Varint(kFragments);
  uint64_t through_lsn = reader.Varint(kThroughLsn);
  CommitTime sent_at = reader.Time(kSentAt);
  std::optional<std::string_view> vector = reader.Bytes(kVector);
  CommitTime closed_time = reader.Time(kClosedTime);
};

absl::Status CheckNames(const HeaderFields& in) {
  const std::array<std::pair<std::string_view, std::string_view>, 3> names = {
      {{"group", in.group}, {"origin", in.origin}, {"set", in.set}}};
  for (const auto& [what, name] : names) {
    if (name.empty() || name.size() > kNameBytesMax || !IsValidText(name)) {
      return InvalidRecord(
          fmt::format("header has a name that is empty, too long or not UTF-8: {}", what));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRanges(const HeaderFields& in) {
  if (in.kind < 1 || in.kind > static_cast<uint32_t>(RecordKind::kNotice)) {
    return InvalidRecord(fmt::format("header has an unknown kind: kind={}", in.kind));
  }
  if (in.rank >= kRegionsMax) return InvalidRecord("header has a rank out of range");
  if (in.incarnation == 0) return InvalidRecord("header has no incarnation");
  if (in.xid > UINT32_MAX || in.last > 1) return InvalidRecord("header has a number out of range");
  if (in.chunk >= kChunksMax) return InvalidRecord("header has a chunk number out of range");
  if (in.fragments == 0 || in.fragments > kFragmentsMax || in.fragment >= in.fragments) {
    return InvalidRecord("header has a fragment number out of range");
  }
  if (in.commit_time != kOldestTime && !IsTimeInRange(in.commit_time)) {
    return InvalidRecord("header has a commit time out of range");
  }
  if (!IsTimeInRange(in.sent_at)) return InvalidRecord("header has a sending time out of range");
  if (in.closed_time != kOldestTime && !IsTimeInRange(in.closed_time)) {
    return InvalidRecord("header has a closed time out of range");
  }
  return absl::OkStatus();
}

absl::Status CheckTransaction(const RawRecord& raw) {
  const RecordHeader& header = raw.header;
  if (header.sequence == 0 || header.previous_sequence != header.sequence - 1) {
    return InvalidRecord(
        fmt::format("transaction does not follow its predecessor: sequence={} previous={}",
                    header.sequence, header.previous_sequence));
  }
  if (!header.commit_lsn.valid() || header.commit_time == kOldestTime) {
    return InvalidRecord("transaction has no commit LSN or time");
  }
  if (header.last && header.through_lsn < header.commit_lsn) {
    return InvalidRecord("transaction ends after what it says is published");
  }
  if (raw.has_vector != (header.chunk == 0 || header.last)) {
    return InvalidRecord("transaction has no applied vector, or has one in an inner chunk");
  }
  if (raw.has_vector && (raw.vector.At(header.rank).incarnation != header.incarnation ||
                         raw.vector.At(header.rank).commit_lsn != header.commit_lsn)) {
    return InvalidRecord("transaction is not in its own applied vector");
  }
  return absl::OkStatus();
}

absl::Status CheckKind(const RawRecord& raw) {
  if (raw.header.kind == RecordKind::kTransaction) return CheckTransaction(raw);
  if (raw.header.chunk != 0 || !raw.header.last) {
    return InvalidRecord("a record of this kind has one chunk");
  }
  if (raw.header.kind == RecordKind::kHeartbeat && !raw.has_vector) {
    return InvalidRecord("heartbeat has no applied vector");
  }
  return absl::OkStatus();
}

void CopyHeader(const HeaderFields& in, RecordHeader& out) {
  out.kind = static_cast<RecordKind>(in.kind);
  out.group = in.group;
  out.origin = in.origin;
  out.set = in.set;
  out.rank = static_cast<Rank>(in.rank);
  out.policy_hash = in.policy_hash;
  out.incarnation = in.incarnation;
  out.writer_epoch = in.writer_epoch;
  out.sequence = in.sequence;
  out.previous_sequence = in.previous_sequence;
  out.commit_lsn = Lsn(in.commit_lsn);
  out.commit_time = in.commit_time;
  out.xid = static_cast<uint32_t>(in.xid);
  out.chunk = static_cast<uint32_t>(in.chunk);
  out.last = in.last != 0;
  out.fragment = static_cast<uint32_t>(in.fragment);
  out.fragments = static_cast<uint32_t>(in.fragments);
  out.through_lsn = Lsn(in.through_lsn);
  out.sent_at = in.sent_at;
  out.closed_time = in.closed_time;
}

}  // namespace

absl::Status InvalidRecord(std::string_view what) {
  return NamedError(absl::StatusCode::kDataLoss, "invalid_record", what,
                    "Find out which program wrote this record; if the log cannot be mended, "
                    "attach this region again from a peer.");
}

std::string EncodeHeader(const Record& record, uint32_t fragment, uint32_t fragments) {
  const RecordHeader& header = record.header;
  std::string out;
  out.reserve(kHeaderBytes + header.group.size() + header.origin.size() + header.set.size() +
              record.vector.size() * kVectorEntryBytes);
  FieldWriter writer(out);
  writer.Varint(kKind, static_cast<uint64_t>(header.kind));
  writer.Bytes(kGroup, header.group);
  writer.Bytes(kOrigin, header.origin);
  writer.Bytes(kSet, header.set);
  writer.Varint(kRank, header.rank);
  writer.Fixed64(kPolicyHash, header.policy_hash);
  writer.Fixed64(kIncarnation, header.incarnation);
  writer.Varint(kWriterEpoch, header.writer_epoch);
  writer.Varint(kSequence, header.sequence);
  writer.Varint(kPreviousSequence, header.previous_sequence);
  writer.Varint(kCommitLsn, header.commit_lsn.value());
  writer.Fixed64(kCommitTime, static_cast<uint64_t>(header.commit_time));
  writer.Varint(kXid, header.xid);
  writer.Varint(kChunk, header.chunk);
  writer.Varint(kLast, header.last ? 1 : 0);
  writer.Varint(kFragment, fragment);
  writer.Varint(kFragments, fragments);
  writer.Varint(kThroughLsn, header.through_lsn.value());
  writer.Fixed64(kSentAt, static_cast<uint64_t>(header.sent_at));
  // An empty vector is still one.
  if (record.has_vector) AppendBytesField(kVector, EncodeVectorField(record.vector), out);
  if (header.protocol >= kClosedTimeProtocol)
    writer.Fixed64(kClosedTime, static_cast<uint64_t>(header.closed_time));
  return out;
}

absl::Status DecodeHeader(std::string_view bytes, RawRecord& raw) {
  const HeaderFields in(bytes);
  if (in.reader.failed()) return InvalidRecord("header cannot be parsed");
  if (!in.reader.AtEnd()) {
    return InvalidRecord("header has an unknown field, or one out of order");
  }
  PGDUET_RETURN_IF_ERROR(CheckNames(in));
  PGDUET_RETURN_IF_ERROR(CheckRanges(in));
  const bool has_closed_time = raw.header.protocol >= kClosedTimeProtocol;
  if (!has_closed_time && in.closed_time != 0) {
    return InvalidRecord("header has a field of a later protocol");
  }
  CopyHeader(in, raw.header);
  if (!has_closed_time) raw.header.closed_time = kOldestTime;
  raw.has_vector = in.vector.has_value();
  if (raw.has_vector) PGDUET_RETURN_IF_ERROR(DecodeVectorField(*in.vector, raw.vector));
  return CheckKind(raw);
}

}  // namespace pgduet
