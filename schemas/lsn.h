// A position in one PostgreSQL's write-ahead log. Ordered; no implicit integers, no arithmetic but
// BytesSince. Two LSNs can be compared only within one incarnation (see version.h).
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace pgduet {

class Lsn {
 public:
  constexpr Lsn() = default;
  constexpr explicit Lsn(uint64_t value) : value_(value) {}
  static absl::StatusOr<Lsn> Parse(std::string_view text);  // "16/B374D848"
  constexpr uint64_t value() const { return value_; }
  constexpr bool valid() const { return value_ != 0; }  // PostgreSQL's InvalidXLogRecPtr is 0/0
  constexpr uint64_t BytesSince(Lsn earlier) const {
    return value_ > earlier.value_ ? value_ - earlier.value_ : 0;
  }
  std::string ToString() const;
  constexpr auto operator<=>(const Lsn&) const = default;

 private:
  uint64_t value_ = 0;
};

}  // namespace pgduet
