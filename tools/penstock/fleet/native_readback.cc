#include "fleet/readback.h"
#include "native.h"
#include "native_read.h"

#include <utility>

namespace penstock::tools {
namespace {

class NativeReadback final : public Readback {
 public:
  NativeReadback(const Session& session, std::string stream, Visit visit)
      : session_(session), stream_(std::move(stream)), visit_(std::move(visit)) {}

  // The library has a thread of its own, which does it all.
  Ended run(std::uint32_t /*threads*/) override {
    const auto client = connect_native(session_);
    if (!client) return std::unexpected(client.error());
    return native_read(**client, stream_, [this](const Records& records) {
      for (const Record& record : records.records) {
        visit_(record.key, {reinterpret_cast<const char*>(record.data.data()), record.data.size()});
      }
      records_ += records.records.size();
    });
  }

 private:
  const Session& session_;
  std::string stream_;
  Visit visit_;
};

}  // namespace

std::unique_ptr<Readback> native_readback(const Session& session, std::string stream,
                                          Readback::Visit visit) {
  return std::make_unique<NativeReadback>(session, std::move(stream), std::move(visit));
}

}  // namespace penstock::tools
