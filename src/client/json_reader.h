// Reads replies of the API: a thin layer over simdjson that leaves out what an answer does not have.
//
// Shape      text with kReplyPadding readable bytes behind it; strings are views into the parser
// Owner      one thread; a Document holds until the next `parse`
// Errors     kProtocol for text that is no JSON object
#pragma once

#include "client/failure.h"

#include <simdjson.h>

#include <optional>
#include <string_view>
#include <vector>

namespace penstock::client {

class JsonReader {
 public:
  [[nodiscard]] Outcome<simdjson::dom::object> parse(std::string_view text);

 private:
  simdjson::dom::parser parser_;
};

[[nodiscard]] std::string_view text_of(simdjson::dom::object object, std::string_view name);
[[nodiscard]] std::optional<std::int64_t> integer_of(simdjson::dom::object object,
                                                     std::string_view name);
[[nodiscard]] std::optional<double> number_of(simdjson::dom::object object, std::string_view name);
[[nodiscard]] bool truth_of(simdjson::dom::object object, std::string_view name);
// The elements that are objects; none where there is no such array.
[[nodiscard]] std::vector<simdjson::dom::object> objects_of(simdjson::dom::object object,
                                                            std::string_view name);
[[nodiscard]] std::vector<std::string_view> texts_of(simdjson::dom::object object,
                                                     std::string_view name);

}  // namespace penstock::client
