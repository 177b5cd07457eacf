// Protobuf's wire encoding by hand, for the parts of a record that are read and written once a
// value: varints, tags and length-delimited bytes. What is read are views into the input.
//
// The reader never reads past its input; after a failure it stays failed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pgduet {

enum class WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2 };

constexpr uint32_t WireTag(uint32_t field, WireType type) {
  return field << 3 | static_cast<uint32_t>(type);
}

inline size_t VarintSize(uint64_t value) {
  size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}

inline void AppendVarint(uint64_t value, std::string& out) {
  char buffer[10];
  size_t size = 0;
  while (value >= 0x80) {
    buffer[size++] = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  buffer[size++] = static_cast<char>(value);
  out.append(buffer, size);
}

// How a sint32 becomes a varint: 0, -1, 1, -2 ...
inline uint64_t ZigZag(int32_t value) {
  return static_cast<uint32_t>(value) << 1 ^ static_cast<uint32_t>(value >> 31);
}

inline void AppendVarintField(uint32_t field, uint64_t value, std::string& out) {
  AppendVarint(WireTag(field, WireType::kVarint), out);
  AppendVarint(value, out);
}

inline void AppendBytesField(uint32_t field, std::string_view bytes, std::string& out) {
  AppendVarint(WireTag(field, WireType::kBytes), out);
  AppendVarint(bytes.size(), out);
  out.append(bytes);
}

inline void AppendFixed64Field(uint32_t field, uint64_t value, std::string& out) {
  AppendVarint(WireTag(field, WireType::kFixed64), out);
  char buffer[8];
  for (char& byte : buffer) {
    byte = static_cast<char>(value);
    value >>= 8;
  }
  out.append(buffer, sizeof(buffer));
}

class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

  bool AtEnd() const { return at_ == end_; }
  bool failed() const { return failed_; }

  uint64_t ReadVarint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && at_ < end_; shift += 7) {
      const auto byte = static_cast<unsigned char>(*at_++);
      if (shift == 63 && byte > 1) break;
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    return Fail();
  }

  uint64_t ReadFixed64() {
    if (end_ - at_ < 8) return Fail();
    uint64_t value = 0;
    for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(at_[i]);
    at_ += 8;
    return value;
  }

  std::string_view ReadBytes() {
    const uint64_t size = ReadVarint();
    if (failed_ || size > static_cast<uint64_t>(end_ - at_)) {
      Fail();
      return {};
    }
    const std::string_view bytes(at_, size);
    at_ += size;
    return bytes;
  }

  // Consumes this field's tag when it comes next.
  bool NextIs(uint32_t field, WireType type) {
    const uint32_t tag = WireTag(field, type);
    const ptrdiff_t bytes = tag < 0x80 ? 1 : 2;  // fields up to 15: one byte; to 2047: two
    if (end_ - at_ < bytes) return false;
    const auto* at = reinterpret_cast<const unsigned char*>(at_);
    if (bytes == 1 ? at[0] != tag : (at[0] != ((tag & 0x7F) | 0x80) || at[1] != tag >> 7))
      return false;
    at_ += bytes;
    return true;
  }

 private:
  uint64_t Fail() {
    failed_ = true;
    at_ = end_;
    return 0;
  }
  const char* at_;
  const char* end_;
  bool failed_ = false;
};

}  // namespace pgduet
