// Unpredictable bytes from the kernel.
//
// Errors     none: without entropy no key or identity can be made, so a failing call ends the
// process Source     getrandom(2)
#pragma once

#include "env/entropy.h"

namespace penstock::drivers {

class SystemEntropy final : public env::Entropy {
 public:
  void fill(std::span<std::byte> out) override;
};

}  // namespace penstock::drivers
