// Record to bytes and back. The bytes are a Protobuf Envelope (record.proto) with a checksum over
// header and body.
//
// A reader never trusts a record: sizes, counts, names, UTF-8 and enum values are checked; whatever
// bytes come, the result is a Record or a named error (corrupt_record, unsupported_protocol,
// oversized_record, invalid_record), never a crash.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <absl/status/statusor.h>

#include "schemas/record.h"

namespace pgduet {

// Bounds of what is read. PostgreSQL's names have 63 bytes in the server's encoding, up to four
// times that in UTF-8.
constexpr size_t kNameBytesMax = 63 * 4;
constexpr size_t kTypeNameBytesMax = 1024;
constexpr size_t kColumnsMax = 1664;
constexpr size_t kRelationsMax = 16 * 1024;  // of one chunk
constexpr size_t kChangesMax = 256 * 1024;   // of one chunk
constexpr size_t kValuesMax = 1024 * 1024;   // of one chunk
constexpr size_t kPolicyTextBytesMax = 1024 * 1024;
constexpr size_t kNoticeBytesMax = 64 * 1024;
constexpr uint32_t kChunksMax = 1 << 24;  // of one transaction
// A chunk is closed by its last row, which may bring a new and an old row.
constexpr size_t kBodyBytesMax = 2 * kRowBytesMax + 4 * kChunkBytesTarget;
constexpr uint32_t kFragmentsMax = kBodyBytesMax / (kRecordBytesMax / 2);

// One record as one or more byte strings of at most kRecordBytesMax (more than one: fragments of
// one chunk).
std::vector<std::string> EncodeRecord(const Record& record);

// Estimated encoded size of a change; the assembler closes a chunk by the sum.
size_t EncodedSizeEstimate(const ChangeBatch& batch, const Change& change);

// OK when readers take every row of the batch: row_too_large (FailedPrecondition), with the table.
absl::Status CheckRowSizes(const ChangeBatch& batch);

// Header alone, with checksum verified: for tails, continuity, and fragments.
struct RawRecord {
  RecordHeader header;
  bool has_vector = false;
  AppliedVector vector;
  std::string body;  // still encoded; of this fragment alone
};
absl::StatusOr<RawRecord> DecodeEnvelope(std::string_view bytes);

// The record of a complete body (fragments joined by the caller, in order). Takes the body over.
absl::StatusOr<Record> DecodeBody(RawRecord raw);

// Relation descriptions repeat in every transaction: a stream's reader keeps those that it has
// decoded. Bounded. One thread.
class RelationCache {
 public:
  std::shared_ptr<const Relation> Find(std::string_view encoded) const;
  void Add(std::string_view encoded, std::shared_ptr<const Relation> relation);

 private:
  static constexpr size_t kBytesMax = 16 * 1024 * 1024;
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, std::shared_ptr<const Relation>, Hash, std::equal_to<>>
      relations_;
  size_t bytes_ = 0;
};

// The same for a body that stays the caller's when this fails; raw.body is not looked at. The
// record shares the body.
absl::StatusOr<Record> DecodeBody(RawRecord raw, std::shared_ptr<const std::string> body,
                                  RelationCache* cache);

}  // namespace pgduet
