#include "agent/config.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "base/named_error.h"
#include "base/pg_connection.h"

namespace pgduet {

std::string_view TransportName(TransportKind kind) {
  return kind == TransportKind::kKafka ? "kafka" : "direct";
}

std::string TableConfig::QuotedName() const { return QuoteName(schema) + "." + QuoteName(name); }

const RegionConfig* Config::FindRegion(std::string_view name) const {
  for (const RegionConfig& region : regions) {
    if (region.name == name) return &region;
  }
  return nullptr;
}

const SetConfig* Config::FindSet(std::string_view name) const {
  for (const SetConfig& one : sets) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

std::string ConfigProblem::ToString(std::string_view path) const {
  std::string text(path);
  if (line > 0) text += fmt::format(":{}", line);
  if (!key.empty()) text += ": " + key;
  text += ": " + what;
  if (!remedy.empty()) text += "; " + remedy;
  return text;
}

Environment ProcessEnvironment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

absl::StatusOr<Config> LoadConfig(const std::string& path, const Environment& environment,
                                  const std::string& set) {
  // Opening a directory succeeds; reading it throws.
  std::error_code no_file;
  std::ifstream file;
  if (!std::filesystem::is_directory(path, no_file)) file.open(path, std::ios::binary);
  std::string text;
  if (file.is_open())
    text = {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.is_open() || file.bad()) {
    return NamedError(absl::StatusCode::kInvalidArgument, "config_unreadable",
                      fmt::format("configuration file cannot be read: {}", path),
                      "give the right path with --config or PGDUET_CONFIG");
  }
  ParsedConfig parsed = ParseConfig(text, path, environment);
  if (parsed.problems.empty()) return OfSet(std::move(parsed.config), set);
  std::string message;
  for (const ConfigProblem& problem : parsed.problems) {
    if (!message.empty()) message += '\n';
    message += problem.ToString(path);
  }
  return NamedError(absl::StatusCode::kInvalidArgument, "invalid_config", message,
                    "mend the file; docs/configuration.md has every setting");
}

}  // namespace pgduet
