// What the columns of a merge table have to be after a set of writes: the rules of one kind each,
// as policy_oracle.h tells them.
#pragma once

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/resolve/policy_writes.h"

namespace pgduet::testing {

class PolicyColumns : public PolicyWrites {
 public:
  using PolicyWrites::PolicyWrites;

  Cell Merged(const Taken& set, size_t column) const {
    switch (shape_.columns[column].kind) {
      case ColumnKind::kCounter:
        return Counter(set, column);
      case ColumnKind::kAddWinsSet:
        return Set(set, column);
      case ColumnKind::kMap:
        return Map(set, column);
      default:
        return Register(set, column);
    }
  }
  bool SayTheSame(const Cell& left, const Cell& right, size_t column) const {
    const bool json = shape_.columns[column].json;
    switch (shape_.columns[column].kind) {
      case ColumnKind::kCounter:
        return Number(left) == Number(right);
      case ColumnKind::kAddWinsSet:
        return ElementsIn(left, json) == ElementsIn(right, json);
      case ColumnKind::kMap:
        return Pairs(left) == Pairs(right);
      default:
        return left == right;
    }
  }
  // True when the value is beyond its type.
  static bool Bound(const ShapeColumn& column, Cell& cell) {
    if (column.float_bits > 0 && cell.kind == Cell::Kind::kText)
      cell = Cell::Text(NearestDouble(cell.text));
    if (column.high.empty()) return false;
    const Units number = Number(cell);
    if (number > Number(Cell::Text(column.high))) {
      cell = Cell::Text(column.high);
    } else if (number < Number(Cell::Text(column.low))) {
      cell = Cell::Text(column.low);
    } else {
      return false;
    }
    return true;
  }

 private:
  using Units = __int128;  // of 1e-17: holds every number of RandomCell, and some hundred of them
  static constexpr int kPlaces = 17;

  static Units Number(const Cell& cell) {
    if (cell.kind != Cell::Kind::kText || cell.text == "NaN") return 0;
    const size_t e = cell.text.find('e'), point = cell.text.find('.');
    int places = kPlaces + (e == std::string::npos ? 0 : std::atoi(cell.text.c_str() + e + 1));
    Units number = 0;
    for (size_t at = 0; at < std::min(e, cell.text.size()); ++at) {
      if (!std::isdigit(static_cast<unsigned char>(cell.text[at]))) continue;
      number = number * 10 + (cell.text[at] - '0');
      if (at > point) --places;
    }
    for (; places > 0; --places) number *= 10;
    return cell.text[0] == '-' ? -number : number;
  }
  // With as few digits as are read back as the same number.
  static std::string NearestDouble(const std::string& text) {
    const double value = std::strtod(text.c_str(), nullptr);
    char shortest[40];
    for (int digits = 1; digits <= 17; ++digits) {
      std::snprintf(shortest, sizeof(shortest), "%.*e", digits - 1, value);
      if (std::strtod(shortest, nullptr) == value) break;
    }
    const int exponent = std::atoi(std::strchr(shortest, 'e') + 1);
    if (value == 0) return "0";
    if (exponent < -4 || exponent >= 15) return shortest;
    const std::string far = shortest;
    const size_t digits = far.find('e') - (far[0] == '-' ? 1 : 0);  // the point among them
    const int behind = std::max(0, static_cast<int>(digits > 1 ? digits - 2 : 0) - exponent);
    std::snprintf(shortest, sizeof(shortest), "%.*f", behind, value);
    return shortest;
  }

  Cell Counter(const Taken& set, size_t column) const {
    Units sum = 0;
    for (const int one : Those(set, [](int) { return true; })) {
      if (writes_[one].stood) sum -= Number((*writes_[one].stood)[column]);
      if (!writes_[one].deletes()) sum += Number(writes_[one].after[column]);
    }
    return Cell::Text(NumberText(sum));
  }
  static std::string NumberText(Units number) {
    std::string digits;
    for (Units rest = number < 0 ? -number : number; rest > 0; rest /= 10)
      digits.insert(0, 1, static_cast<char>('0' + static_cast<int>(rest % 10)));
    if (digits.size() <= kPlaces) digits.insert(0, kPlaces + 1 - digits.size(), '0');
    std::string text =
        digits.substr(0, digits.size() - kPlaces) + "." + digits.substr(digits.size() - kPlaces);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return (number < 0 ? "-" : "") + text;
  }
  bool Changes(int write, size_t column) const {
    const PolicyWrite& one = writes_[write];
    if (one.deletes()) return false;
    if (one.kind == ChangeKind::kInsert) return true;
    if (shape_.columns[column].group < 0) return one.after[column] != one.found[column];
    for (size_t mate = 0; mate < shape_.columns.size(); ++mate) {
      if (shape_.columns[mate].group == shape_.columns[column].group &&
          one.after[mate] != one.found[mate])
        return true;
    }
    return false;
  }
  Cell Register(const Taken& set, size_t column) const {
    const std::vector<int> writers =
        Maximal(Those(set, [&](int write) { return Changes(write, column); }));
    if (writers.empty()) return Cell::Null();
    int best = writers.front();
    for (const int one : writers) best = Beats(one, best, column) ? one : best;
    return writes_[best].after[column];
  }
  bool Beats(int one, int best, size_t column) const {
    const ColumnKind kind = shape_.columns[column].kind;
    const Cell& left = writes_[one].after[column];
    const Cell& right = writes_[best].after[column];
    if (kind != ColumnKind::kLatest) {
      if (left.kind != right.kind) return left.kind == Cell::Kind::kText;
      if (Number(left) != Number(right))
        return (Number(left) > Number(right)) == (kind == ColumnKind::kMax);
    }
    return Newer(one, best);
  }

  // Cuts a value that is made of these words.
  static std::vector<std::string> Cut(std::string inside, const std::string& separator,
                                      const std::vector<std::string>& words) {
    std::vector<std::string> found;
    inside += separator;
    while (inside.size() > separator.size()) {
      const auto word = std::find_if(words.begin(), words.end(), [&](const std::string& one) {
        return inside.starts_with(one + separator);
      });
      if (word == words.end()) return {"unreadable: " + inside};
      found.push_back(*word);
      inside.erase(0, word->size() + separator.size());
    }
    return found;
  }
  static std::string Inside(const Cell& cell) {
    return cell.kind == Cell::Kind::kText ? cell.text.substr(1, cell.text.size() - 2) : "";
  }

  static const std::set<std::string>& ElementsIn(const Cell& cell, bool json) {
    static std::unordered_map<std::string, std::set<std::string>> known[2];
    const auto [at, first] = known[json ? 1 : 0].try_emplace(Inside(cell));
    if (first) {
      const auto words = Cut(at->first, SeparatorOf(json), WordsOf(json));
      at->second = {words.begin(), words.end()};
    }
    return at->second;
  }
  const std::set<std::string>& ElementsFound(int write, size_t column) const {
    return ElementsIn(writes_[write].found[column], shape_.columns[column].json);
  }
  const std::set<std::string>& ElementsAfter(int write, size_t column) const {
    static const std::set<std::string> kNone;
    if (writes_[write].deletes()) return kNone;
    return ElementsIn(writes_[write].after[column], shape_.columns[column].json);
  }
  Cell Set(const Taken& set, size_t column) const {
    const bool json = shape_.columns[column].json;
    std::vector<std::string> present;
    for (const std::string& word : std::set(WordsOf(json).begin(), WordsOf(json).end())) {
      const auto adds = [&](int write) {
        return ElementsAfter(write, column).contains(word) &&
               (writes_[write].kind == ChangeKind::kInsert ||
                !ElementsFound(write, column).contains(word));
      };
      const auto removes = [&](int write) {
        return !ElementsAfter(write, column).contains(word) &&
               ElementsFound(write, column).contains(word);
      };
      const std::vector<int> removals = Those(set, removes);
      const std::vector<int> additions = Those(set, [&](int write) {
        return adds(write) && std::none_of(removals.begin(), removals.end(), [&](int removal) {
                 return writes_[removal].past[write];
               });
      });
      if (!additions.empty()) present.push_back(word);
    }
    std::sort(present.begin(), present.end(), NumbersFirst);
    return Cell::Text(json ? Enclosed(present, '[', ']', ", ") : Enclosed(present, '{', '}', ","));
  }
  static bool NumbersFirst(const std::string& left, const std::string& right) {
    const auto number = [](const std::string& word) {
      return std::isdigit(static_cast<unsigned char>(word.back())) != 0;
    };
    if (number(left) != number(right)) return number(left);
    if (number(left)) return Number(Cell::Text(left)) < Number(Cell::Text(right));
    return left < right;
  }

  static const std::map<std::string, std::string>& Pairs(const Cell& cell) {
    static const std::vector<std::string> kPairs = [] {
      std::vector<std::string> pairs;
      for (const std::string& key : kKeyWords) {
        for (const std::string& value : kJsonWords) pairs.push_back(key + ": " + value);
      }
      return pairs;
    }();
    static std::unordered_map<std::string, std::map<std::string, std::string>> known;
    const auto [at, first] = known.try_emplace(Inside(cell));
    std::map<std::string, std::string>& map = at->second;
    if (!first) return map;
    for (const std::string& pair : Cut(at->first, ", ", kPairs)) {
      for (const std::string& key : kKeyWords) {
        if (pair.starts_with(key + ": ")) map[key] = pair.substr(key.size() + 2);
      }
    }
    return map;
  }
  Cell Map(const Taken& set, size_t column) const {
    std::vector<std::string> present;
    for (const std::string& key : std::set(kKeyWords.begin(), kKeyWords.end())) {
      const auto value_in = [&](const Cell& cell) -> std::optional<std::string> {
        const auto& pairs = Pairs(cell);
        const auto at = pairs.find(key);
        return at == pairs.end() ? std::nullopt : std::optional(at->second);
      };
      const auto after = [&](int write) {
        return writes_[write].deletes() ? std::nullopt : value_in(writes_[write].after[column]);
      };
      const std::vector<int> writers = Maximal(Those(set, [&](int write) {
        const auto found = value_in(writes_[write].found[column]);
        const bool inserts = writes_[write].kind == ChangeKind::kInsert;
        return after(write) != found || (inserts && after(write));
      }));
      std::vector<int> values = writers;
      std::erase_if(values, [&](int write) { return !after(write); });
      if (!values.empty()) present.push_back(key + ": " + *after(Newest(values)));
    }
    return Cell::Text(Enclosed(present, '{', '}', ", "));
  }
};

}  // namespace pgduet::testing
