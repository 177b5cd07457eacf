#include "agent/config_nodes.h"

#include "agent/config_values.h"

namespace pgduet {

std::string JoinKey(const std::string& prefix, std::string_view key, char separator) {
  return prefix.empty() ? std::string(key) : fmt::format("{}{}{}", prefix, separator, key);
}

std::optional<std::string> ConfigNodes::Scalar(const YAML::Node& node, const std::string& shown,
                                               int key_line) {
  if (!node.IsScalar()) {
    const bool missing = node.IsNull();
    Problem(missing ? key_line : LineOf(node), shown,
            missing ? "the value is missing" : "the value must be a single one",
            "write one value after the colon");
    return std::nullopt;
  }
  Substituted result = SubstituteEnvironment(node.Scalar(), environment_);
  if (!result.fault.empty()) {
    Problem(LineOf(node), shown, result.fault,
            "set the variable, or give a default with ${NAME:-default}");
    return std::nullopt;
  }
  return std::move(result.text);
}

bool ConfigNodes::IsList(const YAML::Node& node, const std::string& shown, int key_line,
                         const char* example) {
  if (node.IsSequence() && node.size() > 0) return true;
  Problem(node.IsNull() ? key_line : LineOf(node), shown,
          node.IsNull()       ? "the value is missing"
          : node.IsSequence() ? "the list is empty"
                              : "the value must be a list",
          fmt::format("write it as {}, or remove it", example));
  return false;
}

std::vector<PlacedText> ConfigNodes::List(const YAML::Node& node, const std::string& shown,
                                          int key_line) {
  std::vector<PlacedText> texts;
  if (!IsList(node, shown, key_line, "[a, b]")) return texts;
  for (const YAML::Node& entry : node) {
    const int line = LineOf(entry) > 0 ? LineOf(entry) : key_line;
    if (std::optional<std::string> text = Scalar(entry, shown, line))
      texts.push_back({*std::move(text), line});
  }
  return texts;
}

std::vector<std::vector<PlacedText>> ConfigNodes::ListOfLists(const YAML::Node& node,
                                                              const std::string& shown,
                                                              int key_line) {
  std::vector<std::vector<PlacedText>> lists;
  if (!IsList(node, shown, key_line, "[[a, b], [c, d]]")) return lists;
  for (const YAML::Node& entry : node) {
    std::vector<PlacedText> list = List(entry, shown, key_line);
    if (!list.empty()) lists.push_back(std::move(list));
  }
  return lists;
}

}  // namespace pgduet
