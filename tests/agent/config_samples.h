// A configuration that is fine, for tests to break, and what became of a text.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "agent/config.h"

namespace pgduet {

inline constexpr char kSoundConfig[] = R"(group: shop
regions:
  us-east: {postgres: "host=a dbname=shop user=pgduet", kafka: {brokers: "k1:9092"}}
  eu-west: {postgres: "host=b dbname=shop user=pgduet", kafka: {brokers: "k2:9092"}}
tables:
  public.accounts: {}
)";

inline Environment EnvironmentOf(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

inline ParsedConfig Parsed(const std::string& text,
                           const Environment& environment = EnvironmentOf({})) {
  return ParseConfig(text, "pgduet.yaml", environment);
}

// All problems, one a line; empty: the text is fine.
inline std::string ProblemsOf(const std::string& text,
                              const Environment& environment = EnvironmentOf({})) {
  std::string problems;
  for (const ConfigProblem& problem : Parsed(text, environment).problems)
    problems += problem.ToString("pgduet.yaml") + "\n";
  return problems;
}

// The sound configuration with one piece of its text replaced.
inline std::string SoundWith(std::string_view piece, std::string_view replacement) {
  std::string text = kSoundConfig;
  const size_t at = text.find(piece);
  return at == std::string::npos ? "the sound configuration does not hold this piece"
                                 : text.replace(at, piece.size(), replacement);
}

}  // namespace pgduet
