// The description of a relation to Protobuf bytes and back. Part of record_codec.h; not for others.
//
// Written by hand, once a transaction; read through Protobuf's objects, once for each description
// (RelationCache).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "schemas/change.h"

namespace pgduet {

std::string EncodeRelation(const Relation& relation);

// Errors: invalid_record.
absl::StatusOr<std::shared_ptr<const Relation>> DecodeRelation(std::string_view bytes);

}  // namespace pgduet
