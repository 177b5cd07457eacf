#include "schemas/lsn.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

std::optional<uint64_t> ParseHalf(std::string_view digits) {
  uint64_t value = 0;
  if (digits.empty() || digits.size() > 8) return std::nullopt;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value, 16);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

}  // namespace

absl::StatusOr<Lsn> Lsn::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    const auto high = ParseHalf(text.substr(0, slash));
    const auto low = ParseHalf(text.substr(slash + 1));
    if (high && low) return Lsn(*high << 32 | *low);
  }
  return NamedError(absl::StatusCode::kInvalidArgument, "invalid_lsn",
                    fmt::format("not a log sequence number: text={}", text.substr(0, 64)),
                    "Write it as PostgreSQL does, for example 16/B374D848.");
}

std::string Lsn::ToString() const {
  return fmt::format("{:X}/{:X}", value_ >> 32, value_ & 0xFFFFFFFF);
}

}  // namespace pgduet
