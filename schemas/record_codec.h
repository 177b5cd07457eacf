// Record to bytes and back. The bytes are a Protobuf Envelope (record.proto) with a checksum over header and body.
//
// A reader never trusts a record: sizes, counts, names, UTF-8 and enum values are checked; whatever bytes come, the
// result is a Record or a named error (corrupt_record, unsupported_protocol, oversized_record, invalid_record), never a crash.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "schemas/record.h"

namespace pgduet {

// One record as one or more byte strings of at most kRecordBytesMax (more than one: fragments of one chunk).
std::vector<std::string> EncodeRecord(const Record& record);

// Estimated encoded size of a change; the assembler closes a chunk by the sum.
size_t EncodedSizeEstimate(const ChangeBatch& batch, const Change& change);

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

}  // namespace pgduet
