// The versions of library.db. A file of any released version is brought up to date when it is
// opened for writing.
#pragma once

#include <cstddef>
#include <span>

namespace samplemind::library {

// Version n of the schema is reached by running entries 0..n-1. Never change an entry that was
// released.
std::span<const char* const> migrations();

}  // namespace samplemind::library
