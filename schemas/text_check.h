// Is this text PostgreSQL could have written in UTF-8? Pure.
#pragma once

#include <string_view>

namespace pgduet {

// Well-formed UTF-8 (no overlong forms, no surrogates, at most U+10FFFF) without NUL.
bool IsValidText(std::string_view text);

}  // namespace pgduet
