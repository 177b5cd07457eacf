#include "schemas/record_header_codec.h"

#include <array>

#include <fmt/format.h>
#include <google/protobuf/arena.h>

#include "base/named_error.h"
#include "schemas/record.pb.h"
#include "schemas/text_check.h"

namespace pgduet {
namespace {

constexpr uint32_t kClosedTimeProtocol = 2;

// Year 9999 either way: far from where sums of microseconds overflow.
constexpr CommitTime kTimeMax = 253'402'300'800'000'000;

bool IsTimeInRange(CommitTime time) { return -kTimeMax <= time && time <= kTimeMax; }

void EncodeVector(const AppliedVector& vector, wire::Vector& out) {
  for (size_t rank = 0; rank < vector.size(); ++rank) {
    const Position& position = vector.At(static_cast<Rank>(rank));
    if (position == Position{}) continue;
    wire::VectorEntry& entry = *out.add_entries();
    entry.set_rank(static_cast<uint32_t>(rank));
    entry.set_incarnation(position.incarnation);
    entry.set_sequence(position.sequence);
    entry.set_commit_lsn(position.commit_lsn.value());
    entry.set_commit_time(position.commit_time);
  }
}

absl::Status DecodeVector(const wire::Vector& in, AppliedVector& vector) {
  if (HasUnknownFields(in)) return InvalidRecord("applied vector has an unknown field");
  if (in.entries_size() > kRegionsMax) return InvalidRecord("applied vector is too long");
  int last_rank = -1;
  for (const wire::VectorEntry& entry : in.entries()) {
    if (HasUnknownFields(entry) || entry.rank() >= kRegionsMax ||
        static_cast<int>(entry.rank()) <= last_rank) {
      return InvalidRecord("applied vector has a wrong rank");
    }
    last_rank = static_cast<int>(entry.rank());
    if (entry.commit_time() != kOldestTime && !IsTimeInRange(entry.commit_time())) {
      return InvalidRecord("applied vector has a time out of range");
    }
    vector.Set(static_cast<Rank>(entry.rank()),
               Position{entry.incarnation(), entry.sequence(), Lsn(entry.commit_lsn()),
                        entry.commit_time()});
  }
  return absl::OkStatus();
}

absl::Status CheckNames(const wire::Header& in) {
  const std::array<std::pair<std::string_view, const std::string*>, 3> names = {
      {{"group", &in.group()}, {"origin", &in.origin()}, {"set", &in.set()}}};
  for (const auto& [what, name] : names) {
    if (name->empty() || name->size() > kNameBytesMax || !IsValidText(*name)) {
      return InvalidRecord(
          fmt::format("header has a name that is empty, too long or not UTF-8: {}", what));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRanges(const wire::Header& in) {
  if (in.kind() < 1 || in.kind() > static_cast<uint32_t>(RecordKind::kNotice)) {
    return InvalidRecord(fmt::format("header has an unknown kind: kind={}", in.kind()));
  }
  if (in.rank() >= kRegionsMax) return InvalidRecord("header has a rank out of range");
  if (in.incarnation() == 0) return InvalidRecord("header has no incarnation");
  if (in.chunk() >= kChunksMax) return InvalidRecord("header has a chunk number out of range");
  if (in.fragments() == 0 || in.fragments() > kFragmentsMax || in.fragment() >= in.fragments()) {
    return InvalidRecord("header has a fragment number out of range");
  }
  if (in.commit_time() != kOldestTime && !IsTimeInRange(in.commit_time())) {
    return InvalidRecord("header has a commit time out of range");
  }
  if (!IsTimeInRange(in.sent_at())) return InvalidRecord("header has a sending time out of range");
  if (in.closed_time() != kOldestTime && !IsTimeInRange(in.closed_time())) {
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

void CopyHeader(const wire::Header& in, RecordHeader& out) {
  out.kind = static_cast<RecordKind>(in.kind());
  out.group = in.group();
  out.origin = in.origin();
  out.set = in.set();
  out.rank = static_cast<Rank>(in.rank());
  out.policy_hash = in.policy_hash();
  out.incarnation = in.incarnation();
  out.writer_epoch = in.writer_epoch();
  out.sequence = in.sequence();
  out.previous_sequence = in.previous_sequence();
  out.commit_lsn = Lsn(in.commit_lsn());
  out.commit_time = in.commit_time();
  out.xid = in.xid();
  out.chunk = in.chunk();
  out.last = in.last();
  out.fragment = in.fragment();
  out.fragments = in.fragments();
  out.through_lsn = Lsn(in.through_lsn());
  out.sent_at = in.sent_at();
  out.closed_time = in.closed_time();
}

}  // namespace

bool HasUnknownFields(const google::protobuf::Message& message) {
  return !message.GetReflection()->GetUnknownFields(message).empty();
}

absl::Status InvalidRecord(std::string_view what) {
  return NamedError(absl::StatusCode::kDataLoss, "invalid_record", what,
                    "Find out which program wrote this record; if the log cannot be mended, "
                    "attach this region again from a peer.");
}

std::string EncodeHeader(const Record& record, uint32_t fragment, uint32_t fragments) {
  const RecordHeader& header = record.header;
  wire::Header out;
  out.set_kind(static_cast<uint32_t>(header.kind));
  out.set_group(header.group);
  out.set_origin(header.origin);
  out.set_set(header.set);
  out.set_rank(header.rank);
  out.set_policy_hash(header.policy_hash);
  out.set_incarnation(header.incarnation);
  out.set_writer_epoch(header.writer_epoch);
  out.set_sequence(header.sequence);
  out.set_previous_sequence(header.previous_sequence);
  out.set_commit_lsn(header.commit_lsn.value());
  out.set_commit_time(header.commit_time);
  out.set_xid(header.xid);
  out.set_chunk(header.chunk);
  out.set_last(header.last);
  out.set_fragment(fragment);
  out.set_fragments(fragments);
  out.set_through_lsn(header.through_lsn.value());
  out.set_sent_at(header.sent_at);
  if (record.has_vector) EncodeVector(record.vector, *out.mutable_vector());
  if (header.protocol >= kClosedTimeProtocol) out.set_closed_time(header.closed_time);
  return out.SerializeAsString();
}

absl::Status DecodeHeader(std::string_view bytes, RawRecord& raw) {
  alignas(8) char block[2048];
  google::protobuf::ArenaOptions options;
  options.initial_block = block;
  options.initial_block_size = sizeof(block);
  google::protobuf::Arena arena(options);
  auto& in = *google::protobuf::Arena::CreateMessage<wire::Header>(&arena);
  if (!in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return InvalidRecord("header cannot be parsed");
  }
  if (HasUnknownFields(in)) return InvalidRecord("header has an unknown field");
  PGDUET_RETURN_IF_ERROR(CheckNames(in));
  PGDUET_RETURN_IF_ERROR(CheckRanges(in));
  const bool has_closed_time = raw.header.protocol >= kClosedTimeProtocol;
  if (!has_closed_time && in.closed_time() != 0) {
    return InvalidRecord("header has a field of a later protocol");
  }
  CopyHeader(in, raw.header);
  if (!has_closed_time) raw.header.closed_time = kOldestTime;
  raw.has_vector = in.has_vector();
  if (raw.has_vector) PGDUET_RETURN_IF_ERROR(DecodeVector(in.vector(), raw.vector));
  return CheckKind(raw);
}

}  // namespace pgduet
