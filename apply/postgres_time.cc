#include "apply/postgres_time.h"

#include <fmt/format.h>

namespace pgduet {

std::string TimestampText(CommitTime time) {
  if (time == kOldestTime) return "-infinity";
  return absl::FormatTime("%E4Y-%m-%d %H:%M:%E6S+00", absl::FromUnixMicros(time),
                          absl::UTCTimeZone());
}

std::string MicrosecondsOf(std::string_view expression) {
  return fmt::format("(extract(epoch FROM {}) * 1000000)::bigint", expression);
}

}  // namespace pgduet
