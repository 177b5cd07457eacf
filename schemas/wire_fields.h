// Protobuf messages field by field, without an object in between: in ascending order, fields that
// are zero or empty left out. What is read are views into the input.
//
// The reader gives zero for a field that does not come next. Unknown fields, and known ones out of
// order, are what is left at the end: AtEnd() is false.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "schemas/wire_bytes.h"

namespace pgduet {

class FieldWriter {
 public:
  explicit FieldWriter(std::string& out) : out_(out) {}
  void Varint(uint32_t field, uint64_t value) {
    if (value != 0) AppendVarintField(field, value, out_);
  }
  void Fixed64(uint32_t field, uint64_t value) {
    if (value != 0) AppendFixed64Field(field, value, out_);
  }
  void Bytes(uint32_t field, std::string_view bytes) {
    if (!bytes.empty()) AppendBytesField(field, bytes, out_);
  }

 private:
  std::string& out_;
};

class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : reader_(bytes) {}
  uint64_t Varint(uint32_t field) {
    return reader_.NextIs(field, WireType::kVarint) ? reader_.ReadVarint() : 0;
  }
  uint64_t Fixed64(uint32_t field) {
    return reader_.NextIs(field, WireType::kFixed64) ? reader_.ReadFixed64() : 0;
  }
  CommitTime Time(uint32_t field) { return static_cast<CommitTime>(Fixed64(field)); }
  std::optional<std::string_view> Bytes(uint32_t field) {
    if (!reader_.NextIs(field, WireType::kBytes)) return std::nullopt;
    return reader_.ReadBytes();
  }
  std::string_view Name(uint32_t field) { return Bytes(field).value_or(std::string_view()); }
  bool failed() const { return reader_.failed(); }
  bool AtEnd() const { return reader_.AtEnd(); }

 private:
  WireReader reader_;
};

}  // namespace pgduet
