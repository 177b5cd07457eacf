// Rows for people: aligned columns on a terminal or in a pipe, no colours. A value.
#pragma once

#include <string>
#include <vector>

namespace pgduet {

class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  size_t rows() const { return rows_.size() - 1; }
  // Widths count characters, not bytes.
  std::string ToString() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace pgduet
