#include "base/log.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

struct Settings {
  std::mutex mutex;
  LogFormat format = LogFormat::kLogfmt;
  std::string region;
  std::string set;
};

Settings& TheSettings() {
  static Settings settings;
  return settings;
}

spdlog::logger& Logger() {
  static const auto logger = [] {
    auto made = spdlog::stderr_logger_mt("pgduet");
    made->set_pattern("%v");
    made->set_level(spdlog::level::info);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum Spd(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::string_view Name(LogLevel level) {
  constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};
  return kNames[static_cast<int>(level)];
}

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char character : text) {
    if (character == '"' || character == '\\') escaped.push_back('\\');
    if (static_cast<unsigned char>(character) < 0x20) {
      escaped += fmt::format("\\u{:04x}", static_cast<int>(character));
    } else {
      escaped.push_back(character);
    }
  }
  return escaped;
}

class Line {
 public:
  explicit Line(LogFormat format) : format_(format) {}
  void Add(std::string_view key, std::string_view value) {
    if (!text_.empty()) text_ += format_ == LogFormat::kJson ? "," : " ";
    if (format_ == LogFormat::kJson) {
      text_ += fmt::format("\"{}\":\"{}\"", key, Escaped(value));
      return;
    }
    const bool plain =
        !value.empty() && std::none_of(value.begin(), value.end(), [](unsigned char character) {
          return character <= ' ' || character == '"' || character == '=' || character == '\\';
        });
    text_ +=
        plain ? fmt::format("{}={}", key, value) : fmt::format("{}=\"{}\"", key, Escaped(value));
  }
  std::string Finish() && {
    return format_ == LogFormat::kJson ? "{" + text_ + "}" : std::move(text_);
  }

 private:
  LogFormat format_;
  std::string text_;
};

void Write(LogLevel level, std::string_view stage, std::string_view event,
           const absl::Status* status, LogFields fields) {
  if (!LogEnabled(level)) return;
  Settings& settings = TheSettings();
  std::unique_lock lock(settings.mutex);
  Line line(settings.format);
  const std::string region = settings.region, set = settings.set;
  lock.unlock();
  line.Add("time", absl::FormatTime("%E4Y-%m-%dT%H:%M:%E6SZ", absl::Now(), absl::UTCTimeZone()));
  line.Add("level", Name(level));
  line.Add("stage", stage);
  line.Add("event", event);
  if (!region.empty()) line.Add("region", region);
  if (!set.empty()) line.Add("set", set);
  for (const LogField& field : fields) line.Add(field.key, field.value);
  if (status != nullptr) {
    line.Add("error", ErrorName(*status));
    line.Add("message", std::string(status->message()));
    if (const std::string remedy = ErrorRemedy(*status); !remedy.empty())
      line.Add("remedy", remedy);
  }
  Logger().log(Spd(level), "{}", std::move(line).Finish());
}

}  // namespace

void ConfigureLog(LogFormat format, LogLevel level, std::string region, std::string set) {
  Settings& settings = TheSettings();
  std::scoped_lock lock(settings.mutex);
  settings.format = format;
  settings.region = std::move(region);
  settings.set = std::move(set);
  Logger().set_level(Spd(level));
}

bool LogEnabled(LogLevel level) { return Logger().should_log(Spd(level)); }

void LogDebug(std::string_view stage, std::string_view event, LogFields fields) {
  Write(LogLevel::kDebug, stage, event, nullptr, fields);
}
void LogInfo(std::string_view stage, std::string_view event, LogFields fields) {
  Write(LogLevel::kInfo, stage, event, nullptr, fields);
}
void LogWarning(std::string_view stage, std::string_view event, LogFields fields) {
  Write(LogLevel::kWarning, stage, event, nullptr, fields);
}
void LogWarning(std::string_view stage, std::string_view event, const absl::Status& status,
                LogFields fields) {
  Write(LogLevel::kWarning, stage, event, &status, fields);
}
void LogError(std::string_view stage, std::string_view event, const absl::Status& status,
              LogFields fields) {
  Write(LogLevel::kError, stage, event, &status, fields);
}

}  // namespace pgduet
