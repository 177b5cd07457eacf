// Reads nodes of the YAML document in the forms that settings have: one value, a list, a list of
// lists, a mapping. What does not have the form becomes a problem with its line.
//
// For config_reader.cc. One thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "agent/config.h"
#include "agent/policy_draft.h"

namespace pgduet {

// 1 is the first; 0: unknown.
inline int LineOf(const YAML::Node& node) {
  return node.Mark().is_null() ? 0 : node.Mark().line + 1;
}

// "regions" and "us-east" -> "regions.us-east"
std::string JoinKey(const std::string& prefix, std::string_view key, char separator = '.');

class ConfigNodes {
 public:
  // Both must outlive it. Problems are appended.
  ConfigNodes(const Environment& environment, std::vector<ConfigProblem>& problems)
      : environment_(environment), problems_(problems) {}

  void Problem(int line, std::string key, std::string what, std::string remedy) {
    problems_.push_back({line, std::move(key), std::move(what), std::move(remedy)});
  }

  // Nothing when it is no scalar, or when a variable is missing (then the problem is noted).
  std::optional<std::string> Scalar(const YAML::Node& node, const std::string& shown, int key_line);
  // [a, b]: what is no scalar is left out, and a problem. So is an empty list.
  std::vector<PlacedText> List(const YAML::Node& node, const std::string& shown, int key_line);
  // [[a, b], [c, d]]
  std::vector<std::vector<PlacedText>> ListOfLists(const YAML::Node& node, const std::string& shown,
                                                   int key_line);

  // Keys of a mapping in order, without those that are no text or stand there twice.
  template <typename Handle>
  void ForEachKey(const YAML::Node& node, const std::string& shown, Handle handle) {
    std::map<std::string, int> lines;
    for (const auto& entry : node) {
      const int line = LineOf(entry.first);
      if (!entry.first.IsScalar()) {
        Problem(line, shown, "a key must be plain text", "write one word before the colon");
        continue;
      }
      const std::string& key = entry.first.Scalar();
      const auto [first, is_new] = lines.emplace(key, line);
      if (!is_new) {
        Problem(line, JoinKey(shown, key),
                fmt::format("duplicate key, first on line {}", first->second),
                "remove one of them");
        continue;
      }
      handle(key, line, entry.second);
    }
  }

 private:
  bool IsList(const YAML::Node& node, const std::string& shown, int key_line, const char* example);

  const Environment& environment_;
  std::vector<ConfigProblem>& problems_;
};

}  // namespace pgduet
