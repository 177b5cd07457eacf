#include "schemas/record_pack.h"

#include <utility>

#include "schemas/record.h"
#include "schemas/wire_bytes.h"

namespace pgduet {
namespace {

// Field numbers of record.proto, message Pack.
constexpr uint32_t kPackProtocolField = 1;
constexpr uint32_t kPackRecords = 2;
constexpr size_t kFramingBytes = 6;  // tag and length of one record, at most

}  // namespace

bool RecordPack::Add(std::string& record) {
  if (records_ == 0) {
    bytes_ = std::move(record);
    records_ = 1;
    return true;
  }
  if (bytes_.size() + record.size() + 2 * kFramingBytes > kRecordBytesMax) return false;
  if (records_ == 1) {
    const std::string first = std::exchange(bytes_, {});
    bytes_.reserve(first.size() + record.size() + kPackBytesTarget);
    AppendVarintField(kPackProtocolField, kPackProtocol, bytes_);
    AppendBytesField(kPackRecords, first, bytes_);
  }
  AppendBytesField(kPackRecords, record, bytes_);
  ++records_;
  return true;
}

std::string RecordPack::Take() {
  records_ = 0;
  return std::exchange(bytes_, {});
}

std::vector<std::string_view> RecordsOf(std::string_view message) {
  WireReader reader(message);
  if (message.size() > kRecordBytesMax || !reader.NextIs(kPackProtocolField, WireType::kVarint) ||
      reader.ReadVarint() != kPackProtocol) {
    return {message};
  }
  std::vector<std::string_view> records;
  while (reader.NextIs(kPackRecords, WireType::kBytes)) records.push_back(reader.ReadBytes());
  if (reader.failed() || !reader.AtEnd() || records.empty()) return {message};
  return records;
}

}  // namespace pgduet
