// How often `operator new` was called, in programs that link allocation_count.cc.
#pragma once

#include <cstddef>

namespace penstock::test {

[[nodiscard]] std::size_t allocation_count();

}  // namespace penstock::test
