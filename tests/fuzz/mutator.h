// Seeded mutations of sample inputs: the short, repeatable form of fuzzing.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace pgduet {

class Mutator {
 public:
  Mutator(uint64_t seed, std::vector<std::string> samples)
      : random_(seed), samples_(std::move(samples)) {}

  std::string Next() {
    std::string bytes = samples_[Below(samples_.size())];
    for (size_t edits = 1 + Below(4); edits > 0; --edits) Edit(bytes);
    return bytes;
  }

 private:
  size_t Below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }
  char Byte() {
    constexpr char kInteresting[] = {'\0', '\1', '\x7F', '\x80', '\xFF', ' ', '\n',
                                     '"',  ':',  '/',    '{',    '0',    '-'};
    return Below(2) == 0 ? kInteresting[Below(sizeof kInteresting)] : static_cast<char>(random_());
  }

  void Edit(std::string& bytes) {
    const size_t at = Below(bytes.size() + 1);
    const size_t length = Below(std::min<size_t>(bytes.size() - at, 16) + 1);
    switch (Below(6)) {
      case 0:
        bytes.insert(at, 1, Byte());
        break;
      case 1:
        bytes.erase(at, length);
        break;
      case 2:
        bytes.insert(at, bytes.substr(at, length));
        break;
      case 3: {
        const std::string& other = samples_[Below(samples_.size())];
        const size_t from = Below(other.size() + 1);
        bytes.replace(at, length, other, from, Below(32));
        break;
      }
      case 4:
        if (Below(4) == 0) bytes.resize(at);
        break;
      default:
        if (at < bytes.size())
          bytes[at] = Below(2) == 0 ? Byte() : static_cast<char>(bytes[at] ^ (1 << Below(8)));
    }
  }

  std::mt19937_64 random_;
  const std::vector<std::string> samples_;
};

}  // namespace pgduet
