// Writes pgoutput messages byte by byte, as PostgreSQL's documentation describes them: the other
// half of the decoder under test.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgduet::testing_bytes {

class Bytes {
 public:
  explicit Bytes(char kind) { text_.push_back(kind); }
  template <typename T>
  Bytes& Number(T value) {
    for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8) {
      text_.push_back(static_cast<char>(static_cast<uint64_t>(value) >> shift));
    }
    return *this;
  }
  Bytes& Letter(char letter) {
    text_.push_back(letter);
    return *this;
  }
  Bytes& Text(std::string_view text) {
    text_.append(text);
    text_.push_back('\0');
    return *this;
  }
  Bytes& Raw(std::string_view text) {
    text_.append(text);
    return *this;
  }
  // nullopt: NULL; "\x01": unchanged.
  Bytes& Tuple(const std::vector<std::optional<std::string>>& values) {
    Number<uint16_t>(static_cast<uint16_t>(values.size()));
    for (const auto& value : values) {
      if (!value) {
        Letter('n');
      } else if (*value == "\x01") {
        Letter('u');
      } else {
        Letter('t').Number<uint32_t>(static_cast<uint32_t>(value->size())).Raw(*value);
      }
    }
    return *this;
  }
  const std::string& str() const { return text_; }

 private:
  std::string text_;
};

inline std::string Begin(uint64_t lsn, int64_t time, uint32_t xid) {
  return Bytes('B').Number<uint64_t>(lsn).Number<int64_t>(time).Number<uint32_t>(xid).str();
}
inline std::string Commit(uint64_t lsn, uint64_t end, int64_t time) {
  return Bytes('C')
      .Number<uint8_t>(0)
      .Number<uint64_t>(lsn)
      .Number<uint64_t>(end)
      .Number<int64_t>(time)
      .str();
}
inline std::string Origin(std::string_view name) {
  return Bytes('O').Number<uint64_t>(7).Text(name).str();
}
inline std::string RelationMessage(uint32_t oid, std::string_view name, char identity = 'd') {
  return Bytes('R')
      .Number<uint32_t>(oid)
      .Text("public")
      .Text(name)
      .Letter(identity)
      .Number<uint16_t>(2)
      .Number<uint8_t>(1)
      .Text("id")
      .Number<uint32_t>(23)
      .Number<int32_t>(-1)
      .Number<uint8_t>(0)
      .Text("v")
      .Number<uint32_t>(25)
      .Number<int32_t>(-1)
      .str();
}
inline std::string Insert(uint32_t oid, const std::vector<std::optional<std::string>>& row) {
  return Bytes('I').Number<uint32_t>(oid).Letter('N').Tuple(row).str();
}
inline std::string Message(bool transactional, std::string_view prefix, std::string_view content) {
  return Bytes('M')
      .Number<uint8_t>(transactional ? 1 : 0)
      .Number<uint64_t>(9)
      .Text(prefix)
      .Number<uint32_t>(static_cast<uint32_t>(content.size()))
      .Raw(content)
      .str();
}

}  // namespace pgduet::testing_bytes
