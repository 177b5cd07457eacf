// Why an entry was decided as it was, in a sentence. Pure.
#pragma once

#include <optional>
#include <string>

#include <absl/time/time.h>

#include "agent/commands/conflicts_entry.h"

namespace pgduet {

// "last_write_wins: the later commit wins; west committed 0.250000 s after east".
std::string RuleText(const Json& entry);

// A timestamp as to_jsonb prints it; nothing for null and infinity.
std::optional<absl::Time> TimeOf(const Json& value);

}  // namespace pgduet
