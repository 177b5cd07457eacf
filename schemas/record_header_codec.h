// The header of a record to Protobuf bytes and back. Part of record_codec.h; not for others.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "schemas/record_codec.h"

namespace pgduet {

// fragment and fragments are given; the record's own are not looked at.
std::string EncodeHeader(const Record& record, uint32_t fragment, uint32_t fragments);

// Fills header and vector. Errors: invalid_record.
absl::Status DecodeHeader(std::string_view bytes, RawRecord& raw);

// "invalid_record" with the usual remedy.
absl::Status InvalidRecord(std::string_view what);

}  // namespace pgduet
