#include "schemas/text_check.h"

#include <cstdint>
#include <cstring>

namespace pgduet {
namespace {

constexpr uint64_t kHighBits = 0x8080808080808080;
constexpr uint64_t kLowBits = 0x0101010101010101;

bool Continues(unsigned char byte) { return (byte & 0xC0) == 0x80; }

// The length of the valid sequence at `at`, or 0.
size_t SequenceLength(const unsigned char* at, size_t left) {
  const unsigned char first = at[0];
  if (first < 0x80) return first == 0 ? 0 : 1;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return left >= 2 && Continues(at[1]) ? 2 : 0;
  if (first < 0xF0) {
    if (left < 3 || !Continues(at[1]) || !Continues(at[2])) return 0;
    if (first == 0xE0 && at[1] < 0xA0) return 0;
    if (first == 0xED && at[1] > 0x9F) return 0;
    return 3;
  }
  if (first > 0xF4 || left < 4) return 0;
  if (!Continues(at[1]) || !Continues(at[2]) || !Continues(at[3])) return 0;
  if (first == 0xF0 && at[1] < 0x90) return 0;
  if (first == 0xF4 && at[1] > 0x8F) return 0;
  return 4;
}

}  // namespace

bool IsValidText(std::string_view text) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const unsigned char* const end = at + text.size();
  while (at < end) {
    // Eight ASCII bytes at once; a zero byte borrows into its high bit.
    if (end - at >= 8) {
      uint64_t word;
      std::memcpy(&word, at, sizeof(word));
      if (((word | (word - kLowBits)) & kHighBits) == 0) {
        at += 8;
        continue;
      }
    }
    const size_t length = SequenceLength(at, static_cast<size_t>(end - at));
    if (length == 0) return false;
    at += length;
  }
  return true;
}

}  // namespace pgduet
