// The sidecar schema: its SQL (schemas/sql/sidecar.sql), compiled in, its version, and how sessions
// reach the one of their set.
//
// Each set of tables (docs/decisions/0009) has a schema of its own. Every statement of the sources
// says `pgduet.table`; a session that was opened for another set sends its own schema's name there.
#pragma once

#include <string>
#include <string_view>

#include "base/pg_connection.h"

namespace pgduet {

inline constexpr int kSidecarVersion = 6;
inline constexpr std::string_view kMainSet = "main";

// "pgduet", or "pgduet_<set>" with '_' for '-'.
std::string SidecarSchema(std::string_view set);
std::string SidecarSql(std::string_view set);

// "pgduet housekeeper", or "pgduet orders housekeeper": shown in pg_stat_activity.
std::string SessionName(std::string_view set, std::string_view purpose);
// Of a session that works for the set: its name, PinnedSettings(), its sidecar.
PgConnection::Options SetSession(std::string conninfo, std::string_view set,
                                 std::string_view purpose);

}  // namespace pgduet
