#include "resolve/merge/float_text.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace pgduet {
namespace {

template <typename Float>
struct Format;
// PostgreSQL prints the digits alone while the exponent is from -4 to below this.
template <>
struct Format<float> {
  static constexpr int kExponentsFrom = 6;
  static constexpr int kDigitsMax = 9;
};
template <>
struct Format<double> {
  static constexpr int kExponentsFrom = 15;
  static constexpr int kDigitsMax = 17;
};

template <typename Float>
std::string Printed(Float value, std::chars_format format) {
  char text[400];
  return {text, std::to_chars(text, text + sizeof(text), value, format).ptr};
}

template <typename Float>
std::string Printed(Float value, int digits) {
  char text[64];
  return {text,
          std::to_chars(text, text + sizeof(text), value, std::chars_format::scientific, digits - 1)
              .ptr};
}

template <typename Float>
std::optional<Float> Read(const std::string& text) {
  Float value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc()) return value;
  // Out of range says no more than that; where a number has digits tells which end.
  const bool below_one = std::abs(std::strtod(text.c_str(), nullptr)) < 1;
  return below_one ? std::optional<Float>(0) : std::nullopt;
}

// Whole numbers with few digits can lie halfway between two floats. Which of them such a text names
// depends on the reader's rule for ties, and PostgreSQL does not print it.
template <typename Float>
bool IsHalfway(Float value, const std::string& text) {
  constexpr Float kWholeFrom = Float(uint64_t{1} << std::numeric_limits<Float>::digits);
  if (std::abs(value) < kWholeFrom) return false;
  const Decimal said = *Decimal::Parse(text), twice = said + said;
  const Decimal exact = *Decimal::Parse(Printed(value, std::chars_format::fixed));
  for (const Float towards : {Float(0), std::numeric_limits<Float>::infinity() * value}) {
    const Float neighbour = std::nextafter(value, towards);
    if (std::isinf(neighbour)) continue;
    if (twice == exact + *Decimal::Parse(Printed(neighbour, std::chars_format::fixed))) return true;
  }
  return false;
}

template <typename Float>
std::string Shortest(Float value) {
  std::string text = Printed(value, std::chars_format::scientific);
  const auto digits_of = [](const std::string& one) {
    const std::string mantissa = one.substr(0, one.find('e'));
    return static_cast<int>(mantissa.size()) - (mantissa[0] == '-' ? 1 : 0) -
           (mantissa.find('.') == std::string::npos ? 0 : 1);
  };
  for (int digits = digits_of(text) + 1;
       IsHalfway(value, text) && digits <= Format<Float>::kDigitsMax; ++digits)
    text = Printed(value, digits);
  const int exponent = std::atoi(text.c_str() + text.find('e') + 1);
  if (exponent < -4 || exponent >= Format<Float>::kExponentsFrom) return text;
  return Printed(value, std::chars_format::fixed);
}

template <typename Float>
std::optional<std::string> Nearest(const Decimal& number) {
  const std::optional<Float> value = Read<Float>(number.ToString());
  if (!value || std::isinf(*value)) return std::nullopt;
  return *value == 0 ? "0" : Shortest(*value);
}

}  // namespace

std::optional<std::string> NearestFloat(const Decimal& number, int bits) {
  return bits == 32 ? Nearest<float>(number) : Nearest<double>(number);
}

}  // namespace pgduet
