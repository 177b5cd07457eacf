// The kinds of text that stand in the configuration file. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "agent/config.h"

namespace pgduet {

// "500ms", "90s", "1h30m", "7d". Nothing when it is not of that form.
std::optional<absl::Duration> ParseDurationText(std::string_view text);
// "5s", "7d", "1h30m": the shortest text that ParseDurationText reads back to the same.
std::string DurationText(absl::Duration duration);

// "public.stock" or '"My Schema"."Tab.le"': SQL's quoting, but an unquoted name must be lower-case
// (SQL would fold it). The error is a message without context.
struct TableNameText {
  std::string schema;
  std::string name;
  std::string fault;  // empty: fine
};
TableNameText ParseTableName(std::string_view text);

// Name of a group, region or set: 1 to 32 of a-z, 0-9, '-' and, where that is allowed, '_'.
bool IsNameText(std::string_view text, bool underscore = false);

struct HostPort {
  std::string host;
  int port = 0;
};
// "127.0.0.1:9187", "[::1]:9187".
std::optional<HostPort> ParseHostPort(std::string_view text);

// What is wrong with a libpq connection string, without its values; empty: fine. It must name a
// database.
std::string ConninfoFault(const std::string& conninfo);
// keyword=value pairs with secrets shown as "***".
std::string MaskConninfo(const std::string& conninfo);
// host, port and database, to notice that two regions are one database.
std::string ConninfoTarget(const std::string& conninfo);
// One keyword's value, or empty.
std::string ConninfoValue(const std::string& conninfo, std::string_view keyword);

// Replaces ${NAME} and ${NAME:-default}; "$${" stands for "${". `fault` is set when a variable is
// missing or the form is wrong.
struct Substituted {
  std::string text;
  std::string fault;
};
Substituted SubstituteEnvironment(std::string_view text, const Environment& environment);

}  // namespace pgduet
