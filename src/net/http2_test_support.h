// A scripted HTTP/2 peer on a raw socket: frames as bytes, so that it can say what no honest
// implementation would.
#pragma once

#include <nghttp2/nghttp2.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "net/http2_internal.h"
#include "net/test_support.h"

namespace samplemind::net::test {

struct Frame {
  int type = -1;
  int flags = 0;
  uint32_t stream = 0;
  std::string payload;
};

enum FrameType {
  kData,
  kHeaders,
  kPriority,
  kRstStream,
  kSettings,
  kPushPromise,
  kPing,
  kGoaway,
  kWindowUpdate,
  kContinuation
};
constexpr int kEndStream = 1, kAck = 1, kEndHeaders = 4;

inline std::string big_endian(uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}
inline uint32_t number(std::string_view bytes) {
  uint32_t value = 0;
  for (const char c : bytes.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

inline std::string frame(int type, int flags, uint32_t stream, std::string_view payload = {}) {
  std::string out = big_endian(payload.size(), 3);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  return out.append(big_endian(stream, 4)).append(payload);
}

// HPACK without its tables: each field a literal, short names and values.
inline std::string hpack(const std::vector<std::pair<std::string, std::string>>& fields) {
  auto text = [](const std::string& s) {
    std::string out;
    if (s.size() < 127) {
      out += static_cast<char>(s.size());
    } else {
      out += static_cast<char>(127);
      size_t left = s.size() - 127;
      for (; left >= 128; left >>= 7) out += static_cast<char>(0x80 | (left & 127));
      out += static_cast<char>(left);
    }
    return out + s;
  };
  std::string out;
  for (const auto& [name, value] : fields) out += '\0' + text(name) + text(value);
  return out;
}

inline std::string request_fields(const std::string& path,
                                  std::vector<std::pair<std::string, std::string>> more = {},
                                  const std::string& method = "GET") {
  std::vector<std::pair<std::string, std::string>> fields = {
      {":method", method}, {":scheme", "http"}, {":authority", "127.0.0.1"}, {":path", path}};
  fields.insert(fields.end(), more.begin(), more.end());
  return hpack(fields);
}
inline std::string status_fields(const std::string& status,
                                 std::vector<std::pair<std::string, std::string>> more = {}) {
  more.insert(more.begin(), {":status", status});
  return hpack(more);
}
inline std::string setting(int id, uint32_t value) {
  return big_endian(static_cast<uint64_t>(id), 2) + big_endian(value, 4);
}

class Http2Peer {
 public:
  explicit Http2Peer(RawSocket& socket) : socket_(socket) { nghttp2_hd_inflate_new(&inflater_); }
  ~Http2Peer() { nghttp2_hd_inflate_del(inflater_); }
  Http2Peer(const Http2Peer&) = delete;
  Http2Peer& operator=(const Http2Peer&) = delete;

  // Server's part: takes the preface, says its own settings.
  void accept(const std::string& settings = {}) {
    while (input_.size() < kHttp2Preface.size()) {
      const std::string piece = socket_.receive();
      if (piece.empty()) return;
      input_ += piece;
    }
    EXPECT_EQ(input_.substr(0, kHttp2Preface.size()), kHttp2Preface);
    input_.erase(0, kHttp2Preface.size());
    send(kSettings, 0, 0, settings);
    send(kSettings, kAck, 0);
  }
  // Client's part.
  void greet(const std::string& settings = {}) {
    socket_.send(kHttp2Preface);
    send(kSettings, 0, 0, settings);
    send(kSettings, kAck, 0);
  }
  void send(int type, int flags, uint32_t stream, std::string_view payload = {}) {
    socket_.send(frame(type, flags, stream, payload));
  }
  void raw(std::string_view bytes) { socket_.send(bytes); }
  // The next frame; type -1 when the connection has ended.
  Frame next() {
    for (;;) {
      if (input_.size() >= 9) {
        const size_t length = number(std::string(1, '\0') + input_.substr(0, 3));
        if (input_.size() >= 9 + length) {
          Frame f;
          f.type = static_cast<unsigned char>(input_[3]);
          f.flags = static_cast<unsigned char>(input_[4]);
          f.stream = number(std::string_view(input_).substr(5)) & 0x7fffffff;
          f.payload = input_.substr(9, length);
          input_.erase(0, 9 + length);
          return f;
        }
      }
      const std::string piece = socket_.receive();
      if (piece.empty()) return {};
      input_ += piece;
    }
  }
  // The next one of that type; those between are skipped (header blocks are decoded all the same).
  Frame next(int type) {
    for (;;) {
      Frame f = next();
      if (f.type == kHeaders) fields_ = decode(f.payload);
      if (f.type == type || f.type < 0) return f;
    }
  }
  // A head: its fields by name; `stream` says whose.
  std::map<std::string, std::string> head(uint32_t& stream, bool* ended = nullptr) {
    const Frame f = next(kHeaders);
    stream = f.stream;
    if (ended != nullptr) *ended = (f.flags & kEndStream) != 0;
    return f.type < 0 ? std::map<std::string, std::string>() : fields_;
  }
  // The GOAWAY that ends the connection: its code.
  std::optional<uint32_t> goaway() {
    const Frame f = next(kGoaway);
    if (f.type < 0 || f.payload.size() < 8) return std::nullopt;
    return number(std::string_view(f.payload).substr(4));
  }
  // Ends its own side so that what was sent arrives, and waits for the other's end.
  void end() {
    socket_.end_sending();
    ended();
  }
  // Reads to the end of the connection; false when it does not come.
  bool ended() {
    while (next().type >= 0) {
    }
    return !socket_.timed_out();
  }

 private:
  std::map<std::string, std::string> decode(const std::string& block) {
    std::map<std::string, std::string> out;
    const auto* in = reinterpret_cast<const uint8_t*>(block.data());
    size_t left = block.size();
    for (;;) {
      nghttp2_nv field{};
      int flags = 0;
      const ssize_t used = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, in, left, 1);
      EXPECT_GE(used, 0);
      if (used < 0) return out;
      in += used;
      left -= static_cast<size_t>(used);
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
        out[std::string(reinterpret_cast<char*>(field.name), field.namelen)] =
            std::string(reinterpret_cast<char*>(field.value), field.valuelen);
      }
      if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
        nghttp2_hd_inflate_end_headers(inflater_);
        return out;
      }
    }
  }
  RawSocket& socket_;
  std::string input_;
  nghttp2_hd_inflater* inflater_ = nullptr;
  std::map<std::string, std::string> fields_;
};

}  // namespace samplemind::net::test
