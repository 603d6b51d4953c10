// One TCP connection, clear or TLS, for both sides of HTTP. Bytes are read ahead into one reused
// buffer (bounded: a full buffer stops reading, which is the back-pressure towards the peer), so
// that a peer that goes away is seen while nobody reads. Writes go straight to the socket and wait
// for room only when it has none. Everything on the loop's thread. Handlers in flight hold the
// stream, never a coroutine: frames may be destroyed at any await.
#pragma once

#include <openssl/ssl.h>
#include <sys/uio.h>

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "net/loop_internal.h"

namespace samplemind::net {

using SslContext = std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)>;

// TLS 1.2 and newer. `client` contexts verify against `ca_file`, or the system's store when it is
// empty.
Result<SslContext> make_client_context(const std::string& ca_file);
Result<SslContext> make_server_context(const std::string& certificate_file,
                                       const std::string& key_file);

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  enum class End {
    kOpen,
    kEof,     // the peer ended properly (TLS: with its notice)
    kCut,     // TLS: the connection ended without notice
    kReset,   // a socket or TLS error; see why()
    kClosed,  // we closed it
  };

  static std::shared_ptr<Stream> create(Loop& loop, Socket socket, size_t input_max);
  explicit Stream(Loop& loop, Socket socket, size_t input_max);
  ~Stream();

  // -- connecting. Deadlines of all tasks: read_deadline / write_deadline below.
  Task<Result<void>> connect(asio::ip::tcp::endpoint to, SteadyTime deadline);
  enum class Offer { kHttp1, kHttp2, kBoth };  // client: the protocols named by ALPN
  // Makes it TLS. `host` (client side) is checked against the certificate and sent as SNI.
  Task<Result<void>> handshake(SSL_CTX* context, bool server, std::string host, SteadyTime deadline,
                               Offer offer = Offer::kHttp1);
  // What ALPN has chosen: "h2", "http/1.1" or nothing.
  std::string_view alpn() const;

  // -- input
  std::string_view input() const { return {buffer_.get() + begin_, end_ - begin_}; }
  // Drops bytes from the front. Views into input() stay valid until the next wait or, while hold()
  // is on, until it is off.
  void consume(size_t bytes);
  // While held the buffer neither moves nor grows.
  void hold(bool on);
  // Gives the memory of an empty buffer back (an idle connection after a bulk transfer).
  void trim();
  // True when something changed: bytes, end or deadline. The waiter looks itself.
  bool read_timed_out() const { return read_timed_out_; }
  void set_read_deadline(SteadyTime at);
  // Starts reading if it does not yet; co_await changed.wait() after it.
  void pump() { pump(false); }
  Event readable;

  // -- output
  // From now on send_rest() ends early, with an error, when the peer has sent something: an answer
  // to a request that it does not want to take.
  void stop_sending_on_input(bool on) { stop_on_input_ = on; }
  enum class Sent { kAll, kBlocked, kFailed };
  // Sends what the socket takes and advances `pieces`.
  Sent try_send(std::span<iovec>& pieces);
  // The rest, waiting for room at most `timeout` each time. kUnavailable, kDeadlineExceeded.
  Task<Result<void>> send_rest(std::span<iovec> pieces, std::chrono::milliseconds timeout);

  // -- ending
  End end() const { return end_state_; }
  const std::string& why() const { return why_; }
  void shutdown_send();  // FIN (and TLS notice): the peer sees the end, we still read
  void close();          // wakes both waiters
  void close_reset();    // with RST: the peer cannot take it for a proper end
  // Called once when the peer's end is seen, before the reader is woken, with nothing else on the
  // stack.
  std::function<void()> on_end;
  // While on and the input is full: asks the kernel now and then whether the peer has gone.
  void watch_peer(bool on);

  bool secure() const { return ssl_ != nullptr; }
  std::string peer_address() const;
  Loop& loop() { return loop_; }

 private:
  void pump(bool top_level);
  bool make_room();
  void start_plain_read();
  void read_tls(bool top_level);
  void on_plain_read(const ErrorCodeAsio& error, size_t bytes);
  void ended(End how, std::string why);
  void deliver(bool top_level);
  void wait_writable();
  void set_socket_options();
  void arm_timer();
  void on_timer();
  void look_at_peer();
  ssize_t tls_write(const char* data, size_t size, bool& blocked);
  std::string tls_error(const char* what) const;

  Loop& loop_;
  Socket socket_;
  int fd_ = -1;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_{nullptr, SSL_free};
  std::unique_ptr<char[]> buffer_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t input_max_;
  bool reading_ = false;
  bool held_ = false;
  bool filled_ = false;   // the last read took all the room
  bool starved_ = false;  // no room: reading stands still
  bool wait_write_ = false;
  bool stop_on_input_ = false;
  bool handshaken_ = false;
  End end_state_ = End::kOpen;
  std::string why_;
  Event writable_;
  SteadyTimer timer_;
  SteadyTime read_deadline_ = SteadyTime::max();
  SteadyTime write_deadline_ = SteadyTime::max();
  SteadyTime armed_ = SteadyTime::max();
  bool read_timed_out_ = false;
  bool write_timed_out_ = false;
  bool watch_ = false;
  Loop::Timer watch_timer_;
};

}  // namespace samplemind::net
