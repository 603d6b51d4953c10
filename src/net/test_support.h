// For the tests of net: blocking raw sockets, scripted servers, certificates made on the spot.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "net/client.h"
#include "net/server.h"

namespace samplemind::net::test {

// A blocking connection; every receive gives up after 10 s, so that a test fails instead of
// hanging.
class RawSocket {
 public:
  explicit RawSocket(int fd) : fd_(fd) {
    const timeval limit{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  ~RawSocket() { close(); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  static std::unique_ptr<RawSocket> connect(uint16_t port, int receive_buffer = 0) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0)
      setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return std::make_unique<RawSocket>(fd);
  }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  // Whatever comes next; empty at the end or on an error (see reset()).
  std::string receive() {
    char buffer[64 << 10];
    const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
    if (got < 0) error_ = errno;
    return got > 0 ? std::string(buffer, static_cast<size_t>(got)) : std::string();
  }
  // Reads on until `mark` has come; gives all read so far and forgets it.
  std::string receive_until(std::string_view mark) {
    std::string all;
    while (all.find(mark) == std::string::npos) {
      const std::string piece = receive();
      if (piece.empty()) break;
      all += piece;
    }
    return all;
  }
  std::string receive_all() {
    std::string all;
    for (std::string piece = receive(); !piece.empty(); piece = receive()) all += piece;
    return all;
  }
  // One request's bytes: the head and the body its Content-Length names.
  std::string receive_request() {
    std::string all;
    for (;;) {
      const size_t end = all.find("\r\n\r\n");
      if (end != std::string::npos) {
        const size_t field = all.find("content-length: ");
        const size_t body = field < end ? std::stoul(all.substr(field + 16)) : 0;
        if (all.size() >= end + 4 + body) return all;
      }
      const std::string piece = receive();
      if (piece.empty()) return all;
      all += piece;
    }
  }
  void end_sending() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void close_reset() {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  bool was_reset() const { return error_ == ECONNRESET; }
  bool timed_out() const { return error_ == EAGAIN; }
  int fd() const { return fd_; }

 private:
  int fd_;
  int error_ = 0;
};

// A server whose every connection runs `script` (with its number, from 0) on a thread of its own.
class ScriptedServer {
 public:
  using Script = std::function<void(RawSocket&, int)>;
  explicit ScriptedServer(Script script) : script_(std::move(script)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    socklen_t size = sizeof address;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~ScriptedServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    for (std::thread& each : connections_) each.join();
  }
  uint16_t port() const { return port_; }
  std::string url(std::string_view path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
  }

 private:
  void run() {
    for (int number = 0;; ++number) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) return;
      connections_.emplace_back([this, fd, number] {
        RawSocket socket(fd);
        script_(socket, number);
      });
    }
  }
  Script script_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::thread thread_;
  std::vector<std::thread> connections_;
};

struct Answer {
  int status = 0;
  Headers headers;
  std::string body;
};

// One request, its whole answer.
inline Task<Result<Answer>> fetch(Client& client, ClientRequest request, CancelToken cancel = {}) {
  auto sent = co_await client.send(std::move(request), cancel);
  if (!sent.ok()) co_return std::move(sent).error();
  std::unique_ptr<ClientResponse> response = std::move(sent).value();
  Answer answer;
  answer.status = response->status();
  answer.headers = response->head().headers;
  Result<std::string> all = co_await response->read_all(256 << 20);
  if (!all.ok()) co_return std::move(all).error();
  answer.body = std::move(all).value();
  co_return answer;
}

inline ClientRequest make_request(std::string method, std::string_view url, std::string body = {}) {
  Result<Url> parsed = Url::parse(url);
  EXPECT_TRUE(parsed.ok());
  ClientRequest request(std::move(method), std::move(parsed).value());
  request.body = std::move(body);
  return request;
}

}  // namespace samplemind::net::test
