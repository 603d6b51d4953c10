// A connection of the server: HTTP/1.1 on it, until it turns out to speak HTTP/2.
#include <algorithm>
#include <charconv>
#include <cstring>

#include "net/http1_internal.h"
#include "net/http2_internal.h"
#include "net/server_internal.h"

namespace samplemind::net {

std::string problem_body(int status, std::string_view detail) {
  std::string body = R"({"type":"about:blank","title":")";
  body.append(reason_phrase(status)).append(R"(","status":)").append(std::to_string(status));
  body.append(R"(,"detail":")").append(detail).append("\"}\n");
  return body;
}

namespace {

using std::chrono::milliseconds;

constexpr uint64_t kDrainBytesMax =
    256 << 10;  // an unread body up to this is skipped to keep the connection
constexpr auto kLingerTime = milliseconds(2000);

SteadyTime from_now(milliseconds delay) {
  return std::chrono::steady_clock::now() + delay;
}

// One connection and, in turn, each of its exchanges: reused, so that a request costs few
// allocations.
class Connection final : public ServerConnection, public Exchange {
 public:
  Connection(ServerContext& context, std::shared_ptr<Stream> stream);
  ~Connection() override;
  Task<void> run() override;
  void drain() override;  // idle: end now; else after the exchange
  void cancel_exchange() override;

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

  ServerContext& context_;
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

// ---- Connection: reading requests

Connection::Connection(ServerContext& context, std::shared_ptr<Stream> stream)
    : context_(context), stream_(std::move(stream)), peer_(stream_->peer_address()) {
  stream_->on_end = [this] {
    gone_ = true;
    if (active_) cancel_exchange();
  };
}

Connection::~Connection() {
  if (active_) context_.enter(-1);
  stream_->close();
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
  const ServerLimits& limits = context_.options().limits;
  if (SSL_CTX* tls = context_.tls()) {
    Result<void> secured =
        co_await stream_->handshake(tls, true, std::string(), from_now(limits.header_timeout));
    if (!secured.ok()) co_return;
  }
  bool http2 = stream_->alpn() == "h2";
  if (!stream_->secure()) http2 = co_await begins_http2();
  if (http2) {
    http2_ = Http2Server::create(context_, stream_, peer_);
    co_await http2_->run();
    co_return;
  }
  for (;;) {
    if (co_await next_request() == Got::kClose) co_return;
    if (++in_a_row_ > limits.pipeline_max) {
      in_a_row_ = 0;
      co_await context_.loop().yield();
    }
    active_ = true;
    context_.enter(1);
    co_await one_exchange();
    active_ = false;
    context_.enter(-1);
    if (!keep_ || draining_) {
      co_await linger();
      co_return;
    }
  }
}

// Clear text: does the client speak HTTP/2 unasked?
Task<bool> Connection::begins_http2() {
  const ServerLimits& limits = context_.options().limits;
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
  const ServerLimits& limits = context_.options().limits;
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
  if (const RefusalWriter& write = context_.options().refusal) return write(head_, detail, answer);
  answer.headers.add("content-type", "application/problem+json");
  return problem_body(answer.status, detail);
}

Task<void> Connection::one_exchange() {
  const ServerLimits& limits = context_.options().limits;
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
  co_await context_.handler()(*this);
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
  const ServerLimits& limits = context_.options().limits;
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
  const size_t most = std::min(max_bytes, context_.options().limits.body_bytes_max);
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
  if (draining_ || context_.draining()) keep_ = false;
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
      std::from_chars(value.data(), value.data() + value.size(), length);
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
  if (!has_date) out_.append("date: ").append(context_.date()).append("\r\n");
  if (continue_wanted_) keep_ = false;  // answered without wanting the body
  if (!keep_) {
    out_.append("connection: close\r\n");
  } else if (!http_1_1) {
    out_.append("connection: keep-alive\r\n");
  }
  out_.append("\r\n");
}

Task<Result<void>> Connection::send(std::span<iovec> pieces) {
  Result<void> sent = co_await stream_->send_rest(pieces, context_.options().limits.write_timeout);
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

}  // namespace

std::unique_ptr<ServerConnection> ServerConnection::create(ServerContext& context,
                                                           std::shared_ptr<Stream> stream) {
  return std::make_unique<Connection>(context, std::move(stream));
}

}  // namespace samplemind::net
