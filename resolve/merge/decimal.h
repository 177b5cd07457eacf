// Exact decimal numbers of any size, as PostgreSQL prints integers and numerics. Sums of them do
// not depend on the order, which is why counters are made of them and not of floats.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace pgduet {

class Decimal {
 public:
  Decimal() = default;
  // Empty: not a finite decimal number ("NaN", "Infinity", "").
  static std::optional<Decimal> Parse(std::string_view text);
  // Without trailing zeros behind the point: equal numbers have equal texts.
  std::string ToString() const;

  Decimal operator-() const;
  Decimal operator+(const Decimal& other) const;
  Decimal operator-(const Decimal& other) const { return *this + -other; }
  std::strong_ordering operator<=>(const Decimal& other) const;
  bool operator==(const Decimal& other) const { return (*this <=> other) == 0; }

 private:
  void Normalise();
  bool negative_ = false;
  std::string digits_;  // most significant first, no leading zeros; empty is zero
  size_t scale_ = 0;    // digits behind the point
};

}  // namespace pgduet
