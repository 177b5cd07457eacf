// Takes a record apart, lets a test change its parts, and puts it together with a right checksum:
// what a faulty or hostile program with our format could write.
#pragma once

#include <functional>
#include <string>

#include <xxhash.h>

#include "schemas/record.pb.h"

namespace pgduet {

inline std::string SealRecord(wire::Envelope& envelope) {
  const std::string covered = envelope.header() + envelope.body();
  envelope.set_checksum(XXH3_64bits(covered.data(), covered.size()));
  return envelope.SerializeAsString();
}

inline std::string ForgeRecord(const std::string& bytes,
                               const std::function<void(wire::Header&)>& forge_header,
                               const std::function<void(wire::Body&)>& forge_body) {
  wire::Envelope envelope;
  wire::Header header;
  wire::Body body;
  if (!envelope.ParseFromString(bytes) || !header.ParseFromString(envelope.header()) ||
      !body.ParseFromString(envelope.body())) {
    return {};
  }
  forge_header(header);
  forge_body(body);
  envelope.set_header(header.SerializeAsString());
  envelope.set_body(body.SerializeAsString());
  return SealRecord(envelope);
}

}  // namespace pgduet
