// policy show: what the regions must agree on, to be compared by people.
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agent/commands/commands.h"
#include "agent/policy_text.h"

namespace pgduet {

int RunPolicyShow(const Config& config, bool json) {
  const std::string text = CanonicalPolicyText(config);
  const std::string hash = fmt::format("{:016x}", PolicyHash(config));
  if (!json) {
    fmt::print("{}hash: {}\n", text, hash);
    return kExitOk;
  }
  nlohmann::ordered_json settings = nlohmann::json::array();
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) settings.push_back(line);
  const nlohmann::ordered_json answer = {{"hash", hash}, {"settings", settings}};
  fmt::print("{}\n", answer.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  return kExitOk;
}

}  // namespace pgduet
