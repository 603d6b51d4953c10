#include "net/stream_internal.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace samplemind::net {

namespace {

constexpr size_t kFirstBuffer = 4 << 10;   // a typical request; an idle connection costs no more
constexpr size_t kBulkBuffer = 128 << 10;  // where bytes come in bulk
constexpr size_t kTrimAbove = 16 << 10;    // what an idle connection may keep
constexpr auto kWatchEvery = std::chrono::milliseconds(50);

// OpenSSL's own socket BIO writes without MSG_NOSIGNAL: a peer that has gone would end the process.
int bio_write(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const auto fd = static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
  const ssize_t sent = ::send(fd, data, static_cast<size_t>(size), MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int bio_read(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const auto fd = static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
  const ssize_t got = ::recv(fd, data, static_cast<size_t>(size), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(got);
}

long bio_ctrl(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return 0;
}

BIO_METHOD* socket_bio() {
  static BIO_METHOD* method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_ctrl(made, bio_ctrl);
    return made;
  }();
  return method;
}

std::string openssl_error() {
  char text[256] = "no details";
  if (const unsigned long code = ERR_get_error()) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return text;
}

constexpr unsigned char kAlpnHttp1[] = "\x08http/1.1";
constexpr unsigned char kAlpnHttp2[] = "\x02h2";
constexpr unsigned char kAlpnBoth[] = "\x02h2\x08http/1.1";

int choose_alpn(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* offered,
                unsigned int offered_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, kAlpnBoth, sizeof kAlpnBoth - 1, offered,
                            offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;  // the client may still speak HTTP/1.1 without saying so
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

SslContext new_context(const SSL_METHOD* method) {
  SslContext context(SSL_CTX_new(method), SSL_CTX_free);
  if (!context) return context;
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  return context;
}

}  // namespace

Result<SslContext> make_client_context(const std::string& ca_file) {
  SslContext context = new_context(TLS_client_method());
  if (!context) return Error(ErrorCode::kInternal, "TLS: " + openssl_error());
  const int loaded = ca_file.empty()
                         ? SSL_CTX_set_default_verify_paths(context.get())
                         : SSL_CTX_load_verify_locations(context.get(), ca_file.c_str(), nullptr);
  if (loaded != 1) {
    return Error(ErrorCode::kInvalidArgument,
                 "TLS: cannot read the certificates in " +
                     (ca_file.empty() ? std::string("the system's store") : ca_file) + ": " +
                     openssl_error(),
                 "install ca-certificates, or name a readable PEM file");
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  return context;
}

Result<SslContext> make_server_context(const std::string& certificate_file,
                                       const std::string& key_file) {
  SslContext context = new_context(TLS_server_method());
  if (!context) return Error(ErrorCode::kInternal, "TLS: " + openssl_error());
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate_file.c_str()) != 1) {
    return Error(ErrorCode::kInvalidArgument,
                 "TLS: cannot use the certificate " + certificate_file + ": " + openssl_error(),
                 "give a readable PEM file, the server's certificate first");
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return Error(ErrorCode::kInvalidArgument,
                 "TLS: cannot use the key " + key_file + " with the certificate " +
                     certificate_file + ": " + openssl_error(),
                 "give the PEM key that belongs to the certificate, without a pass phrase");
  }
  SSL_CTX_set_alpn_select_cb(context.get(), choose_alpn, nullptr);
  return context;
}

std::shared_ptr<Stream> Stream::create(Loop& loop, Socket socket, size_t input_max) {
  return std::make_shared<Stream>(loop, std::move(socket), input_max);
}

Stream::Stream(Loop& loop, Socket socket, size_t input_max)
    : loop_(loop), socket_(std::move(socket)), input_max_(input_max), timer_(loop.rep().io) {
  if (socket_.is_open()) set_socket_options();
}

void Stream::set_socket_options() {
  ErrorCodeAsio ignored;
  socket_.native_non_blocking(true, ignored);
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  fd_ = socket_.native_handle();
  ::fcntl(fd_, F_SETFD,
          FD_CLOEXEC);  // Asio does not: a child process would keep the connection open
}

Stream::~Stream() = default;

std::string Stream::peer_address() const {
  ErrorCodeAsio error;
  const auto endpoint = socket_.remote_endpoint(error);
  return error ? std::string() : endpoint.address().to_string();
}

// ---- connecting

Task<Result<void>> Stream::connect(asio::ip::tcp::endpoint to, SteadyTime deadline) {
  ErrorCodeAsio error;
  socket_.open(to.protocol(), error);
  if (error) co_return Error(ErrorCode::kUnavailable, "no socket: " + error.message());
  set_socket_options();
  // A model that loads may stay silent for minutes: probes keep what lies between from forgetting
  // the connection.
  socket_.set_option(asio::socket_base::keep_alive(true), error);
  const int seconds = 30;
  setsockopt(fd_, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  auto result = std::make_shared<std::optional<ErrorCodeAsio>>();
  auto handler = [self = shared_from_this(), result](const ErrorCodeAsio& e) {
    *result = e;
    self->writable_.notify_inline();
  };
  socket_.async_connect(to, std::move(handler));
  write_deadline_ = deadline;
  arm_timer();
  while (!*result && !write_timed_out_ && end_state_ == End::kOpen) co_await writable_.wait();
  write_deadline_ = SteadyTime::max();
  if (end_state_ != End::kOpen) co_return Error(ErrorCode::kCancelled, "given up while connecting");
  if (write_timed_out_) {
    close();
    co_return Error(ErrorCode::kDeadlineExceeded, "no answer to the connection attempt");
  }
  if (**result) co_return Error(ErrorCode::kUnavailable, (*result)->message());
  co_return ok();
}

Task<Result<void>> Stream::handshake(SSL_CTX* context, bool server, std::string host,
                                     SteadyTime deadline, Offer offer) {
  ssl_.reset(SSL_new(context));
  BIO* bio = BIO_new(socket_bio());
  if (!ssl_ || bio == nullptr) co_return Error(ErrorCode::kInternal, "TLS: " + openssl_error());
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(fd_)));
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  if (server) {
    SSL_set_accept_state(ssl_.get());
  } else {
    SSL_set_connect_state(ssl_.get());
    const auto [protocols, size] = offer == Offer::kHttp1 ? std::pair(kAlpnHttp1, sizeof kAlpnHttp1)
                                   : offer == Offer::kHttp2
                                       ? std::pair(kAlpnHttp2, sizeof kAlpnHttp2)
                                       : std::pair(kAlpnBoth, sizeof kAlpnBoth);
    SSL_set_alpn_protos(ssl_.get(), protocols, static_cast<unsigned>(size - 1));
    ErrorCodeAsio not_literal;
    asio::ip::make_address(host, not_literal);
    if (not_literal) {
      SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
      SSL_set_hostflags(ssl_.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      if (SSL_set1_host(ssl_.get(), host.c_str()) != 1) {
        co_return Error(ErrorCode::kInternal, "TLS: " + openssl_error());
      }
    } else if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), host.c_str()) != 1) {
      co_return Error(ErrorCode::kInternal, "TLS: " + openssl_error());
    }
  }
  read_deadline_ = deadline;
  arm_timer();
  for (;;) {
    if (end_state_ != End::kOpen)
      co_return Error(ErrorCode::kCancelled, "given up in the TLS handshake");
    if (read_timed_out_) {
      close();
      co_return Error(ErrorCode::kDeadlineExceeded, "no answer in the TLS handshake");
    }
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    if (done == 1) break;
    const int wants = SSL_get_error(ssl_.get(), done);
    if (wants != SSL_ERROR_WANT_READ && wants != SSL_ERROR_WANT_WRITE) {
      std::string text = tls_error("handshake");
      close();
      co_return Error(ErrorCode::kUnavailable, std::move(text));
    }
    if (!reading_) {
      reading_ = true;
      auto handler = [self = shared_from_this()](const ErrorCodeAsio&) {
        self->reading_ = false;
        self->readable.notify_inline();
      };
      socket_.async_wait(wants == SSL_ERROR_WANT_READ ? Socket::wait_read : Socket::wait_write,
                         std::move(handler));
    }
    co_await readable.wait();
  }
  read_deadline_ = SteadyTime::max();
  handshaken_ = true;
  co_return ok();
}

std::string_view Stream::alpn() const {
  if (!ssl_) return {};
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string Stream::tls_error(const char* what) const {
  std::string text = std::string("TLS ") + what + ": ";
  const long verified = SSL_get_verify_result(ssl_.get());
  const unsigned long code = ERR_peek_error();
  if (verified != X509_V_OK) {
    text +=
        std::string("the certificate is not trusted: ") + X509_verify_cert_error_string(verified);
    ERR_clear_error();
  } else if (code == 0) {
    text += "the peer closed the connection";
  } else {
    text += openssl_error();
  }
  return text;
}

// ---- input

void Stream::consume(size_t bytes) {
  begin_ += bytes;
  SM_ASSERT(begin_ <= end_);
  if (begin_ == end_ && !reading_ && !held_) begin_ = end_ = 0;
  if (starved_ && !held_) pump(false);
}

void Stream::hold(bool on) {
  held_ = on;
  if (!on && starved_) pump(false);
}

// True when there is room for at least one byte. REQUIRES: no read in flight.
bool Stream::make_room() {
  const size_t used = end_ - begin_;
  if (held_) return end_ < capacity_;
  if (used == 0) begin_ = end_ = 0;
  const size_t limit = input_max_;
  const bool was_filled = std::exchange(filled_, false) || end_ == capacity_;
  if (capacity_ - end_ < capacity_ / 2 && begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, used);
    begin_ = 0;
    end_ = used;
  }
  if (was_filled && capacity_ < limit) {
    // A read that filled the buffer: more is coming.
    size_t size = std::clamp(std::max(capacity_ * 4, kFirstBuffer), kFirstBuffer,
                             std::min(limit, kBulkBuffer));
    if (size > capacity_) {
      std::unique_ptr<char[]> larger(new char[size]);
      if (used > 0) std::memcpy(larger.get(), buffer_.get() + begin_, used);
      buffer_ = std::move(larger);
      capacity_ = size;
      begin_ = 0;
      end_ = used;
    }
  }
  return end_ < capacity_;
}

void Stream::trim() {
  if (begin_ != end_ || reading_ || held_ || capacity_ <= kTrimAbove) return;
  buffer_.reset();
  capacity_ = begin_ = end_ = 0;
}

void Stream::pump(bool top_level) {
  if (reading_ || end_state_ != End::kOpen || (ssl_ && !handshaken_)) return;
  starved_ = !make_room();
  if (starved_) {
    look_at_peer();
    return;
  }
  if (ssl_) {
    read_tls(top_level);
  } else {
    start_plain_read();
  }
}

void Stream::start_plain_read() {
  reading_ = true;
  socket_.async_read_some(asio::mutable_buffer(buffer_.get() + end_, capacity_ - end_),
                          [self = shared_from_this()](const ErrorCodeAsio& error, size_t bytes) {
                            self->on_plain_read(error, bytes);
                          });
}

void Stream::on_plain_read(const ErrorCodeAsio& error, size_t bytes) {
  reading_ = false;
  if (end_state_ != End::kOpen) return;
  if (error) {
    ended(error == asio::error::eof ? End::kEof : End::kReset, error.message());
    deliver(true);
    return;
  }
  end_ += bytes;
  filled_ = end_ == capacity_;
  deliver(true);
}

void Stream::read_tls(bool top_level) {
  bool got = false;
  while (end_ < capacity_) {
    ERR_clear_error();
    const int bytes =
        SSL_read(ssl_.get(), buffer_.get() + end_, static_cast<int>(capacity_ - end_));
    if (bytes > 0) {
      end_ += static_cast<size_t>(bytes);
      got = true;
      continue;
    }
    const int wants = SSL_get_error(ssl_.get(), bytes);
    if (wants == SSL_ERROR_WANT_READ || wants == SSL_ERROR_WANT_WRITE) {
      if (got) break;
      reading_ = true;
      socket_.async_wait(wants == SSL_ERROR_WANT_READ ? Socket::wait_read : Socket::wait_write,
                         [self = shared_from_this()](const ErrorCodeAsio& error) {
                           self->reading_ = false;
                           if (!error) self->pump(true);
                         });
      return;
    }
    if (wants == SSL_ERROR_ZERO_RETURN) {
      ended(End::kEof, "the peer ended the TLS connection");
    } else if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING ||
               (wants == SSL_ERROR_SYSCALL && ERR_peek_error() == 0)) {
      ended(End::kCut, "the TLS connection ended without its closing notice");
    } else {
      ended(End::kReset, tls_error("read"));
    }
    ERR_clear_error();
    got = true;
    break;
  }
  filled_ = end_ == capacity_;
  if (got) deliver(top_level);
}

void Stream::ended(End how, std::string why) {
  end_state_ = how;
  why_ = std::move(why);
}

void Stream::deliver(bool top_level) {
  if (!top_level) {
    // Somebody is in the middle of using us: through the queue. Reading must go on there, too, or
    // the peer's end would not be seen while the reader is busy with what has come.
    loop_.post([weak = weak_from_this()] {
      auto self = weak.lock();
      if (!self) return;
      if (self->end_state_ != End::kOpen && self->on_end) std::exchange(self->on_end, nullptr)();
      self->pump(true);
    });
    if (stop_on_input_) writable_.notify();
    readable.notify();
    return;
  }
  if (end_state_ != End::kOpen && on_end) std::exchange(on_end, nullptr)();
  if (stop_on_input_) writable_.notify();
  readable.notify_inline();
  pump(true);  // ahead of the reader, who may be busy
}

void Stream::set_read_deadline(SteadyTime at) {
  read_deadline_ = at;
  read_timed_out_ = false;
  arm_timer();
}

void Stream::watch_peer(bool on) {
  watch_ = on;
  if (!on) {
    watch_timer_ = Loop::Timer();
  } else if (starved_) {
    look_at_peer();
  }
}

void Stream::look_at_peer() {
  if (!watch_ || !starved_ || end_state_ != End::kOpen || !on_end) return;
  watch_timer_ = loop_.after(kWatchEvery, [this] {  // dies with us
    if (!watch_ || !starved_ || end_state_ != End::kOpen) return;
    tcp_info info{};
    socklen_t size = sizeof info;
    if (getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
        info.tcpi_state != TCP_ESTABLISHED) {
      auto self = shared_from_this();
      if (on_end) std::exchange(on_end, nullptr)();
      return;
    }
    look_at_peer();
  });
}

// ---- output

ssize_t Stream::tls_write(const char* data, size_t size, bool& blocked) {
  ERR_clear_error();
  const int sent = SSL_write(ssl_.get(), data, static_cast<int>(std::min<size_t>(size, 1 << 30)));
  if (sent > 0) return sent;
  const int wants = SSL_get_error(ssl_.get(), sent);
  blocked = wants == SSL_ERROR_WANT_WRITE || wants == SSL_ERROR_WANT_READ;
  if (!blocked) ERR_clear_error();
  return -1;
}

Stream::Sent Stream::try_send(std::span<iovec>& pieces) {
  while (!pieces.empty() && pieces.front().iov_len == 0) pieces = pieces.subspan(1);
  while (!pieces.empty()) {
    // kEof: the peer has only ended its own direction.
    if (end_state_ == End::kClosed || end_state_ == End::kReset) return Sent::kFailed;
    ssize_t sent = 0;
    bool blocked = false;
    if (ssl_) {
      // Small pieces (a head and its body) become one record: fewer bytes, fewer system calls.
      char joined[16 << 10];
      size_t size = 0;
      for (const iovec& piece : pieces) {
        const size_t part = std::min(piece.iov_len, sizeof joined - size);
        std::memcpy(joined + size, piece.iov_base, part);
        size += part;
        if (size == sizeof joined) break;
      }
      sent = tls_write(joined, size, blocked);
    } else {
      msghdr message{};
      message.msg_iov = pieces.data();
      message.msg_iovlen = std::min<size_t>(pieces.size(), 64);
      sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
      blocked = sent < 0 && (errno == EAGAIN || errno == EINTR);
    }
    if (sent < 0) return blocked ? Sent::kBlocked : Sent::kFailed;
    auto left = static_cast<size_t>(sent);
    while (!pieces.empty() && left >= pieces.front().iov_len) {
      left -= pieces.front().iov_len;
      pieces = pieces.subspan(1);
    }
    if (left > 0) {
      pieces.front().iov_base = static_cast<char*>(pieces.front().iov_base) + left;
      pieces.front().iov_len -= left;
    }
  }
  return Sent::kAll;
}

Task<Result<void>> Stream::send_rest(std::span<iovec> pieces, std::chrono::milliseconds timeout) {
  for (;;) {
    const Sent sent = try_send(pieces);
    if (sent == Sent::kAll) {
      write_deadline_ = SteadyTime::max();
      co_return ok();
    }
    if (sent == Sent::kFailed) {
      co_return Error(ErrorCode::kUnavailable, "the connection is closed");
    }
    if (stop_on_input_) {
      pump();
      if (!input().empty()) co_return Error(ErrorCode::kUnavailable, "the peer answered early");
    }
    wait_writable();
    write_timed_out_ = false;
    write_deadline_ = std::chrono::steady_clock::now() + timeout;
    arm_timer();
    co_await writable_.wait();
    if (write_timed_out_) {
      co_return Error(ErrorCode::kDeadlineExceeded, "the peer takes no data");
    }
  }
}

void Stream::wait_writable() {
  if (wait_write_ || fd_ < 0) return;
  wait_write_ = true;
  socket_.async_wait(Socket::wait_write, [self = shared_from_this()](const ErrorCodeAsio&) {
    self->wait_write_ = false;
    self->writable_.notify_inline();
  });
}

// ---- deadlines: one timer, moved earlier at once but later only when it fires

void Stream::arm_timer() {
  const SteadyTime at = std::min(read_deadline_, write_deadline_);
  if (at >= armed_ || end_state_ == End::kClosed) return;
  armed_ = at;
  timer_.expires_at(at);
  timer_.async_wait([self = shared_from_this()](const ErrorCodeAsio& error) {
    if (!error) self->on_timer();
  });
}

void Stream::on_timer() {
  armed_ = SteadyTime::max();
  const SteadyTime now = std::chrono::steady_clock::now();
  const bool read_late = read_deadline_ <= now;
  const bool write_late = write_deadline_ <= now;
  if (read_late) {
    read_deadline_ = SteadyTime::max();
    read_timed_out_ = true;
    readable.notify();
  }
  if (write_late) {
    write_deadline_ = SteadyTime::max();
    write_timed_out_ = true;
    writable_.notify();
  }
  arm_timer();
}

// ---- ending

void Stream::shutdown_send() {
  if (fd_ < 0) return;
  if (ssl_ && handshaken_) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  ::shutdown(fd_, SHUT_WR);
}

void Stream::close() {
  if (end_state_ == End::kClosed && fd_ < 0) return;
  if (ssl_ && handshaken_ && (end_state_ == End::kOpen || end_state_ == End::kEof)) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  end_state_ = End::kClosed;
  fd_ = -1;
  on_end = nullptr;
  watch_timer_ = Loop::Timer();
  timer_.cancel();
  ErrorCodeAsio ignored;
  socket_.close(ignored);
  readable.notify();
  writable_.notify();
}

void Stream::close_reset() {
  if (fd_ >= 0) {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    handshaken_ = false;  // no TLS notice either
  }
  close();
}

}  // namespace samplemind::net
