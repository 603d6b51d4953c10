#include "net/server.h"

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "base/log.h"
#include "net/http1_internal.h"
#include "net/http2_internal.h"
#include "net/server_internal.h"
#include "net/stream_internal.h"

namespace samplemind::net {

std::string problem_body(int status, std::string_view detail) {
  std::string body = R"({"type":"about:blank","title":")";
  body.append(reason_phrase(status)).append(R"(","status":)").append(std::to_string(status));
  body.append(R"(,"detail":")").append(detail).append("\"}\n");
  return body;
}

namespace {

using std::chrono::milliseconds;

constexpr size_t kInputAhead = 64 << 10;  // read ahead of the handler, for pipelining and bodies
constexpr uint64_t kDrainBytesMax =
    256 << 10;  // an unread body up to this is skipped to keep the connection
constexpr auto kLingerTime = milliseconds(2000);
constexpr auto kAfterCancel = milliseconds(1000);  // what cancelled handlers get to end
constexpr auto kAcceptPause = milliseconds(100);   // after running out of descriptors

class Shard;

// One connection and, in turn, each of its exchanges: reused, so that a request costs few
// allocations.
class Connection final : public Exchange {
 public:
  Connection(Shard& shard, std::shared_ptr<Stream> stream);
  ~Connection() override;
  Task<void> run();
  void drain();  // idle: end now; else after the exchange
  void cancel_exchange();

  const RequestHead& request() const override { return head_; }
  std::string_view peer_address() const override { return peer_; }
  bool secure() const override { return stream_->secure(); }
  CancelToken cancel() const override;
  Task<Result<std::string_view>> read_some() override;
  Task<Result<std::string_view>> read_body(size_t max_bytes) override;
  Task<Result<void>> respond(ResponseHead head, std::string_view body) override;
  Task<Result<void>> start(ResponseHead head) override;
  Task<Result<void>> write(std::string_view piece) override;
  Task<Result<void>> finish() override;
  void abort() override;
  bool started() const override { return started_; }

  Connection* previous = nullptr;  // in the shard's list
  Connection* next = nullptr;

 private:
  enum class Got { kRequest, kClose };
  Task<bool> begins_http2();
  Task<Got> next_request();
  Task<void> one_exchange();
  Task<bool> skip_body();
  Task<void> linger();
  Task<void> refuse(HeadFault fault);
  std::string refusal_body(std::string_view detail, ResponseHead& answer);
  void reset_exchange();
  void take_piece();
  void serialize_head(const ResponseHead& head, bool whole, uint64_t length);
  Result<void> failed();
  Task<Result<void>> send(std::span<iovec> pieces);
  bool has_body() const { return framing_.body != BodyKind::kNone; }

  Shard& shard_;
  std::shared_ptr<Stream> stream_;
  std::shared_ptr<Http2Server> http2_;  // once the connection has turned out to speak it
  std::string peer_;
  HeadScanner scanner_;
  RequestHead head_;
  Framing framing_;
  ChunkedReader chunked_;
  uint64_t body_left_ = 0;  // of a body with a length
  uint64_t body_taken_ = 0;
  bool body_ended_ = false;
  size_t piece_ = 0;              // bytes at the input's front that the handler looks at
  bool continue_wanted_ = false;  // the client waits for 100 Continue
  std::string body_;
  std::string out_;
  mutable CancelToken cancel_;
  mutable bool has_cancel_ = false;
  bool gone_ = false;  // the client ended; what it still sent is served
  bool active_ = false;
  bool started_ = false;
  bool finished_ = false;
  bool keep_ = false;
  bool draining_ = false;
  size_t in_a_row_ = 0;  // requests served without waiting for bytes
  enum class Out { kChunked, kLength, kUntilClose, kNothing } out_kind_ = Out::kNothing;
  uint64_t out_left_ = 0;
};

class ServerCore;

class Shard final : public ServerContext {
 public:
  Shard(ServerCore& core, size_t number);
  ~Shard() override;
  void accept_on(int fd, const asio::ip::tcp& protocol);
  void run(std::promise<void>& ready);  // the thread
  void begin_drain(milliseconds grace);

  std::string_view date() override;
  Loop& loop() override { return loop_; }
  const ServerOptions& options() const override;
  ServerCore& core() { return core_; }
  Handler& handler() override { return handler_; }
  void left(Connection* connection);
  void changed();
  void enter(int by) override { active_.fetch_add(by, std::memory_order_relaxed); }
  size_t connections() const { return connections_.load(std::memory_order_relaxed); }
  size_t active() const { return static_cast<size_t>(active_.load(std::memory_order_relaxed)); }
  bool draining() const override { return draining_; }

 private:
  void accept_next();
  static Task<void> serve(Shard* shard, std::shared_ptr<Stream> stream);

  ServerCore& core_;
  size_t number_;
  Loop loop_;
  std::optional<Acceptor> acceptor_;
  Loop::Timer accept_timer_;
  Loop::Timer drain_timer_;
  Handler handler_;
  Connection* first_ = nullptr;
  std::atomic<size_t> connections_{0};
  std::atomic<int64_t> active_{0};
  bool draining_ = false;
  time_t date_at_ = 0;
  std::string date_;
};

class ServerCore final : public Server {
 public:
  ServerCore(ServerOptions options, HandlerFactory make_handler)
      : options_(std::move(options)), make_handler_(std::move(make_handler)) {}
  ~ServerCore() override { stop(milliseconds(0)); }
  Result<void> open();

  uint16_t port() const override { return port_; }
  std::string host() const override { return options_.host; }
  void start() override;
  void stop(milliseconds grace) override;
  size_t connections() const override;
  size_t active_exchanges() const override;

  const ServerOptions& options() const { return options_; }
  SSL_CTX* tls() const { return tls_.get(); }
  HandlerFactory& make_handler() { return make_handler_; }

 private:
  Result<int> listen_on(const asio::ip::tcp::endpoint& at, bool shared, uint16_t& port);

  ServerOptions options_;
  HandlerFactory make_handler_;
  SslContext tls_{nullptr, SSL_CTX_free};
  uint16_t port_ = 0;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::thread> threads_;
  std::mutex stop_mutex_;
  bool started_ = false;
  bool stopped_ = false;
};

SteadyTime from_now(milliseconds delay) {
  return std::chrono::steady_clock::now() + delay;
}

// ---- Connection: reading requests

Connection::Connection(Shard& shard, std::shared_ptr<Stream> stream)
    : shard_(shard), stream_(std::move(stream)), peer_(stream_->peer_address()) {
  stream_->on_end = [this] {
    gone_ = true;
    if (active_) cancel_exchange();
  };
}

Connection::~Connection() {
  if (active_) shard_.enter(-1);
  stream_->close();
  shard_.left(this);
}

CancelToken Connection::cancel() const {
  if (!has_cancel_) {
    cancel_ = CancelToken::create();
    has_cancel_ = true;
    if (gone_) cancel_.cancel();
    stream_->watch_peer(true);
  }
  return cancel_;
}

void Connection::cancel_exchange() {
  if (http2_) {
    http2_->cancel_all();
    return;
  }
  gone_ = true;
  if (has_cancel_) {
    CancelToken token = cancel_;
    token.cancel();
  }
}

void Connection::drain() {
  draining_ = true;
  if (http2_) {
    http2_->drain();
  } else if (!active_) {
    stream_->close();
  }
}

void Connection::reset_exchange() {
  body_taken_ = 0;
  piece_ = 0;
  chunked_.reset();
  body_left_ = framing_.body == BodyKind::kLength ? framing_.length : 0;
  body_ended_ = !has_body();
  continue_wanted_ = framing_.expect_continue;
  keep_ = framing_.keep_alive;
  started_ = finished_ = false;
  out_kind_ = Out::kNothing;
  if (has_cancel_) {
    cancel_ = CancelToken();
    has_cancel_ = false;
  }
}

Task<void> Connection::run() {
  const ServerLimits& limits = shard_.core().options().limits;
  if (SSL_CTX* tls = shard_.core().tls()) {
    Result<void> secured =
        co_await stream_->handshake(tls, true, std::string(), from_now(limits.header_timeout));
    if (!secured.ok()) co_return;
  }
  bool http2 = stream_->alpn() == "h2";
  if (!stream_->secure()) http2 = co_await begins_http2();
  if (http2) {
    http2_ = Http2Server::create(shard_, stream_, peer_);
    co_await http2_->run();
    co_return;
  }
  for (;;) {
    if (co_await next_request() == Got::kClose) co_return;
    if (++in_a_row_ > limits.pipeline_max) {
      in_a_row_ = 0;
      co_await shard_.loop().yield();
    }
    active_ = true;
    shard_.enter(1);
    co_await one_exchange();
    active_ = false;
    shard_.enter(-1);
    if (!keep_ || draining_) {
      co_await linger();
      co_return;
    }
  }
}

// Clear text: does the client speak HTTP/2 unasked?
Task<bool> Connection::begins_http2() {
  const ServerLimits& limits = shard_.core().options().limits;
  stream_->set_read_deadline(from_now(limits.idle_timeout));
  bool begun = false;
  for (;;) {
    const std::string_view input = stream_->input().substr(0, kHttp2Preface.size());
    if (!kHttp2Preface.starts_with(input) || stream_->end() != Stream::End::kOpen) break;
    if (input.size() == kHttp2Preface.size()) co_return true;
    if (stream_->read_timed_out()) co_return false;  // next_request() ends it
    if (!input.empty() && !std::exchange(begun, true))
      stream_->set_read_deadline(from_now(limits.header_timeout));
    stream_->pump();
    co_await stream_->readable.wait();
  }
  stream_->set_read_deadline(SteadyTime::max());
  co_return false;
}

// Waits for the next head. Ends the connection itself (answering where that helps) when none comes.
Task<Connection::Got> Connection::next_request() {
  const ServerLimits& limits = shard_.core().options().limits;
  scanner_.reset();
  bool begun = false;
  bool timed = false;
  for (;;) {
    std::string_view input = stream_->input();
    while (!begun && input.starts_with("\r\n")) {  // RFC 9112 2.2: blank lines before a request
      stream_->consume(2);
      input = stream_->input();
    }
    const bool blank = !begun && (input.empty() || input == "\r");  // no request has begun
    if (!blank) {
      const Parse state = scanner_.scan(input);
      HeadFault fault;
      if (state == Parse::kBad) fault = {400, "a line that does not end with CR LF"};
      if (state == Parse::kDone && scanner_.size() <= limits.header_bytes_max) {
        fault = parse_request_head(input.substr(0, scanner_.size()), head_, framing_);
        if (fault.status == 0) {
          stream_->consume(scanner_.size());
          if (timed) stream_->set_read_deadline(SteadyTime::max());
          reset_exchange();
          co_return Got::kRequest;
        }
      } else if (state != Parse::kBad && input.size() > limits.header_bytes_max) {
        fault = {431, "request line and header fields are too long"};
      }
      if (fault.status != 0) {
        co_await refuse(fault);
        co_return Got::kClose;
      }
    }
    if (draining_ && input.empty()) co_return Got::kClose;
    if (stream_->end() != Stream::End::kOpen) co_return Got::kClose;
    if (stream_->read_timed_out()) {
      HeadFault fault{408, "the request's head took too long"};
      if (begun) co_await refuse(fault);
      co_return Got::kClose;
    }
    if (blank && !timed) {
      stream_->set_read_deadline(from_now(limits.idle_timeout));
      timed = true;
    } else if (!blank && !begun) {
      begun = timed = true;
      stream_->set_read_deadline(from_now(limits.header_timeout));
    }
    if (input.empty()) stream_->trim();
    stream_->pump();
    in_a_row_ = 0;
    co_await stream_->readable.wait();
  }
}

// Answers what never became a request, and ends the connection.
Task<void> Connection::refuse(HeadFault fault) {
  framing_ = Framing();
  framing_.keep_alive = false;
  head_.method = "GET";
  head_.version = HttpVersion::k1_1;
  reset_exchange();
  ResponseHead answer;
  answer.status = fault.status;
  answer.headers.add("content-type", "application/problem+json");
  const std::string body = problem_body(fault.status, fault.why);
  Result<void> sent = co_await respond(std::move(answer), body);
  if (sent.ok()) co_await linger();
}

// In the form that the service gives its own errors on that path.
std::string Connection::refusal_body(std::string_view detail, ResponseHead& answer) {
  if (const RefusalWriter& write = shard_.core().options().refusal)
    return write(head_, detail, answer);
  answer.headers.add("content-type", "application/problem+json");
  return problem_body(answer.status, detail);
}

Task<void> Connection::one_exchange() {
  const ServerLimits& limits = shard_.core().options().limits;
  if (framing_.body == BodyKind::kLength && framing_.length > limits.body_bytes_max) {
    continue_wanted_ = false;
    keep_ = false;
    ResponseHead answer;
    answer.status = 413;
    const std::string body =
        refusal_body("the body has " + std::to_string(framing_.length) +
                         " bytes, the most taken is " + std::to_string(limits.body_bytes_max),
                     answer);
    Result<void> sent = co_await respond(std::move(answer), body);
    if (!sent.ok()) keep_ = false;
    co_return;
  }
  co_await shard_.handler()(*this);
  if (!started_) {
    ResponseHead answer;
    answer.status = 500;
    const std::string body = refusal_body("the request was not answered", answer);
    Result<void> sent = co_await respond(std::move(answer), body);
    if (!sent.ok()) keep_ = false;
  } else if (!finished_) {
    abort();
  }
  if (has_cancel_) stream_->watch_peer(false);
  if (!co_await skip_body()) keep_ = false;
}

// What the handler left of the body. True when the next request stands at the input's front.
Task<bool> Connection::skip_body() {
  take_piece();
  if (body_ended_) co_return true;
  if (continue_wanted_ || !keep_) co_return false;  // the client may or may not send it now
  if (framing_.body == BodyKind::kLength && body_left_ > kDrainBytesMax) co_return false;
  const uint64_t from = body_taken_;
  while (!body_ended_) {
    if (body_taken_ - from > kDrainBytesMax) co_return false;
    Result<std::string_view> piece = co_await read_some();
    if (!piece.ok()) co_return false;
  }
  take_piece();
  co_return true;
}

// Ends the connection so that the last answer arrives: closing with unread input would reset it.
Task<void> Connection::linger() {
  if (stream_->end() != Stream::End::kOpen) co_return;
  stream_->shutdown_send();
  stream_->set_read_deadline(from_now(kLingerTime));
  while (stream_->end() == Stream::End::kOpen && !stream_->read_timed_out()) {
    stream_->consume(stream_->input().size());
    stream_->pump();
    co_await stream_->readable.wait();
  }
}

// ---- Connection: the body

// Drops the piece that the handler has seen.
void Connection::take_piece() {
  stream_->hold(false);
  if (piece_ > 0) stream_->consume(std::exchange(piece_, 0));
}

Task<Result<std::string_view>> Connection::read_some() {
  const ServerLimits& limits = shard_.core().options().limits;
  take_piece();
  if (body_ended_) co_return std::string_view();
  bool timed = false;
  for (;;) {
    const std::string_view input = stream_->input();
    std::string_view data;
    if (framing_.body == BodyKind::kLength) {
      data = input.substr(0, std::min<uint64_t>(body_left_, input.size()));
      piece_ = data.size();
      body_left_ -= data.size();
      if (body_left_ == 0) body_ended_ = true;
    } else {
      size_t used = 0;
      const ChunkedReader::Step step = chunked_.step(input, used, data);
      if (step == ChunkedReader::Step::kBad) {
        keep_ = false;
        body_ended_ = true;
        co_return Error(ErrorCode::kInvalidArgument,
                        std::string("the body's chunks are broken: ") + chunked_.why());
      }
      if (step == ChunkedReader::Step::kData) {
        piece_ = used;
      } else {
        stream_->consume(used);
        if (step == ChunkedReader::Step::kEnd) body_ended_ = true;
      }
    }
    if (!data.empty() || body_ended_) {
      if (timed) stream_->set_read_deadline(SteadyTime::max());
      continue_wanted_ = false;  // it came without being asked for
      body_taken_ += data.size();
      if (body_taken_ > limits.body_bytes_max) {
        keep_ = false;
        co_return Error(ErrorCode::kTooLarge, "the body is longer than " +
                                                  std::to_string(limits.body_bytes_max) + " bytes");
      }
      if (piece_ > 0) stream_->hold(true);
      co_return data;
    }
    if (stream_->end() != Stream::End::kOpen) {
      keep_ = false;
      co_return Error(ErrorCode::kCancelled, "the client went away before the end of its request");
    }
    if (timed && stream_->read_timed_out()) {
      keep_ = false;
      co_return Error(ErrorCode::kDeadlineExceeded, "the client stopped sending its request");
    }
    if (continue_wanted_) {
      continue_wanted_ = false;
      static constexpr char kContinue[] = "HTTP/1.1 100 Continue\r\n\r\n";
      iovec piece{const_cast<char*>(kContinue), sizeof kContinue - 1};
      std::span<iovec> pieces(&piece, 1);
      Result<void> sent = co_await send(pieces);
      if (!sent.ok()) co_return std::move(sent).error();
    }
    stream_->set_read_deadline(from_now(limits.body_timeout));
    timed = true;
    stream_->pump();
    co_await stream_->readable.wait();
  }
}

Task<Result<std::string_view>> Connection::read_body(size_t max_bytes) {
  const size_t most = std::min(max_bytes, shard_.core().options().limits.body_bytes_max);
  auto too_large = [&] {
    keep_ = false;
    return Error(ErrorCode::kTooLarge,
                 "the body is longer than " + std::to_string(most) + " bytes");
  };
  if (body_taken_ == 0 && framing_.body == BodyKind::kLength) {
    if (framing_.length > most) co_return too_large();
    // All here already, the usual case: no copy.
    if (stream_->input().size() >= framing_.length) co_return co_await read_some();
  }
  body_.clear();
  if (framing_.body == BodyKind::kLength) body_.reserve(body_left_);
  for (;;) {
    Result<std::string_view> piece = co_await read_some();
    if (!piece.ok()) co_return std::move(piece).error();
    if (piece->empty() && body_ended_) break;
    if (body_.size() + piece->size() > most) co_return too_large();
    body_.append(*piece);
  }
  co_return std::string_view(body_);
}

// ---- Connection: the answer

void Connection::serialize_head(const ResponseHead& head, bool whole, uint64_t length) {
  if (draining_ || shard_.draining()) keep_ = false;
  const bool http_1_1 = head_.version == HttpVersion::k1_1;
  const bool bodyless = head.status == 204 || head.status == 304 || head.status < 200;
  bool has_length = false;
  bool has_date = false;
  out_.clear();
  out_.append("HTTP/1.1 ");
  const int status = std::clamp(head.status, 100, 999);
  out_ += static_cast<char>('0' + status / 100);
  out_ += static_cast<char>('0' + status / 10 % 10);
  out_ += static_cast<char>('0' + status % 10);
  out_ += ' ';
  out_.append(reason_phrase(status)).append("\r\n");
  for (const auto& [name, value] : head.headers.fields()) {
    if (iequals(name, "transfer-encoding")) continue;  // ours to say
    if (iequals(name, "content-length")) {
      if (whole || bodyless) continue;
      has_length = !has_length && !value.empty() && value.size() < 19 &&
                   value.find_first_not_of("0123456789") == std::string::npos;
      if (!has_length) continue;
      length = std::stoull(value);
    } else if (iequals(name, "connection")) {
      if (list_has_token(value, "close")) keep_ = false;
      continue;
    } else if (iequals(name, "date")) {
      has_date = true;
    }
    append_field(out_, name, value);
  }
  if (whole) {
    if (!bodyless) out_.append("content-length: ").append(std::to_string(length)).append("\r\n");
    out_kind_ = Out::kNothing;
  } else if (bodyless) {
    out_kind_ = Out::kNothing;
  } else if (has_length) {
    out_kind_ = Out::kLength;
    out_left_ = length;
  } else if (http_1_1) {
    out_kind_ = Out::kChunked;
    out_.append("transfer-encoding: chunked\r\n");
  } else {
    out_kind_ = Out::kUntilClose;
    keep_ = false;
  }
  if (head_.method == "HEAD") out_kind_ = Out::kNothing;
  if (!has_date) out_.append("date: ").append(shard_.date()).append("\r\n");
  if (continue_wanted_) keep_ = false;  // answered without wanting the body
  if (!keep_) {
    out_.append("connection: close\r\n");
  } else if (!http_1_1) {
    out_.append("connection: keep-alive\r\n");
  }
  out_.append("\r\n");
}

Task<Result<void>> Connection::send(std::span<iovec> pieces) {
  Result<void> sent =
      co_await stream_->send_rest(pieces, shard_.core().options().limits.write_timeout);
  if (!sent.ok()) {
    keep_ = false;
    stream_->close_reset();
    cancel_exchange();
    co_return Error(ErrorCode::kCancelled, "the client went away: " + sent.error().message());
  }
  co_return ok();
}

Task<Result<void>> Connection::respond(ResponseHead head, std::string_view body) {
  if (started_) co_return Error(ErrorCode::kInternal, "the answer has been started already");
  serialize_head(head, true, body.size());
  started_ = finished_ = true;
  const bool with_body = head_.method != "HEAD" && head.status != 204 && head.status != 304;
  iovec parts[2] = {{out_.data(), out_.size()},
                    {const_cast<char*>(body.data()), with_body ? body.size() : 0}};
  std::span<iovec> pieces(parts);
  const Stream::Sent sent = stream_->try_send(pieces);
  if (sent == Stream::Sent::kAll) co_return ok();
  co_return co_await send(pieces);
}

Task<Result<void>> Connection::start(ResponseHead head) {
  if (started_) co_return Error(ErrorCode::kInternal, "the answer has been started already");
  serialize_head(head, false, 0);
  started_ = true;
  iovec part{out_.data(), out_.size()};
  std::span<iovec> pieces(&part, 1);
  if (stream_->try_send(pieces) == Stream::Sent::kAll) co_return ok();
  co_return co_await send(pieces);
}

Task<Result<void>> Connection::write(std::string_view piece) {
  if (!started_ || finished_) co_return Error(ErrorCode::kInternal, "write outside of an answer");
  if (piece.empty() || out_kind_ == Out::kNothing) co_return ok();
  char size[24];
  iovec parts[3] = {{nullptr, 0}, {const_cast<char*>(piece.data()), piece.size()}, {nullptr, 0}};
  static constexpr char kCrLf[] = "\r\n";
  if (out_kind_ == Out::kChunked) {
    const int length = std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    parts[0] = {size, static_cast<size_t>(length)};
    parts[2] = {const_cast<char*>(kCrLf), 2};
  } else if (out_kind_ == Out::kLength) {
    if (piece.size() > out_left_) {
      abort();
      co_return Error(ErrorCode::kInternal, "more was written than the answer's Content-Length");
    }
    out_left_ -= piece.size();
  }
  std::span<iovec> pieces(parts);
  if (stream_->try_send(pieces) == Stream::Sent::kAll) co_return ok();
  co_return co_await send(pieces);
}

Task<Result<void>> Connection::finish() {
  if (!started_ || finished_) co_return Error(ErrorCode::kInternal, "finish outside of an answer");
  if (out_kind_ == Out::kLength && out_left_ > 0) {
    abort();
    co_return Error(ErrorCode::kInternal, "less was written than the answer's Content-Length");
  }
  finished_ = true;
  if (out_kind_ != Out::kChunked) co_return ok();
  static constexpr char kEnd[] = "0\r\n\r\n";
  iovec part{const_cast<char*>(kEnd), sizeof kEnd - 1};
  std::span<iovec> pieces(&part, 1);
  if (stream_->try_send(pieces) == Stream::Sent::kAll) co_return ok();
  co_return co_await send(pieces);
}

void Connection::abort() {
  keep_ = false;
  finished_ = true;
  started_ = true;
  stream_->close_reset();
}

// ---- Shard

Shard::Shard(ServerCore& core, size_t number) : core_(core), number_(number) {}
Shard::~Shard() = default;

const ServerOptions& Shard::options() const {
  return core_.options();
}

void Shard::accept_on(int fd, const asio::ip::tcp& protocol) {
  acceptor_.emplace(loop_.rep().io);
  acceptor_->assign(protocol, fd);
}

void Shard::run(std::promise<void>& ready) {
  loop_.keep_alive(true);
  loop_.post([this, &ready] {
    handler_ = core_.make_handler()(loop_, number_);
    accept_next();
    ready.set_value();
  });
  loop_.run();
  acceptor_.reset();
  loop_.destroy_tasks();
  handler_ = nullptr;
}

void Shard::accept_next() {
  if (!acceptor_) return;
  acceptor_->async_accept(loop_.rep().io, [this](const ErrorCodeAsio& error, Socket socket) {
    if (!acceptor_ || error == asio::error::operation_aborted) return;
    if (error) {
      // Out of descriptors or memory: trying again at once would only spin.
      log::warn("net.accept_failed", {{"error", error.message()}});
      accept_timer_ = loop_.after(kAcceptPause, [this] { accept_next(); });
      return;
    }
    if (connections() < core_.options().limits.connections_max) {
      const size_t ahead = std::max(core_.options().limits.header_bytes_max + 1, kInputAhead);
      loop_.spawn(serve(this, Stream::create(loop_, std::move(socket), ahead)));
    }
    accept_next();
  });
}

Task<void> Shard::serve(Shard* shard, std::shared_ptr<Stream> stream) {
  Connection connection(*shard, std::move(stream));
  connection.next = shard->first_;
  if (shard->first_ != nullptr) shard->first_->previous = &connection;
  shard->first_ = &connection;
  shard->connections_.fetch_add(1, std::memory_order_relaxed);
  if (shard->draining_) connection.drain();
  co_await connection.run();
}

void Shard::left(Connection* connection) {
  if (connection->next != nullptr) connection->next->previous = connection->previous;
  if (connection->previous != nullptr) {
    connection->previous->next = connection->next;
  } else {
    first_ = connection->next;
  }
  connections_.fetch_sub(1, std::memory_order_relaxed);
  if (draining_ && first_ == nullptr) loop_.stop();
}

void Shard::begin_drain(milliseconds grace) {
  if (draining_) return;
  draining_ = true;
  acceptor_.reset();
  accept_timer_ = Loop::Timer();
  for (Connection* connection = first_; connection != nullptr; connection = connection->next) {
    connection->drain();
  }
  if (first_ == nullptr) {
    loop_.stop();
    return;
  }
  drain_timer_ = loop_.after(grace, [this] {
    drain_timer_ = loop_.after(kAfterCancel, [this] { loop_.stop(); });
    for (Connection* connection = first_; connection != nullptr;) {
      Connection* following = connection->next;
      connection->cancel_exchange();
      connection = following;
    }
  });
}

std::string_view Shard::date() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != date_at_) {
    date_at_ = now.tv_sec;
    tm parts{};
    gmtime_r(&now.tv_sec, &parts);
    char text[64];
    date_.assign(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts));
  }
  return date_;
}

// ---- Server

Result<int> ServerCore::listen_on(const asio::ip::tcp::endpoint& at, bool shared, uint16_t& port) {
  const std::string where = (at.address().is_v6() ? "[" + options_.host + "]" : options_.host) +
                            ":" + std::to_string(at.port());
  auto failed = [&](int fd, int number, std::string_view what) -> Error {
    if (fd >= 0) ::close(fd);
    if (number == EADDRINUSE) {
      return Error(ErrorCode::kAlreadyExists, where + " is already in use by another program",
                   "stop that program or choose another port with --port");
    }
    if (number == EACCES) {
      return Error(ErrorCode::kPermissionDenied, "not allowed to listen on " + where,
                   "ports below 1024 need privileges: choose a higher one with --port");
    }
    if (number == EADDRNOTAVAIL) {
      return Error(ErrorCode::kInvalidArgument,
                   options_.host + " is not an address of this machine",
                   "use 127.0.0.1, or an address that `ip addr` shows");
    }
    return errno_error(number, std::string(what) + " " + where);
  };
  const int fd = ::socket(at.data()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return failed(fd, errno, "socket for");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
             sizeof on);  // past connections in TIME_WAIT do not matter
  if (shared) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (::bind(fd, at.data(), static_cast<socklen_t>(at.size())) != 0)
    return failed(fd, errno, "bind");
  if (::listen(fd, 4096) != 0) return failed(fd, errno, "listen on");
  asio::ip::tcp::endpoint bound;
  socklen_t size = static_cast<socklen_t>(bound.capacity());
  if (getsockname(fd, bound.data(), &size) != 0) return failed(fd, errno, "getsockname");
  port = bound.port();
  return fd;
}

Result<void> ServerCore::open() {
  if (!options_.tls.certificate_file.empty()) {
    SM_TRY(tls_, make_server_context(options_.tls.certificate_file, options_.tls.key_file));
  }
  std::string host = options_.host == "localhost" ? "127.0.0.1" : options_.host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  ErrorCodeAsio error;
  const auto address = asio::ip::make_address(host, error);
  if (error) {
    return Error(ErrorCode::kInvalidArgument, "'" + options_.host + "' is not an IP address",
                 "give an address literal such as 127.0.0.1 or ::1, or localhost");
  }
  options_.shards = std::max<size_t>(options_.shards, 1);
  // Alone first: with SO_REUSEPORT a second service of the same user would silently share the port.
  SM_TRY(int fd, listen_on({address, options_.port}, false, port_));
  if (options_.shards > 1) {
    ::close(fd);
    fd = -1;
  }
  for (size_t i = 0; i < options_.shards; ++i) {
    if (fd < 0) {
      SM_TRY(fd, listen_on({address, port_}, true, port_));
    }
    shards_.push_back(std::make_unique<Shard>(*this, i));
    shards_.back()->accept_on(std::exchange(fd, -1),
                              address.is_v6() ? asio::ip::tcp::v6() : asio::ip::tcp::v4());
  }
  return ok();
}

void ServerCore::start() {
  SM_ASSERT(!started_);
  started_ = true;
  for (auto& shard : shards_) {
    std::promise<void> ready;
    threads_.emplace_back([&] { shard->run(ready); });
    ready.get_future().wait();
  }
}

void ServerCore::stop(milliseconds grace) {
  std::lock_guard lock(stop_mutex_);
  if (std::exchange(stopped_, true) || !started_) return;
  for (auto& shard : shards_) {
    shard->loop().post([&shard, grace] { shard->begin_drain(grace); });
  }
  for (std::thread& thread : threads_) thread.join();
}

size_t ServerCore::connections() const {
  size_t sum = 0;
  for (const auto& shard : shards_) sum += shard->connections();
  return sum;
}

size_t ServerCore::active_exchanges() const {
  size_t sum = 0;
  for (const auto& shard : shards_) sum += shard->active();
  return sum;
}

}  // namespace

Result<std::unique_ptr<Server>> Server::bind(ServerOptions options, HandlerFactory make_handler) {
  auto server = std::make_unique<ServerCore>(std::move(options), std::move(make_handler));
  SM_CHECK_OK(server->open());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace samplemind::net
