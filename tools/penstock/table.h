// Rows of text in columns as wide as they need to be.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace penstock::tools {

class Table {
 public:
  explicit Table(std::vector<std::string> headings) { rows_.push_back(std::move(headings)); }
  // REQUIRES: as many cells as there are headings.
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  [[nodiscard]] std::string text() const;
  // Rows below the headings.
  [[nodiscard]] std::size_t rows() const { return rows_.size() - 1; }

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace penstock::tools
