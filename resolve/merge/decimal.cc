#include "resolve/merge/decimal.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace pgduet {
namespace {

bool IsDigits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Both have the same length.
std::string Sum(const std::string& left, const std::string& right) {
  std::string sum(left.size() + 1, '0');
  int carry = 0;
  for (size_t at = left.size(); at-- > 0;) {
    const int digit = left[at] - '0' + right[at] - '0' + carry;
    sum[at + 1] = static_cast<char>('0' + digit % 10);
    carry = digit / 10;
  }
  sum[0] = static_cast<char>('0' + carry);
  return sum;
}

// The same, and left is not the smaller one.
std::string Difference(const std::string& left, const std::string& right) {
  std::string difference(left.size(), '0');
  int borrow = 0;
  for (size_t at = left.size(); at-- > 0;) {
    const int digit = left[at] - right[at] - borrow;
    borrow = digit < 0 ? 1 : 0;
    difference[at] = static_cast<char>('0' + digit + 10 * borrow);
  }
  return difference;
}

// "1e+20": floats print far numbers so. Empty: no exponent, or one beyond those of a float.
std::optional<int> ExponentIn(std::string_view text) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  int exponent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), exponent);
  if (error != std::errc() || end != text.data() + text.size() || std::abs(exponent) > 400)
    return std::nullopt;
  return exponent;
}

}  // namespace

std::optional<Decimal> Decimal::Parse(std::string_view text) {
  Decimal number;
  int exponent = 0;
  if (const size_t e = text.find_first_of("eE"); e != std::string_view::npos) {
    const std::optional<int> parsed = ExponentIn(text.substr(e + 1));
    if (!parsed) return std::nullopt;
    exponent = *parsed;
    text = text.substr(0, e);
  }
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    number.negative_ = text[0] == '-';
    text.remove_prefix(1);
  }
  const size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view rest =
      point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  if (whole.empty() && rest.empty()) return std::nullopt;
  if (!IsDigits(whole) || !IsDigits(rest)) return std::nullopt;
  number.digits_ = std::string(whole) + std::string(rest);
  // The point moves; it stays within or behind the digits.
  if (exponent > 0) number.digits_.append(exponent, '0');
  number.scale_ = rest.size() + (exponent < 0 ? -exponent : 0);
  number.Normalise();
  return number;
}

void Decimal::Normalise() {
  while (scale_ > 0 && !digits_.empty() && digits_.back() == '0') {
    digits_.pop_back();
    --scale_;
  }
  digits_.erase(0, std::min(digits_.find_first_not_of('0'), digits_.size()));
  if (digits_.empty()) {
    negative_ = false;
    scale_ = 0;
  }
}

std::string Decimal::ToString() const {
  if (digits_.empty()) return "0";
  std::string text = digits_;
  if (text.size() <= scale_) text.insert(0, scale_ + 1 - text.size(), '0');
  if (scale_ > 0) text.insert(text.size() - scale_, 1, '.');
  return negative_ ? "-" + text : text;
}

Decimal Decimal::operator-() const {
  Decimal number = *this;
  number.negative_ = !negative_ && !digits_.empty();
  return number;
}

Decimal Decimal::operator+(const Decimal& other) const {
  std::string left = digits_, right = other.digits_;
  const size_t scale = std::max(scale_, other.scale_);
  left.append(scale - scale_, '0');
  right.append(scale - other.scale_, '0');
  const size_t length = std::max(left.size(), right.size());
  left.insert(0, length - left.size(), '0');
  right.insert(0, length - right.size(), '0');
  Decimal sum;
  sum.scale_ = scale;
  if (negative_ == other.negative_) {
    sum.digits_ = Sum(left, right);
    sum.negative_ = negative_;
  } else {
    const bool larger = left >= right;
    sum.digits_ = larger ? Difference(left, right) : Difference(right, left);
    sum.negative_ = larger ? negative_ : other.negative_;
  }
  sum.Normalise();
  return sum;
}

std::strong_ordering Decimal::operator<=>(const Decimal& other) const {
  const Decimal difference = *this - other;
  if (difference.digits_.empty()) return std::strong_ordering::equal;
  return difference.negative_ ? std::strong_ordering::less : std::strong_ordering::greater;
}

}  // namespace pgduet
