#include "schemas/record_vector_codec.h"

#include "schemas/record_header_codec.h"
#include "schemas/wire_fields.h"

namespace pgduet {
namespace {

// Field numbers of record.proto.
constexpr uint32_t kVectorEntries = 1;
enum EntryField : uint32_t {
  kEntryRank = 1,
  kEntryIncarnation,
  kEntrySequence,
  kEntryCommitLsn,
  kEntryCommitTime
};
constexpr CommitTime kTimeMax = 253'402'300'800'000'000;

}  // namespace

bool IsTimeInRange(CommitTime time) { return -kTimeMax <= time && time <= kTimeMax; }

std::string EncodeVectorField(const AppliedVector& vector) {
  std::string out, entry;
  out.reserve(vector.size() * kVectorEntryBytes);
  for (size_t rank = 0; rank < vector.size(); ++rank) {
    const Position& position = vector.At(static_cast<Rank>(rank));
    if (position == Position{}) continue;
    entry.clear();
    FieldWriter writer(entry);
    writer.Varint(kEntryRank, rank);
    writer.Fixed64(kEntryIncarnation, position.incarnation);
    writer.Varint(kEntrySequence, position.sequence);
    writer.Varint(kEntryCommitLsn, position.commit_lsn.value());
    writer.Fixed64(kEntryCommitTime, static_cast<uint64_t>(position.commit_time));
    AppendBytesField(kVectorEntries, entry, out);
  }
  return out;
}

absl::Status DecodeVectorField(std::string_view bytes, AppliedVector& vector) {
  WireReader reader(bytes);
  int last_rank = -1;
  while (reader.NextIs(kVectorEntries, WireType::kBytes)) {
    FieldReader entry(reader.ReadBytes());
    const uint64_t rank = entry.Varint(kEntryRank);
    Position position;
    position.incarnation = entry.Fixed64(kEntryIncarnation);
    position.sequence = entry.Varint(kEntrySequence);
    position.commit_lsn = Lsn(entry.Varint(kEntryCommitLsn));
    position.commit_time = entry.Time(kEntryCommitTime);
    if (entry.failed() || !entry.AtEnd()) {
      return InvalidRecord("applied vector has an unknown field, or one out of order");
    }
    if (rank >= kRegionsMax || static_cast<int>(rank) <= last_rank) {
      return InvalidRecord("applied vector has a wrong rank");
    }
    last_rank = static_cast<int>(rank);
    if (position.commit_time != kOldestTime && !IsTimeInRange(position.commit_time)) {
      return InvalidRecord("applied vector has a time out of range");
    }
    vector.Set(static_cast<Rank>(rank), position);
  }
  if (reader.failed() || !reader.AtEnd()) {
    return InvalidRecord("applied vector has an unknown field");
  }
  return absl::OkStatus();
}

}  // namespace pgduet
