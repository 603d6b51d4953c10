// Bytes as hexadecimal digits and back (RFC 4648 "base16", in lower case).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace samplemind {

std::string to_hex(std::string_view bytes);
// Nothing where the text is no such digits, or an odd number of them.
std::optional<std::string> from_hex(std::string_view text);

}  // namespace samplemind
