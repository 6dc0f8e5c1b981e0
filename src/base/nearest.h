// The name that somebody meant: the candidate with the smallest edit distance, if it is near enough.
#pragma once

#include <span>
#include <string_view>

namespace penstock::base {

// Empty when nothing is within a third of the word's length (at least 2 edits).
[[nodiscard]] std::string_view nearest(std::string_view word,
                                       std::span<const std::string_view> candidates);

}  // namespace penstock::base
