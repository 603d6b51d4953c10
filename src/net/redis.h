// A Redis client, one a loop: one connection a server with commands pipelined on it, Redis Cluster
// (slots learnt from the servers, MOVED and ASK followed), AUTH, SELECT, TLS verified against the
// system's store or a CA file.
//
// It is made for a cache: nothing waits long and nothing fails loudly. A command has a deadline and
// ends by it, whatever the server does. A server that refuses, closes or gives no answer to several
// commands in a row is left alone for 200 ms, doubled at each failure up to 30 s; meanwhile its
// commands fail at once, and a connection that comes up again and answers a PING in the background
// ends the pause: no command pays for the probe. Memory is bounded: commands that wait for their
// reply, and bytes that wait for the socket.
//
// Loop's thread only; tasks must end before the client is destroyed.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/loop.h"
#include "net/resp.h"
#include "net/task.h"

namespace samplemind::net {

struct RedisAddress {
  std::string host;
  uint16_t port = 6379;
  std::string text() const;  // "host:port", IPv6 in brackets
};

struct RedisOptions {
  std::vector<RedisAddress> servers;  // one; for a cluster those to learn the others from
  bool cluster = false;
  bool tls = false;
  std::string ca_file;  // PEM; empty: the system's store
  std::string username;
  std::string password;
  int database = 0;                                 // a cluster has only 0
  std::chrono::milliseconds connect_timeout{1000};  // with TLS, AUTH and PING
  size_t waiting_max = 4096;                        // commands without their reply, a server
  size_t waiting_bytes_max = 16u << 20;             // bytes not yet sent, a server
};

class RedisClient {
 public:
  // kInvalidArgument when the CA file cannot be read or there is no server.
  static Result<std::unique_ptr<RedisClient>> create(Loop& loop, RedisOptions options);
  virtual ~RedisClient() = default;

  // One command whose second word is its key (of EVAL the fourth). An error reply of the server is
  // an Error, too (kUnauthenticated for what AUTH would cure, else kUnavailable or kUpstream).
  virtual Task<Result<RedisReply>> command(std::vector<std::string> words, SteadyTime deadline) = 0;
  // Sends one that nobody waits for. False when it was dropped: the server is not there, or too
  // much waits already.
  virtual bool send(std::vector<std::string> words) = 0;

  // For commands without a key: all servers that hold keys (of a cluster, its masters as known).
  virtual Task<Result<std::vector<RedisAddress>>> servers(SteadyTime deadline) = 0;
  virtual Task<Result<RedisReply>> command_at(RedisAddress server, std::vector<std::string> words,
                                              SteadyTime deadline) = 0;

  virtual size_t connections() const = 0;        // that are up
  virtual std::string last_problem() const = 0;  // of any server; empty when there was none
};

// "redis://host:6379/0, redis://other:6380": scheme, host, port, database. rediss is TLS. Sets
// servers, tls and database of `options`. Passwords do not belong into addresses: refused.
Result<void> parse_redis_urls(const std::vector<std::string>& urls, RedisOptions& options);

}  // namespace samplemind::net
