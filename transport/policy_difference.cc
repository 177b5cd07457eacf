#include "transport/policy_difference.h"

#include <fmt/format.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

std::string_view TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

std::string Quoted(std::string_view line) {
  if (line.empty()) return "no setting";
  constexpr size_t kShownMax = 200;
  std::string shown = "'";
  for (const char c : line.substr(0, kShownMax)) {
    shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  }
  return shown + (line.size() > kShownMax ? "…'" : "'");
}

// The setting's name: what stands before the first '=' or ':'.
std::string_view NameOf(std::string_view line) { return line.substr(0, line.find_first_of("=:")); }

}  // namespace

std::string DescribePolicyDifference(std::string_view here, std::string_view there) {
  while (!here.empty() || !there.empty()) {
    std::string_view ours = TakeLine(here);
    std::string_view theirs = TakeLine(there);
    if (ours == theirs) continue;
    // Sorted texts: of two different settings the lower one is missing on the other side.
    if (NameOf(ours) != NameOf(theirs) && !ours.empty() && !theirs.empty()) {
      (ours < theirs ? theirs : ours) = {};
    }
    return fmt::format("here {}, there {}", Quoted(ours), Quoted(theirs));
  }
  return "the texts are equal, the hashes are not: the agents' versions differ";
}

absl::Status PolicyMismatch(std::string_view detail) {
  return NamedError(
      absl::StatusCode::kFailedPrecondition, "policy_mismatch",
      fmt::format("origin has other policies than this region: {}", detail),
      "Give both agents the same configuration file and restart the one that has the old one.");
}

}  // namespace pgduet
