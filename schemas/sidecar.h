// The SQL of the sidecar schema (schemas/sql/sidecar.sql), compiled in, and its version.
#pragma once

#include <string_view>

namespace pgduet {

inline constexpr int kSidecarVersion = 6;
std::string_view SidecarSql();

}  // namespace pgduet
