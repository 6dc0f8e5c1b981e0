// TLS for native clients and doors in tests, with a certificate made on the spot.
#pragma once

#include "tests/support/test_certificate.h"
#include "transport/tls.h"

#include <memory>

namespace penstock::test {

inline const TestCertificate& native_certificate() {
  static const TestCertificate made = make_test_certificate();
  return made;
}
inline std::shared_ptr<transport::TlsContext> server_tls() {
  return transport::TlsContext::server(native_certificate().certificate_pem,
                                       native_certificate().key_pem,
                                       transport::TlsProtocol::kNative)
      .value();
}
inline std::shared_ptr<transport::TlsContext> client_tls() {
  return transport::TlsContext::client(native_certificate().certificate_pem,
                                       transport::TlsProtocol::kNative)
      .value();
}

}  // namespace penstock::test
