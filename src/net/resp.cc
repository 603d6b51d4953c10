#include "net/resp.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace samplemind::net {

namespace {

Error nonsense(std::string_view what) {
  return Error(ErrorCode::kUpstream, "Redis: " + std::string(what),
               "check that the address is that of a Redis server");
}

std::optional<int64_t> whole_number(std::string_view digits) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size())
    return std::nullopt;
  return value;
}

constexpr std::array<uint16_t, 256> kCrc = [] {
  std::array<uint16_t, 256> table{};
  for (unsigned i = 0; i < 256; ++i) {
    unsigned crc = i << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021u : 0u);
    table[i] = static_cast<uint16_t>(crc);
  }
  return table;
}();

}  // namespace

Result<std::optional<RedisReply>> RespReader::read(std::string_view& bytes) {
  while (!bytes.empty()) {
    if (text_left_ > 0) {
      const size_t take = std::min(text_left_, bytes.size());
      text_.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      text_left_ -= take;
      if (text_left_ > 0) break;
      if (!text_.ends_with("\r\n")) return nonsense("a text that is longer than it said");
      text_.resize(text_.size() - 2);
      RedisReply reply;
      reply.kind = RedisReply::Kind::kText;
      reply.text = std::exchange(text_, {});
      if (auto whole = close(std::move(reply))) return whole;
      continue;
    }
    const size_t newline = bytes.find('\n');
    const std::string_view piece =
        bytes.substr(0, newline == std::string_view::npos ? newline : newline + 1);
    if (line_.size() + piece.size() > kLineMax) return nonsense("a line that is too long");
    bytes.remove_prefix(piece.size());
    if (newline == std::string_view::npos) {
      line_ += piece;
      break;
    }
    std::string joined;
    std::string_view whole_line = piece;
    if (!line_.empty()) {
      joined = std::exchange(line_, {}) + std::string(piece);
      whole_line = joined;
    }
    if (whole_line.size() < 3 || !whole_line.ends_with("\r\n"))
      return nonsense("a line that does not end as it should");
    auto reply = line(whole_line.substr(0, whole_line.size() - 2));
    if (!reply.ok() || *reply) return reply;
  }
  return std::optional<RedisReply>();
}

// REQUIRES: at least the type's byte.
Result<std::optional<RedisReply>> RespReader::line(std::string_view text) {
  using enum RedisReply::Kind;
  const std::string_view rest = text.substr(1);
  RedisReply reply;
  switch (text.front()) {
    case '+':
      reply.kind = kStatus;
      reply.text = rest;
      return close(std::move(reply));
    case '-':
      reply.kind = kError;
      reply.text = rest;
      return close(std::move(reply));
    case ':': {
      const auto value = whole_number(rest);
      if (!value) return nonsense("a number that is none");
      reply.kind = kInteger;
      reply.integer = *value;
      return close(std::move(reply));
    }
    case '$': {
      const auto size = whole_number(rest);
      if (size == -1) return close(std::move(reply));
      if (!size || *size < 0 || static_cast<uint64_t>(*size) > kTextMax)
        return nonsense("a text of no acceptable length");
      text_left_ = static_cast<size_t>(*size) + 2;
      return std::optional<RedisReply>();
    }
    case '*': {
      const auto count = whole_number(rest);
      if (count == -1) return close(std::move(reply));
      if (!count || *count < 0 || static_cast<uint64_t>(*count) > kItemsMax)
        return nonsense("an array of no acceptable length");
      reply.kind = kArray;
      if (*count == 0) return close(std::move(reply));
      if (open_.size() >= kDepthMax) return nonsense("arrays too deep within each other");
      open_.push_back({std::move(reply), static_cast<size_t>(*count)});
      return std::optional<RedisReply>();
    }
    default:
      return nonsense("bytes that are not its protocol");
  }
}

// Puts a value where it belongs; the whole reply when it was the last that was missing.
std::optional<RedisReply> RespReader::close(RedisReply value) {
  while (!open_.empty()) {
    Open& in = open_.back();
    in.array.items.push_back(std::move(value));
    if (--in.left > 0) return std::nullopt;
    value = std::move(in.array);
    open_.pop_back();
  }
  return value;
}

void append_redis_command(std::string& out, const std::vector<std::string>& arguments) {
  size_t bytes = 16;
  for (const std::string& each : arguments) bytes += each.size() + 16;
  out.reserve(out.size() + bytes);
  out += '*';
  out += std::to_string(arguments.size());
  out += "\r\n";
  for (const std::string& each : arguments) {
    out += '$';
    out += std::to_string(each.size());
    out += "\r\n";
    out += each;
    out += "\r\n";
  }
}

uint16_t redis_slot(std::string_view key) {
  if (const size_t open = key.find('{'); open != std::string_view::npos) {
    const size_t end = key.find('}', open + 1);
    if (end != std::string_view::npos && end > open + 1) key = key.substr(open + 1, end - open - 1);
  }
  uint16_t crc = 0;
  for (const char c : key)
    crc = static_cast<uint16_t>((crc << 8) ^ kCrc[((crc >> 8) ^ static_cast<uint8_t>(c)) & 0xFF]);
  return crc % kRedisSlots;
}

}  // namespace samplemind::net
