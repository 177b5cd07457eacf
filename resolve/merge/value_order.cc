#include "resolve/merge/value_order.h"

#include <charconv>
#include <compare>
#include <string>

#include "resolve/merge/decimal.h"

namespace pgduet {
namespace {

// A number or a moment on one line: infinities at its ends (NaN above all numbers, as in
// PostgreSQL), years before Christ below the others.
struct Place {
  int part = 0;  // -1: -infinity; 0: in between; 1: infinity; 2: NaN
  long long year = 0;
  std::string_view rest;  // of a moment, behind the year
};

Place PlaceOf(std::string_view text) {
  if (text == "-infinity" || text == "-Infinity") return {.part = -1};
  if (text == "infinity" || text == "Infinity") return {.part = 1};
  if (text == "NaN") return {.part = 2};
  Place place;
  const size_t dash = text.find('-', 1);
  if (dash == std::string_view::npos) return place;
  std::from_chars(text.data(), text.data() + dash, place.year);
  place.rest = text.substr(dash);
  if (text.ends_with(" BC")) {
    place.year = 1 - place.year;
    place.rest.remove_suffix(3);
  }
  return place;
}

}  // namespace

bool ValueBefore(std::string_view left, std::string_view right) {
  const std::optional<Decimal> left_number = Decimal::Parse(left);
  const std::optional<Decimal> right_number = Decimal::Parse(right);
  if (left_number && right_number) return *left_number < *right_number;
  const Place a = PlaceOf(left), b = PlaceOf(right);
  if (a.part != b.part) return a.part < b.part;
  if (a.part != 0 || left_number || right_number) return false;
  if (a.year != b.year) return a.year < b.year;
  return a.rest < b.rest;
}

}  // namespace pgduet
