#include "base/sql_schema.h"

#include <algorithm>
#include <cctype>

namespace pgduet {
namespace {

bool IsNameByte(unsigned char byte) {
  return std::isalnum(byte) != 0 || byte == '_' || byte == '$' || byte >= 0x80;
}

// The end of what begins at `at`: a literal or quoted name (a doubled quote ends it and begins the
// next one), a comment, a word, or a single sign.
size_t EndOfToken(std::string_view sql, size_t at) {
  if (sql[at] == '\'' || sql[at] == '"') {
    const size_t end = sql.find(sql[at], at + 1);
    return end == std::string_view::npos ? sql.size() : end + 1;
  }
  if (sql.substr(at).starts_with("--")) return std::min(sql.find('\n', at), sql.size());
  size_t end = at;
  while (end < sql.size() && IsNameByte(sql[end])) ++end;
  return std::max(end, at + 1);
}

}  // namespace

std::string WithSchema(std::string_view sql, const SchemaName& name) {
  std::string result;
  result.reserve(sql.size());
  for (size_t at = 0; at < sql.size();) {
    const size_t end = EndOfToken(sql, at);
    const std::string_view token = sql.substr(at, end - at);
    const bool qualifies = token == name.written && end < sql.size() && sql[end] == '.';
    result += qualifies ? name.meant : token;
    at = end;
  }
  return result;
}

}  // namespace pgduet
