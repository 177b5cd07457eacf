#include "resolve/merge/collection_text.h"

#include "resolve/merge/decimal.h"

namespace pgduet {
namespace {

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Splits what is between the outer brackets at separators outside quotes and inner brackets.
std::vector<std::string_view> Split(std::string_view inside, char separator) {
  std::vector<std::string_view> parts;
  if (Trimmed(inside).empty()) return parts;
  int depth = 0;
  bool quoted = false;
  size_t begin = 0;
  for (size_t at = 0; at < inside.size(); ++at) {
    const char c = inside[at];
    if (c == '\\') {
      ++at;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (quoted) {
      continue;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == separator && depth == 0) {
      parts.push_back(inside.substr(begin, at - begin));
      begin = at + 1;
    }
  }
  parts.push_back(inside.substr(begin));
  return parts;
}

bool Enclosed(std::string_view text, char open, char close) {
  return text.size() >= 2 && text.front() == open && text.back() == close;
}

std::vector<std::string> Parts(std::string_view text) {
  std::vector<std::string> parts;
  for (const std::string_view part : Split(text.substr(1, text.size() - 2), ','))
    parts.emplace_back(Trimmed(part));
  return parts;
}

std::string Joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += separator;
    text += part;
  }
  return text;
}

}  // namespace

std::vector<std::string> ArrayParts(std::string_view text) {
  // Lower bounds other than one are printed first: "[0:1]={a,b}".
  if (!text.empty() && text.front() == '[' && text.find("]={") != std::string_view::npos)
    text.remove_prefix(text.find('{'));
  if (!Enclosed(text, '{', '}')) return {std::string(text)};
  // Blanks around an element are quoted by PostgreSQL, so trimming takes nothing away.
  return Parts(text);
}

std::string ArrayOf(const std::vector<std::string>& parts) {
  return "{" + Joined(parts, ",") + "}";
}

std::vector<std::string> JsonArrayParts(std::string_view text) {
  if (!Enclosed(text, '[', ']')) return {std::string(text)};
  return Parts(text);
}

std::string JsonArrayOf(const std::vector<std::string>& parts) {
  return "[" + Joined(parts, ", ") + "]";
}

std::map<std::string, std::string> JsonObjectParts(std::string_view text) {
  std::map<std::string, std::string> parts;
  if (!Enclosed(text, '{', '}')) return parts;
  for (const std::string_view pair : Split(text.substr(1, text.size() - 2), ',')) {
    const std::vector<std::string_view> sides = Split(pair, ':');
    if (sides.size() != 2) continue;
    parts[std::string(Trimmed(sides[0]))] = std::string(Trimmed(sides[1]));
  }
  return parts;
}

std::string JsonObjectOf(const std::map<std::string, std::string>& parts) {
  std::vector<std::string> pairs;
  pairs.reserve(parts.size());
  for (const auto& [key, value] : parts) pairs.emplace_back(key).append(": ").append(value);
  return "{" + Joined(pairs, ", ") + "}";
}

bool PartBefore(const std::string& left, const std::string& right) {
  const std::optional<Decimal> left_number = Decimal::Parse(left);
  const std::optional<Decimal> right_number = Decimal::Parse(right);
  if (left_number.has_value() != right_number.has_value()) return left_number.has_value();
  if (left_number && *left_number != *right_number) return *left_number < *right_number;
  return left < right;
}

}  // namespace pgduet
