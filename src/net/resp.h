// Redis' wire protocol (RESP2, https://redis.io/docs/reference/protocol-spec/): commands out,
// replies in. Pure, no I/O; not thread-safe. net/redis.h is the client over it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace samplemind::net {

struct RedisReply {
  enum class Kind { kStatus, kError, kInteger, kText, kNil, kArray };
  Kind kind = Kind::kNil;
  std::string text;  // of a status, an error, a text
  int64_t integer = 0;
  std::vector<RedisReply> items;

  bool is_error() const { return kind == Kind::kError; }
  bool is_text() const { return kind == Kind::kText; }
  bool is_nil() const { return kind == Kind::kNil; }
};

// Reads replies from bytes that come in any pieces.
class RespReader {
 public:
  // Named limits: a reply above one of them is refused like nonsense.
  static constexpr size_t kTextMax = 64u << 20;  // bytes of one text
  static constexpr size_t kLineMax = 64u << 10;
  static constexpr size_t kItemsMax = 1u << 20;  // of one array
  static constexpr size_t kDepthMax = 8;

  // Takes bytes from the front of `bytes`. A reply when one is whole; nothing when all bytes are
  // taken and more are needed. kUpstream when it is no RESP2: the reader is then of no further use.
  Result<std::optional<RedisReply>> read(std::string_view& bytes);

 private:
  struct Open {
    RedisReply array;
    size_t left;
  };
  Result<std::optional<RedisReply>> line(std::string_view text);
  std::optional<RedisReply> close(RedisReply value);
  std::vector<Open> open_;
  std::string line_;  // the beginning of a line whose end has not come
  std::string text_;
  size_t text_left_ = 0;  // with its CR LF; 0: not within a text
};

// Appends a command as an array of texts.
void append_redis_command(std::string& out, const std::vector<std::string>& arguments);

// The hash slot of a key in Redis Cluster: CRC16 (XMODEM) of the key, or of what stands between its
// first '{' and the next '}' unless that is nothing, modulo 16384.
inline constexpr size_t kRedisSlots = 16384;
uint16_t redis_slot(std::string_view key);

}  // namespace samplemind::net
