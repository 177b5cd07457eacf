// The body of a record to Protobuf bytes and back. Part of record_codec.h; not for others.
//
// Changes are written and read by hand (wire_bytes.h): no allocation for a value, and decoded
// values are views into the body. Relations, which are few, go through the generated classes.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "schemas/record_codec.h"

namespace pgduet {

std::string EncodeBody(const Record& record);

// Fills batch, policy_text and notice; values are views into `body`. Errors: invalid_record,
// oversized_record.
absl::Status DecodeBodyInto(std::string_view body, RelationCache* cache, Record& record);

}  // namespace pgduet
