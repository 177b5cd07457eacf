// Rows for the tests of the policy engine: a table with a column of each kind, random values with
// texts that need care, and the table's CHECK and custom function.
//
// Values of sets and maps are made of the words below, so that an oracle can read them without the
// engine's own reader.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "resolve/row_engine.h"

namespace pgduet::testing {

class Chance {
 public:
  explicit Chance(uint64_t seed) : random_(seed) {}
  size_t Below(size_t count) { return random_() % count; }
  bool Percent(int chance) { return Below(100) < static_cast<size_t>(chance); }
  template <typename Choices>
  const auto& Of(const Choices& choices) {
    return choices[Below(std::size(choices))];
  }

 private:
  std::mt19937_64 random_;
};

inline const std::vector<std::string> kTexts = {
    "", "a", "b", "it's", "say \"yes\"", "\\", "\\n", "\n\t", "ü€𝄞", "null", "NULL", "{a,b}"};
inline const std::vector<std::string> kArrayWords = {"a",       "b",          "\"\"",     "\"b c\"",
                                                     "\"x,y\"", "\"q\\\"r\"", "\"\\\\\"", "NULL",
                                                     "1",       "10",         "2.5",      "ü"};
inline const std::vector<std::string> kJsonWords = {"\"a\"",
                                                    "\"b, c\"",
                                                    "\"q\\\"r\"",
                                                    "\"\\\\\"",
                                                    "null",
                                                    "true",
                                                    "1",
                                                    "10",
                                                    "-3",
                                                    "[1, 2]",
                                                    "{\"k\": [1, {\"x\": 2}]}"};
inline const std::vector<std::string> kKeyWords = {"\"a\"", "\"b\"", "\"a: b\"", "\"q\\\"r, s\"",
                                                   "\"ü\""};

inline const std::vector<std::string>& WordsOf(bool json) {
  return json ? kJsonWords : kArrayWords;
}
inline std::string SeparatorOf(bool json) { return json ? ", " : ","; }

inline std::string Enclosed(const std::vector<std::string>& words, char open, char close,
                            const std::string& separator) {
  std::string text(1, open);
  for (size_t at = 0; at < words.size(); ++at) text += (at > 0 ? separator : "") + words[at];
  return text + close;
}

// `hits` is a numeric, `stock` a type with narrow bounds, `weight` a double precision.
inline RowShape MergeShape(OnDelete on_delete) {
  RowShape shape;
  shape.policy = {.kind = PolicyKind::kMerge, .on_delete = on_delete};
  shape.columns = {{.name = "note"},
                   {.name = "street", .group = 0},
                   {.name = "city \"x\"", .group = 0},
                   {.name = "hits", .kind = ColumnKind::kCounter},
                   {.name = "stock", .kind = ColumnKind::kCounter, .low = "-20", .high = "20"},
                   {.name = "weight", .kind = ColumnKind::kCounter, .float_bits = 64},
                   {.name = "highest", .kind = ColumnKind::kMax},
                   {.name = "lowest", .kind = ColumnKind::kMin},
                   {.name = "tags", .kind = ColumnKind::kAddWinsSet},
                   {.name = "marks", .kind = ColumnKind::kAddWinsSet, .json = true},
                   {.name = "attributes", .kind = ColumnKind::kMap}};
  return shape;
}

inline RowShape PickShape(PolicyKind kind, OnDelete on_delete, int regions) {
  RowShape shape;
  shape.policy = {.kind = kind, .on_delete = on_delete};
  for (int place = 0; place < regions; ++place)
    shape.policy.priority.push_back(static_cast<Rank>((place + 1) % regions));
  shape.columns = {{.name = "note"}, {.name = "street"}, {.name = "large"}};
  return shape;
}

inline Cell RandomNumber(Chance& chance, int range) {
  const int value = static_cast<int>(chance.Below(2 * range + 1)) - range;
  return Cell::Text(std::to_string(value));
}

inline Cell RandomCollection(Chance& chance, bool map, bool json) {
  std::vector<std::string> words;
  for (size_t count = chance.Below(4); count > 0; --count) {
    words.push_back(map ? chance.Of(kKeyWords) + ": " + chance.Of(kJsonWords)
                        : chance.Of(WordsOf(json)));
    if (map) {
      // A key stands in an object once.
      for (size_t at = 0; at + 1 < words.size(); ++at) {
        const auto key_of = [](const std::string& pair) {
          for (const std::string& key : kKeyWords) {
            if (pair.starts_with(key + ": ")) return key;
          }
          return pair;
        };
        if (key_of(words[at]) != key_of(words.back())) continue;
        words.pop_back();
        break;
      }
    }
  }
  if (map) return Cell::Text(Enclosed(words, '{', '}', ", "));
  return Cell::Text(json ? Enclosed(words, '[', ']', ", ") : Enclosed(words, '{', '}', ","));
}

inline Cell RandomCell(Chance& chance, const ShapeColumn& column) {
  if (chance.Percent(8)) return Cell::Null();
  switch (column.kind) {
    case ColumnKind::kLatest:
      return Cell::Text(chance.Of(kTexts));
    case ColumnKind::kCounter: {
      static const std::vector<std::string> kOdd = {"0.25", "-1.50", "NaN", "1e+15"};
      static const std::vector<std::string> kFloats = {
          "0.1", "0.2", "0.3", "0.30000000000000004", "-0.7", "2.5", "1e+18", "-1e-05"};
      if (column.float_bits > 0) return Cell::Text(chance.Of(kFloats));
      if (column.high.empty() && chance.Percent(10)) return Cell::Text(chance.Of(kOdd));
      return RandomNumber(chance, column.high.empty() ? 50 : 20);
    }
    case ColumnKind::kMax:
    case ColumnKind::kMin:
      return RandomNumber(chance, 12);
    case ColumnKind::kAddWinsSet:
      return RandomCollection(chance, false, column.json);
    case ColumnKind::kMap:
      return RandomCollection(chance, true, true);
  }
  return Cell::Null();
}

inline RowImage RandomRow(Chance& chance, const RowShape& shape) {
  RowImage row;
  for (const ShapeColumn& column : shape.columns) row.push_back(RandomCell(chance, column));
  return row;
}

// An update touches few columns.
inline RowImage Changed(Chance& chance, const RowShape& shape, RowImage row) {
  for (size_t column = 0; column < shape.columns.size(); ++column) {
    if (chance.Percent(30)) row[column] = RandomCell(chance, shape.columns[column]);
  }
  return row;
}

// A CHECK over two columns: merged rows can break it, though no write did.
inline bool BreaksCheck(const RowImage& row) {
  return row.size() > 5 && row[0].text == "a" && row[5].text.starts_with("-");
}

// A custom function: the notes of all living versions, in their order; no row when more than half
// of them are deletes.
inline std::optional<RowImage> AskFunction(const std::vector<const Member*>& members) {
  std::optional<RowImage> row;
  size_t deleted = 0;
  for (const Member* member : members) {
    if (member->deleted) {
      ++deleted;
    } else if (!member->row) {
      return std::nullopt;  // it should have one
    } else if (!row) {
      row = member->row;
    } else {
      (*row)[0] = Cell::Text((*row)[0].text + "|" + (*member->row)[0].text);
    }
  }
  return 2 * deleted > members.size() ? std::nullopt : row;
}

}  // namespace pgduet::testing
