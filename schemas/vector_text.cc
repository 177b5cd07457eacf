// Text form of an applied vector for the sidecar's columns: "rank:incarnation:sequence:lsn:time"
// entries, a blank between.
#include <cstdlib>
#include <sstream>

#include <fmt/format.h>

#include "schemas/version.h"

namespace pgduet {

std::string EncodeVector(const AppliedVector& vector) {
  std::string text;
  for (size_t rank = 0; rank < vector.size(); ++rank) {
    const Position& entry = vector.At(static_cast<Rank>(rank));
    if (entry == Position{}) continue;
    text += fmt::format("{}{}:{:016x}:{}:{:x}:{}", text.empty() ? "" : " ", rank, entry.incarnation,
                        entry.sequence, entry.commit_lsn.value(), entry.commit_time);
  }
  return text;
}

AppliedVector DecodeVector(const std::string& text) {
  AppliedVector vector;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    unsigned rank = 0;
    unsigned long long incarnation = 0, sequence = 0, lsn = 0;
    long long time = 0;
    if (std::sscanf(word.c_str(), "%u:%llx:%llu:%llx:%lld", &rank, &incarnation, &sequence, &lsn,
                    &time) != 5 ||
        rank >= static_cast<unsigned>(kRegionsMax)) {
      return {};
    }
    vector.Set(static_cast<Rank>(rank), {.incarnation = incarnation,
                                         .sequence = sequence,
                                         .commit_lsn = Lsn(lsn),
                                         .commit_time = time});
  }
  // sscanf reads generously: only what EncodeVector writes counts.
  return EncodeVector(vector) == text ? vector : AppliedVector();
}

}  // namespace pgduet
