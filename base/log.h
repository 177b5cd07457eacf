// Structured log lines: stage, past-tense event, key=value pairs, on standard error (logfmt or
// JSON).
//
//   LogInfo("apply", "transaction applied", {{"origin", "osaka"}, {"lsn", lsn.ToString()}});
//
// Row values and passwords are never passed in. ERROR: an operator must act. WARNING: we recovered
// by ourselves. INFO: life cycle. DEBUG: per transaction. Thread-safe.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>

namespace pgduet {

struct LogField {
  std::string_view key;
  std::string value;
};
using LogFields = std::initializer_list<LogField>;

enum class LogFormat { kLogfmt, kJson };
enum class LogLevel { kDebug, kInfo, kWarning, kError };
// Every line names the region, and the set if it is not empty.
void ConfigureLog(LogFormat format, LogLevel level, std::string region, std::string set = {});
bool LogEnabled(LogLevel level);

void LogDebug(std::string_view stage, std::string_view event, LogFields fields = {});
void LogInfo(std::string_view stage, std::string_view event, LogFields fields = {});
void LogWarning(std::string_view stage, std::string_view event, LogFields fields = {});
// Adds error=<name>, message and remedy of the status.
void LogWarning(std::string_view stage, std::string_view event, const absl::Status& status,
                LogFields fields = {});
void LogError(std::string_view stage, std::string_view event, const absl::Status& status,
              LogFields fields = {});

}  // namespace pgduet
