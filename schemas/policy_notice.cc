#include "schemas/policy_notice.h"

#include <array>
#include <charconv>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr std::array<std::string_view, 7> kNames = {"propose", "withdraw", "go",   "fenced",
                                                    "refuse",  "commit",   "abort"};

absl::Status Damaged() {
  return NamedError(absl::StatusCode::kDataLoss, "invalid_record",
                    "a notice about policies cannot be read",
                    "Find out which program wrote this record.");
}

std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t end = text.find(' ');
    words.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return words;
    text.remove_prefix(end + 1);
  }
}

// The whole word, or nothing.
template <typename Number>
bool Parse(std::string_view word, Number& number, int base = 10) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number, base);
  return error == std::errc() && end == word.data() + word.size();
}

std::optional<PolicyNoticeKind> KindNamed(std::string_view name) {
  for (size_t kind = 0; kind < kNames.size(); ++kind) {
    if (kNames[kind] == name) return static_cast<PolicyNoticeKind>(kind);
  }
  return std::nullopt;
}

}  // namespace

std::string_view PolicyNoticeName(PolicyNoticeKind kind) {
  return kNames[static_cast<size_t>(kind)];
}

std::string PolicyHashText(uint64_t hash) { return fmt::format("{:016x}", hash); }

std::string EncodePolicyNotice(const PolicyNotice& notice) {
  return fmt::format("{}1 {} {} {:x} {:x} {}", kPolicyNoticeBegin, PolicyNoticeName(notice.kind),
                     notice.change, notice.from, notice.to, notice.clock);
}

absl::StatusOr<PolicyNotice> DecodePolicyNotice(std::string_view text) {
  const std::vector<std::string_view> words = Words(text);
  if (words.size() != 7 || words[0] != "policy" || words[1] != "1") return Damaged();
  const std::optional<PolicyNoticeKind> kind = KindNamed(words[2]);
  PolicyNotice notice;
  if (!kind || !Parse(words[3], notice.change) || !Parse(words[4], notice.from, 16) ||
      !Parse(words[5], notice.to, 16) || !Parse(words[6], notice.clock)) {
    return Damaged();
  }
  notice.kind = *kind;
  return notice;
}

}  // namespace pgduet
