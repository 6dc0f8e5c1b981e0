// The Authorization header, the presigned query and the date of strangers: nothing that was not signed
// with the key is ever taken for authentic. The input is the header's value, a line end, then the
// request's target, a line end, then the date.
#include "http/sigv4_verify.h"

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace {

using namespace penstock;

class NoBody final : public http::ResponseBody {
 public:
  std::span<char> reserve(std::size_t) override { return {}; }
  void commit(std::size_t) override {}
  std::size_t size() const override { return 0; }
  void clear() override {}
};

class Request final : public http::Exchange {
 public:
  std::size_t reserve_answer(std::size_t, std::size_t most, Nanos) override { return most; }
  bool abandoned() const override { return false; }
  http::ResponseBody& response() override { return body_; }
  void respond(int, std::string_view, std::string_view, Nanos) override {}
  std::span<std::byte> service_storage() override { return {}; }

 private:
  NoBody body_;
};

std::string_view next_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static http::Sigv4Verifier verifier(
      std::make_shared<const proto::CredentialSet>(
          std::vector<proto::Credential>{{.access_key_id = "AKID",
                                          .secret_access_key = "a secret that no input knows",
                                          .session_token = {}}}),
      "us-east-1");
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view authorization = next_line(text);
  const std::string_view target = next_line(text);
  const std::string_view date = next_line(text);

  Request request;
  request.method = "POST";
  request.target = target;
  const http::Header headers[] = {
      {"host", "h"}, {"authorization", authorization}, {"x-amz-date", date}, {"x-rest", text}};
  request.headers = headers;
  const auto refusal = verifier.verify(request, WallMillis(1385959815'000));
  if (!refusal) std::abort();
  if (refusal->type.empty() || refusal->message.empty()) std::abort();

  if (const auto second = proto::parse_sigv4_date(date); second && date.size() == 16) {
    const auto back = proto::sigv4_date_time(*second);
    // A leap second has no second of its own.
    if (date.substr(13, 2) != "60" && date != std::string_view(back.data(), back.size())) {
      std::abort();
    }
  }
  return 0;
}
