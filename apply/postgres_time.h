// Commit times as SQL text and back. Microseconds since 1970-01-01 UTC, exact.
#pragma once

#include <string>

#include <absl/time/time.h>

#include "schemas/version.h"

namespace pgduet {

// "2026-11-24 02:06:44.123456+00"; "-infinity" for kOldestTime.
std::string TimestampText(CommitTime time);

// An SQL expression that gives a timestamptz as microseconds since 1970; NULL stays NULL.
std::string MicrosecondsOf(std::string_view expression);

inline absl::Time ToAbslTime(CommitTime time) { return absl::FromUnixMicros(time); }

}  // namespace pgduet
