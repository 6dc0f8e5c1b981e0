#include "client/json_reader.h"

#include "client/kinesis_client.h"

#include <string>

namespace penstock::client {

Outcome<simdjson::dom::object> JsonReader::parse(std::string_view text) {
  simdjson::dom::object object;
  // The padding is there: no copy.
  const auto error =
      parser_.parse(reinterpret_cast<const std::uint8_t*>(text.data()), text.size(), false)
          .get(object);
  if (error) {
    return failed(FailureKind::kProtocol, std::string("the answer is not a JSON object: ") +
                                              simdjson::error_message(error));
  }
  return object;
}

std::string_view text_of(simdjson::dom::object object, std::string_view name) {
  std::string_view text;
  return object[name].get(text) ? std::string_view() : text;
}

std::optional<std::int64_t> integer_of(simdjson::dom::object object, std::string_view name) {
  std::int64_t number = 0;
  if (object[name].get(number)) return std::nullopt;
  return number;
}

std::optional<double> number_of(simdjson::dom::object object, std::string_view name) {
  double number = 0;
  if (object[name].get(number)) return std::nullopt;
  return number;
}

bool truth_of(simdjson::dom::object object, std::string_view name) {
  bool truth = false;
  return !object[name].get(truth) && truth;
}

std::vector<simdjson::dom::object> objects_of(simdjson::dom::object object, std::string_view name) {
  std::vector<simdjson::dom::object> objects;
  simdjson::dom::array array;
  if (object[name].get(array)) return objects;
  objects.reserve(array.size());
  for (const simdjson::dom::element element : array) {
    simdjson::dom::object member;
    if (!element.get(member)) objects.push_back(member);
  }
  return objects;
}

std::vector<std::string_view> texts_of(simdjson::dom::object object, std::string_view name) {
  std::vector<std::string_view> texts;
  simdjson::dom::array array;
  if (object[name].get(array)) return texts;
  for (const simdjson::dom::element element : array) {
    std::string_view text;
    if (!element.get(text)) texts.push_back(text);
  }
  return texts;
}

}  // namespace penstock::client
