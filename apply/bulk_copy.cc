#include "apply/bulk_copy.h"

#include <algorithm>

namespace pgduet {
namespace {

constexpr uint32_t kFirstDistrust = 16, kLongestDistrust = 4096;

// The letter that stands for the byte after a backslash; 0: the byte stands for itself.
char EscapeOf(char byte) {
  switch (byte) {
    case '\\':
      return '\\';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    default:
      return 0;
  }
}

}  // namespace

void CopyTrust::Begin() {
  copied_.clear();
  for (auto& [table, distrust] : distrusted_) distrust.left -= distrust.left > 0 ? 1 : 0;
}

bool CopyTrust::Trusts(Oid table, size_t rows) const {
  if (rows < kRowsMin) return false;
  const auto found = distrusted_.find(table);
  return found == distrusted_.end() || found->second.left == 0;
}

void CopyTrust::Committed() {
  for (const Oid table : copied_) distrusted_.erase(table);
}

void CopyTrust::Refused(Oid table) {
  Distrust& distrust = distrusted_[table];
  distrust.left = std::min(kFirstDistrust << std::min(distrust.refusals, 8U), kLongestDistrust);
  ++distrust.refusals;
}

void AppendCopyValue(std::string& text, const Value& value) {
  if (value.kind == ValueKind::kNull) {
    text += "\\N";
    return;
  }
  size_t plain = 0;
  for (size_t at = 0; at < value.bytes.size(); ++at) {
    const char escape = EscapeOf(value.bytes[at]);
    if (escape == 0) continue;
    text.append(value.bytes.substr(plain, at - plain));
    text.push_back('\\');
    text.push_back(escape);
    plain = at + 1;
  }
  text.append(value.bytes.substr(plain));
}

}  // namespace pgduet
