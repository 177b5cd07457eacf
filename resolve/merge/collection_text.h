// The parts of arrays and JSON values as PostgreSQL prints them: cut at the top level, put together
// again. PostgreSQL prints one value in one way, so parts are compared as text and need no parsing.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pgduet {

// "{a,\"b c\",NULL}" -> a | "b c" | NULL. A text without braces is no array: one part.
std::vector<std::string> ArrayParts(std::string_view text);
std::string ArrayOf(const std::vector<std::string>& parts);

// "[1, {\"a\": 2}]" -> 1 | {"a": 2}. Any other JSON value: one part.
std::vector<std::string> JsonArrayParts(std::string_view text);
std::string JsonArrayOf(const std::vector<std::string>& parts);

// "{\"a\": 1}" -> "\"a\"" : "1". Any other JSON value: nothing.
std::map<std::string, std::string> JsonObjectParts(std::string_view text);
std::string JsonObjectOf(const std::map<std::string, std::string>& parts);

// An order of parts that does not depend on anything else: numbers by value, then texts by bytes.
bool PartBefore(const std::string& left, const std::string& right);

}  // namespace pgduet
