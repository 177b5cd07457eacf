// Takes a record apart, lets a test change its parts, and puts it together with a right checksum:
// what a faulty or hostile program with our format could write.
#pragma once

#include <functional>
#include <string>
#include <vector>

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

// The record in `count` fragments, as if it had been too large for one.
inline std::vector<std::string> CutRecord(const std::string& bytes, uint32_t count) {
  wire::Envelope whole;
  wire::Header header;
  if (!whole.ParseFromString(bytes) || !header.ParseFromString(whole.header())) return {};
  std::vector<std::string> pieces;
  const size_t step = whole.body().size() / count;
  for (uint32_t i = 0; i < count; ++i) {
    header.set_fragment(i);
    header.set_fragments(count);
    wire::Envelope piece;
    piece.set_protocol(whole.protocol());
    piece.set_header(header.SerializeAsString());
    piece.set_body(whole.body().substr(i * step, i + 1 == count ? std::string::npos : step));
    pieces.push_back(SealRecord(piece));
  }
  return pieces;
}

}  // namespace pgduet
