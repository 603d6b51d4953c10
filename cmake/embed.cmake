# Writes the header of samplemind_embed().
file(READ ${IN} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
string(REGEX REPLACE "^(.*)::([^:]*)$" "\\1" space "${SYMBOL}")
string(REGEX REPLACE "^(.*)::([^:]*)$" "\\2" name "${SYMBOL}")
file(WRITE ${OUT} "#pragma once
#include <string_view>
namespace ${space} {
inline constexpr char ${name}Bytes[] = {${bytes}'\\0'};
inline constexpr std::string_view ${name}{${name}Bytes, sizeof ${name}Bytes - 1};
}
")
