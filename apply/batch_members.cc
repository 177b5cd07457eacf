#include "apply/batch_members.h"

#include <algorithm>
#include <cstring>

#include <absl/strings/escaping.h>

namespace pgduet {
namespace {

// Little-endian: the database that wrote it reads it.
template <typename Number>
void Append(std::string& bytes, Number number) {
  for (size_t at = 0; at < sizeof(Number); ++at)
    bytes.push_back(static_cast<char>(static_cast<uint64_t>(number) >> (8 * at)));
}

template <typename Number>
bool Take(std::string_view& bytes, Number& number) {
  if (bytes.size() < sizeof(Number)) return false;
  uint64_t value = 0;
  for (size_t at = 0; at < sizeof(Number); ++at)
    value |= uint64_t{static_cast<uint8_t>(bytes[at])} << (8 * at);
  number = static_cast<Number>(value);
  bytes.remove_prefix(sizeof(Number));
  return true;
}

}  // namespace

void BatchMembers::Finish() {
  rows_.assign(open_.begin(), open_.end());
  std::sort(rows_.begin(), rows_.end());
  open_.clear();
}

std::optional<BatchMembers::Writer> BatchMembers::WriterOf(TableKey key) const {
  const auto at = std::lower_bound(rows_.begin(), rows_.end(), std::pair(key.Mixed(), 0U));
  if (at == rows_.end() || at->first != key.Mixed()) return std::nullopt;
  return writers_[at->second];
}

std::string BatchMembers::Encode() const {
  std::string bytes;
  Append(bytes, static_cast<uint32_t>(writers_.size()));
  for (const Writer& writer : writers_) {
    Append(bytes, writer.commit_lsn.value());
    Append(bytes, writer.commit_time);
  }
  for (const auto& [hash, transaction] : rows_) {
    Append(bytes, hash);
    Append(bytes, transaction);
  }
  return "\\x" + absl::BytesToHexString(bytes);
}

absl::StatusOr<BatchMembers> BatchMembers::Decode(std::string_view text) {
  const absl::Status damaged =
      absl::DataLossError("pgduet.progress: members: not a list of a batch's transactions");
  if (!text.starts_with("\\x")) return damaged;
  const std::string decoded = absl::HexStringToBytes(std::string(text.substr(2)));
  std::string_view bytes = decoded;
  BatchMembers members;
  uint32_t writers = 0;
  if (!Take(bytes, writers)) return damaged;
  for (; writers > 0; --writers) {
    uint64_t lsn = 0;
    Writer writer;
    if (!Take(bytes, lsn) || !Take(bytes, writer.commit_time)) return damaged;
    writer.commit_lsn = Lsn(lsn);
    members.writers_.push_back(writer);
  }
  while (!bytes.empty()) {
    std::pair<uint64_t, uint32_t> row;
    if (!Take(bytes, row.first) || !Take(bytes, row.second) ||
        row.second >= members.writers_.size())
      return damaged;
    members.rows_.push_back(row);
  }
  return members;
}

}  // namespace pgduet
