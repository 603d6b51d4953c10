// What a connection of the server needs of the shard it is on, for HTTP/1.1 and HTTP/2 alike.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/server.h"
#include "net/stream_internal.h"

namespace samplemind::net {

class ServerContext {
 public:
  virtual ~ServerContext() = default;
  virtual Loop& loop() = 0;
  virtual const ServerOptions& options() const = 0;
  virtual SSL_CTX* tls() const = 0;  // null: clear text
  virtual Handler& handler() = 0;
  virtual std::string_view date() = 0;  // the Date header's value
  virtual void enter(int by) = 0;       // counts running exchanges
  virtual bool draining() const = 0;
};

// The problem details of RFC 9457.
std::string problem_body(int status, std::string_view detail);

// A connection, whatever it speaks.
class ServerConnection {
 public:
  static std::unique_ptr<ServerConnection> create(ServerContext& context,
                                                  std::shared_ptr<Stream> stream);
  virtual ~ServerConnection() = default;
  virtual Task<void> run() = 0;          // until it has ended
  virtual void drain() = 0;              // idle: ends now; else after what runs
  virtual void cancel_exchange() = 0;    // tells what runs that the client is gone
  ServerConnection* previous = nullptr;  // in the shard's list
  ServerConnection* next = nullptr;
};

// An HTTP/2 connection: its requests run as tasks of their own.
class Http2Server {
 public:
  static std::shared_ptr<Http2Server> create(ServerContext& context, std::shared_ptr<Stream> stream,
                                             std::string peer);
  virtual ~Http2Server() = default;
  // Until the connection has ended and every handler with it.
  virtual Task<void> run() = 0;
  virtual void drain() = 0;       // GOAWAY; what runs may finish
  virtual void cancel_all() = 0;  // tells every handler that its client is gone
};

}  // namespace samplemind::net
