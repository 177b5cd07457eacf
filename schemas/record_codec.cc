#include "schemas/record_codec.h"

#define XXH_INLINE_ALL
#include <algorithm>

#include <fmt/format.h>
#include <xxhash.h>

#include "base/named_error.h"
#include "schemas/record_body_codec.h"
#include "schemas/record_header_codec.h"
#include "schemas/record_pack.h"
#include "schemas/wire_bytes.h"

namespace pgduet {
namespace {

// Field numbers of record.proto.
constexpr uint32_t kEnvelopeProtocol = 1;
constexpr uint32_t kEnvelopeHeader = 2;
constexpr uint32_t kEnvelopeBody = 3;
constexpr uint32_t kEnvelopeChecksum = 4;
constexpr uint64_t kOldestProtocol = 1;  // its headers have no closed time
constexpr size_t kEnvelopeBytes = 32;    // at most: four tags, protocol, two lengths, checksum

uint64_t Checksum(std::string_view header, std::string_view body) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  XXH3_64bits_update(&state, header.data(), header.size());
  XXH3_64bits_update(&state, body.data(), body.size());
  return XXH3_64bits_digest(&state);
}

std::string EncodeEnvelope(uint32_t protocol, std::string_view header, std::string_view body) {
  std::string out;
  out.reserve(header.size() + body.size() + kEnvelopeBytes);
  AppendVarintField(kEnvelopeProtocol, protocol, out);
  AppendBytesField(kEnvelopeHeader, header, out);
  if (!body.empty()) AppendBytesField(kEnvelopeBody, body, out);
  AppendFixed64Field(kEnvelopeChecksum, Checksum(header, body), out);
  return out;
}

absl::Status Corrupt(std::string_view what) {
  return NamedError(absl::StatusCode::kDataLoss, "corrupt_record", what,
                    "Check the broker's disks and logs; if the log cannot be mended, "
                    "attach this region again from a peer.");
}

absl::Status Oversized(std::string_view what, size_t bytes, size_t max) {
  return NamedError(absl::StatusCode::kDataLoss, "oversized_record",
                    fmt::format("{}: bytes={} max={}", what, bytes, max),
                    "Find out which program wrote this record.");
}

absl::Status CheckProtocol(uint64_t protocol) {
  if (kOldestProtocol <= protocol && protocol <= kProtocolVersion) return absl::OkStatus();
  // RecordsOf() has taken the sound ones apart, and none is inside another.
  if (protocol == kPackProtocol) return Corrupt("pack of records is truncated or garbled");
  return NamedError(
      absl::StatusCode::kFailedPrecondition, "unsupported_protocol",
      fmt::format("record has a protocol that this agent does not speak: protocol={} supported={}",
                  protocol, kPackProtocol),
      "Upgrade this agent to the version of the writing one; it continues at this record.");
}

}  // namespace

std::vector<std::string> EncodeRecord(const Record& record) {
  const std::string body = EncodeBody(record);
  const uint32_t protocol = record.header.protocol;
  std::string header = EncodeHeader(record, /*fragment=*/0, /*fragments=*/1);
  std::vector<std::string> out;
  if (header.size() + body.size() + kEnvelopeBytes <= kRecordBytesMax) {
    out.push_back(EncodeEnvelope(protocol, header, body));
    return out;
  }
  constexpr size_t kFragmentNumbersBytes = 12;  // both numbers at their longest
  const size_t room = kRecordBytesMax - kEnvelopeBytes - kFragmentNumbersBytes - header.size();
  const auto fragments = static_cast<uint32_t>((body.size() + room - 1) / room);
  for (uint32_t fragment = 0; fragment < fragments; ++fragment) {
    header = EncodeHeader(record, fragment, fragments);
    out.push_back(
        EncodeEnvelope(protocol, header, std::string_view(body).substr(fragment * room, room)));
  }
  return out;
}

absl::StatusOr<RawRecord> DecodeEnvelope(std::string_view bytes) {
  if (bytes.size() > kRecordBytesMax)
    return Oversized("record is too large", bytes.size(), kRecordBytesMax);
  WireReader reader(bytes);
  if (!reader.NextIs(kEnvelopeProtocol, WireType::kVarint)) {
    return Corrupt("record does not begin with a protocol number");
  }
  // Judged before all else: another protocol may have other fields.
  const uint64_t protocol = reader.ReadVarint();
  if (reader.failed()) return Corrupt("record does not begin with a protocol number");
  PGDUET_RETURN_IF_ERROR(CheckProtocol(protocol));
  std::string_view header, body;
  if (reader.NextIs(kEnvelopeHeader, WireType::kBytes)) header = reader.ReadBytes();
  if (reader.NextIs(kEnvelopeBody, WireType::kBytes)) body = reader.ReadBytes();
  if (!reader.NextIs(kEnvelopeChecksum, WireType::kFixed64))
    return Corrupt("record is truncated or garbled");
  const uint64_t checksum = reader.ReadFixed64();
  if (reader.failed() || !reader.AtEnd()) return Corrupt("record is truncated or garbled");
  if (checksum != Checksum(header, body)) return Corrupt("record has a wrong checksum");
  RawRecord raw;
  raw.header.protocol = static_cast<uint32_t>(protocol);
  PGDUET_RETURN_IF_ERROR(DecodeHeader(header, raw));
  raw.body = body;
  return raw;
}

absl::StatusOr<Record> DecodeBody(RawRecord raw) {
  auto body = std::make_shared<const std::string>(std::move(raw.body));
  return DecodeBody(std::move(raw), std::move(body), /*cache=*/nullptr);
}

absl::StatusOr<Record> DecodeBody(RawRecord raw, std::shared_ptr<const std::string> body,
                                  RelationCache* cache) {
  if (body->size() > kBodyBytesMax)
    return Oversized("record body is too large", body->size(), kBodyBytesMax);
  Record record;
  record.header = std::move(raw.header);
  record.has_vector = raw.has_vector;
  record.vector = std::move(raw.vector);
  PGDUET_RETURN_IF_ERROR(DecodeBodyInto(*body, cache, record));
  const RecordKind kind = record.header.kind;
  if ((kind != RecordKind::kTransaction &&
       !(record.batch.changes.empty() && record.batch.relations.empty())) ||
      (kind != RecordKind::kAnnouncement && !record.policy_text.empty()) ||
      (kind != RecordKind::kNotice && !record.notice.empty())) {
    return InvalidRecord("record holds what its kind excludes");
  }
  record.batch.backing = std::move(body);
  return record;
}

std::shared_ptr<const Relation> RelationCache::Find(std::string_view encoded) const {
  const auto found = relations_.find(encoded);
  return found == relations_.end() ? nullptr : found->second;
}

void RelationCache::Add(std::string_view encoded, std::shared_ptr<const Relation> relation) {
  if (bytes_ + encoded.size() > kBytesMax) {
    relations_.clear();
    bytes_ = 0;
  }
  bytes_ += encoded.size();
  relations_.emplace(encoded, std::move(relation));
}

}  // namespace pgduet
