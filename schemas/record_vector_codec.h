// The applied vector of a record's header to Protobuf bytes and back. Part of record_codec.h; not
// for others.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "schemas/version.h"

namespace pgduet {

constexpr size_t kVectorEntryBytes = 48;  // about

std::string EncodeVectorField(const AppliedVector& vector);

// Errors: invalid_record.
absl::Status DecodeVectorField(std::string_view bytes, AppliedVector& vector);

// Years -6060 to 9999: far from where sums of microseconds overflow.
bool IsTimeInRange(CommitTime time);

}  // namespace pgduet
