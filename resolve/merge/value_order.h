// The order of numbers, dates and timestamps as PostgreSQL prints them with DateStyle ISO: for the
// column kinds max and min.
#pragma once

#include <string_view>

namespace pgduet {

// Texts that are neither are ordered by their bytes.
bool ValueBefore(std::string_view left, std::string_view right);

}  // namespace pgduet
