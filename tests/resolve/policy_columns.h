// What the columns of a merge table have to be after a set of writes: the rules of one kind each,
// as policy_oracle.h tells them.
#pragma once

#include <cctype>
#include <cstdlib>
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
    if (column.high.empty()) return false;
    const long long number = Number(cell);
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
  // In hundredths.
  static long long Number(const Cell& cell) {
    if (cell.kind != Cell::Kind::kText || cell.text == "NaN") return 0;
    const long double value = std::strtold(cell.text.c_str(), nullptr) * 100;
    return static_cast<long long>(value < 0 ? value - 0.5 : value + 0.5);
  }

  Cell Counter(const Taken& set, size_t column) const {
    long long sum = 0;
    for (const int one : Those(set, [](int) { return true; })) {
      if (writes_[one].stood) sum -= Number((*writes_[one].stood)[column]);
      if (!writes_[one].deletes()) sum += Number(writes_[one].after[column]);
    }
    return Cell::Text(NumberText(sum));
  }
  static std::string NumberText(long long hundredths) {
    const long long size = std::llabs(hundredths);
    std::string text = (hundredths < 0 ? "-" : "") + std::to_string(size / 100);
    if (size % 100 == 0) return text;
    const std::string rest = std::to_string(100 + size % 100).substr(1);
    return text + "." + (rest[1] == '0' ? rest.substr(0, 1) : rest);
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
