#include <algorithm>
#include <charconv>

#include "net/http1_internal.h"
#include "net/http2_internal.h"
#include "net/server_internal.h"

namespace samplemind::net {

namespace {

using std::chrono::milliseconds;

constexpr size_t kCopyMax =
    16 << 10;  // an answer up to this is copied, so that nobody waits for it

SteadyTime from_now(milliseconds delay) {
  return std::chrono::steady_clock::now() + delay;
}

class Connection;

class Http2Exchange final : public Exchange {
 public:
  Http2Exchange(std::shared_ptr<Connection> connection, std::shared_ptr<Http2Stream> stream);
  ~Http2Exchange() override;
  Task<void> run();
  void client_gone();

  const RequestHead& request() const override { return head_; }
  std::string_view peer_address() const override;
  bool secure() const override;
  CancelToken cancel() const override;
  Task<Result<std::string_view>> read_some() override;
  Task<Result<std::string_view>> read_body(size_t max_bytes) override;
  Task<Result<void>> respond(ResponseHead head, std::string_view body) override;
  Task<Result<void>> start(ResponseHead head) override;
  Task<Result<void>> write(std::string_view piece) override;
  Task<Result<void>> finish() override;
  void abort() override;
  bool started() const override { return started_; }

  Http2Exchange* previous = nullptr;  // in the connection's list
  Http2Exchange* next = nullptr;

 private:
  HeadFault take_head();
  Task<void> refuse(int status, std::string_view detail, bool problem);
  Http2Fields answer_fields(const ResponseHead& head, bool whole, uint64_t length);
  bool bodyless(int status) const {
    return head_.method == "HEAD" || status == 204 || status == 304;
  }
  Task<Result<void>> wait_sent();
  Error gone() const { return Error(ErrorCode::kCancelled, "the client went away"); }
  const ServerLimits& limits() const;

  std::shared_ptr<Connection> connection_;
  std::shared_ptr<Http2Stream> stream_;
  RequestHead head_;
  uint64_t length_ = 0;  // of a Content-Length
  bool has_length_ = false;
  bool continue_wanted_ = false;
  uint64_t body_taken_ = 0;
  std::string body_;
  mutable CancelToken cancel_;
  mutable bool has_cancel_ = false;
  bool gone_ = false;
  bool started_ = false;
  bool finished_ = false;
  bool no_body_ = false;  // what is written goes nowhere (HEAD, 204, 304)
  bool out_has_length_ = false;
  uint64_t out_left_ = 0;
};

class Connection final : public Http2Server,
                         public Http2Owner,
                         public std::enable_shared_from_this<Connection> {
 public:
  Connection(ServerContext& context, std::shared_ptr<Stream> stream, std::string peer)
      : context_(context), stream_(std::move(stream)), peer_(std::move(peer)) {}
  ~Connection() override {
    if (session_) session_->forget_owner();
  }

  Task<void> run() override {
    const auto self = shared_from_this();
    const ServerLimits& limits = context_.options().limits;
    Http2Limits own;
    own.server = true;
    own.streams_max = limits.streams_max;
    own.stream_window = limits.stream_window;
    own.header_bytes_max = limits.header_bytes_max;
    own.header_timeout = limits.header_timeout;
    own.idle_timeout = limits.idle_timeout;
    own.write_timeout = limits.write_timeout;
    stream_->on_end = nullptr;
    stream_->set_read_deadline(SteadyTime::max());
    session_ = Http2Session::create(stream_, own, this);
    if (context_.draining()) session_->drain();
    co_await session_->run();
    cancel_all();
    while (running_ > 0) co_await left_.wait();
  }
  void drain() override {
    if (session_) session_->drain();
  }
  void cancel_all() override {
    for (Http2Exchange* each = first_; each != nullptr;) {
      Http2Exchange* following = each->next;
      each->client_gone();
      each = following;
    }
  }
  void on_request(std::shared_ptr<Http2Stream> stream) override {
    // Handlers whose streams were reset may still run: they count, too.
    if (running_ >= 2 * context_.options().limits.streams_max) {
      session_->reset(*stream, Http2Code::kRefusedStream);
      return;
    }
    ++running_;
    context_.loop().spawn(serve(shared_from_this(), std::move(stream)));
  }

  void enter(Http2Exchange* exchange) {
    context_.enter(1);
    exchange->next = first_;
    if (first_ != nullptr) first_->previous = exchange;
    first_ = exchange;
  }
  void leave(Http2Exchange* exchange) {
    context_.enter(-1);
    if (exchange->next != nullptr) exchange->next->previous = exchange->previous;
    (exchange->previous != nullptr ? exchange->previous->next : first_) = exchange->next;
    --running_;
    if (running_ == 0) left_.notify();
  }
  ServerContext& context() { return context_; }
  Http2Session& session() { return *session_; }
  Stream& stream() { return *stream_; }
  const std::string& peer() const { return peer_; }

 private:
  static Task<void> serve(std::shared_ptr<Connection> self, std::shared_ptr<Http2Stream> stream) {
    Http2Exchange exchange(std::move(self), std::move(stream));
    co_await exchange.run();
  }

  ServerContext& context_;
  std::shared_ptr<Stream> stream_;
  std::string peer_;
  std::shared_ptr<Http2Session> session_;
  Http2Exchange* first_ = nullptr;
  size_t running_ = 0;
  Event left_;
};

// ---- Http2Exchange

Http2Exchange::Http2Exchange(std::shared_ptr<Connection> connection,
                             std::shared_ptr<Http2Stream> stream)
    : connection_(std::move(connection)), stream_(std::move(stream)) {
  connection_->enter(this);
  if (stream_->closed()) {
    gone_ = true;
  } else {
    stream_->on_cut = [this] { client_gone(); };
  }
}

Http2Exchange::~Http2Exchange() {
  stream_->on_cut = nullptr;
  if (!finished_) connection_->session().reset(*stream_, Http2Code::kInternalError);
  connection_->leave(this);
}

const ServerLimits& Http2Exchange::limits() const {
  return connection_->context().options().limits;
}
std::string_view Http2Exchange::peer_address() const {
  return connection_->peer();
}
bool Http2Exchange::secure() const {
  return connection_->stream().secure();
}

void Http2Exchange::client_gone() {
  gone_ = true;
  if (has_cancel_) {
    CancelToken token = cancel_;
    token.cancel();
  }
}

CancelToken Http2Exchange::cancel() const {
  if (!has_cancel_) {
    cancel_ = CancelToken::create();
    has_cancel_ = true;
    if (gone_) cancel_.cancel();
  }
  return cancel_;
}

// The request as the handler sees it. What HTTP/1.1 refuses is refused here, too; nghttp2 has
// checked the fields' characters, connection fields and the body's length.
HeadFault Http2Exchange::take_head() {
  Http2Stream& in = *stream_;
  if (in.head_too_large()) return {431, "header fields are too long"};
  head_.version = HttpVersion::k2;
  head_.method = std::move(in.method);
  head_.target = std::move(in.path);
  head_.authority = std::move(in.authority);
  head_.headers = std::move(in.headers);
  if (head_.method == "CONNECT") return {501, "CONNECT is not served here"};
  const std::vector<std::string_view> hosts = head_.headers.get_all("host");
  if (hosts.size() > 1) return {400, "more than one Host"};
  if (head_.authority.empty()) {
    if (hosts.empty()) return {400, "no :authority"};
    head_.authority = std::string(hosts[0]);
  } else if (hosts.size() == 1 && !iequals(hosts[0], head_.authority)) {
    return {400, "Host and :authority differ"};
  } else if (hosts.empty()) {
    head_.headers.add("host", head_.authority);
  }
  if (const HeadFault fault = check_http2_target(head_); fault.status != 0) return fault;
  if (const auto length = head_.headers.get("content-length")) {
    const auto [end, error] =
        std::from_chars(length->data(), length->data() + length->size(), length_);
    if (error != std::errc() || end != length->data() + length->size())
      return {400, "invalid Content-Length"};
    has_length_ = true;
  }
  if (const auto expect = head_.headers.get("expect")) {
    if (!iequals(*expect, "100-continue")) return {417, "an expectation other than 100-continue"};
    continue_wanted_ = !in.remote_ended();
  }
  return {};
}

Task<void> Http2Exchange::refuse(int status, std::string_view detail, bool problem) {
  ResponseHead answer;
  answer.status = status;
  std::string body;
  const RefusalWriter& write = connection_->context().options().refusal;
  if (write && !problem) {
    body = write(head_, detail, answer);
  } else {
    answer.headers.add("content-type", "application/problem+json");
    body = problem_body(status, detail);
  }
  Result<void> sent = co_await respond(std::move(answer), body);
  static_cast<void>(sent);
}

Task<void> Http2Exchange::run() {
  if (gone_) {
    finished_ = true;
    co_return;
  }
  const HeadFault fault = take_head();
  if (fault.status != 0) {
    co_await refuse(fault.status, fault.why, true);
  } else if (has_length_ && length_ > limits().body_bytes_max) {
    continue_wanted_ = false;
    const std::string detail = "the body has " + std::to_string(length_) +
                               " bytes, the most taken is " +
                               std::to_string(limits().body_bytes_max);
    co_await refuse(413, detail, false);
  } else {
    co_await connection_->context().handler()(*this);
    if (!started_) {
      co_await refuse(500, "the request was not answered", false);
    } else if (!finished_) {
      abort();
    }
  }
  connection_->session().stop_reading(*stream_);
  stream_->give_up_after(limits().write_timeout);
}

// ---- the body

Task<Result<std::string_view>> Http2Exchange::read_some() {
  bool timed = false;
  for (;;) {
    std::string_view piece;
    switch (stream_->take(piece)) {
      case Http2Stream::Input::kPiece:
        continue_wanted_ = false;
        body_taken_ += piece.size();
        if (body_taken_ > limits().body_bytes_max) {
          co_return Error(
              ErrorCode::kTooLarge,
              "the body is longer than " + std::to_string(limits().body_bytes_max) + " bytes");
        }
        co_return piece;
      case Http2Stream::Input::kEnd:
        co_return std::string_view();
      case Http2Stream::Input::kCut:
        co_return Error(ErrorCode::kCancelled,
                        "the client went away before the end of its request");
      case Http2Stream::Input::kNothingYet:
        break;
    }
    if (timed && stream_->read_timed_out()) {
      co_return Error(ErrorCode::kDeadlineExceeded, "the client stopped sending its request");
    }
    if (std::exchange(continue_wanted_, false)) connection_->session().send_continue(*stream_);
    if (!std::exchange(timed, true)) stream_->set_read_deadline(from_now(limits().body_timeout));
    co_await stream_->readable.wait();
  }
}

Task<Result<std::string_view>> Http2Exchange::read_body(size_t max_bytes) {
  const size_t most = std::min(max_bytes, limits().body_bytes_max);
  const Error too_large(ErrorCode::kTooLarge,
                        "the body is longer than " + std::to_string(most) + " bytes");
  if (has_length_ && body_taken_ == 0) {
    if (length_ > most) co_return too_large;
    // All here already, the usual case: no copy.
    if (stream_->remote_ended() && length_ > 0) {
      Result<std::string_view> piece = co_await read_some();
      if (!piece.ok() || piece->size() == length_) co_return piece;
      body_.assign(*piece);
    }
  }
  for (;;) {
    Result<std::string_view> piece = co_await read_some();
    if (!piece.ok()) co_return std::move(piece).error();
    if (piece->empty()) break;
    if (body_.size() + piece->size() > most) co_return too_large;
    body_.append(*piece);
  }
  co_return std::string_view(body_);
}

// ---- the answer

Http2Fields Http2Exchange::answer_fields(const ResponseHead& head, bool whole,
                                                         uint64_t length) {
  Http2Fields fields;
  fields.reserve(head.headers.fields().size() + 4);
  const int status = std::clamp(head.status, 200, 999);
  fields.emplace_back(":status", std::to_string(status));
  bool has_date = false;
  for (const auto& [name, value] : head.headers.fields()) {
    std::string lower(name);
    for (char& c : lower) c = ascii_lower(c);
    if (lower == "connection" || lower == "transfer-encoding" || lower == "keep-alive" ||
        lower == "upgrade" || lower == "proxy-connection")
      continue;
    if (lower == "content-length") {
      if (whole || status == 204 || out_has_length_) continue;
      const auto [end, error] =
          std::from_chars(value.data(), value.data() + value.size(), out_left_);
      if (error != std::errc() || end != value.data() + value.size()) continue;
      out_has_length_ = true;
    }
    if (lower == "date") has_date = true;
    std::string clean(value);
    std::replace_if(
        clean.begin(), clean.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; },
        ' ');
    fields.emplace_back(std::move(lower), std::string(trim_ows(clean)));
  }
  if (whole && status != 204 && status != 304)
    fields.emplace_back("content-length", std::to_string(length));
  if (!has_date) fields.emplace_back("date", connection_->context().date());
  return fields;
}

// Until what was given is with the socket, or the client takes nothing for too long.
Task<Result<void>> Http2Exchange::wait_sent() {
  while (!stream_->closed() && !stream_->room()) {
    stream_->set_write_deadline(from_now(limits().write_timeout));
    co_await stream_->writable.wait();
    if (stream_->write_timed_out() && !stream_->room() &&
        std::chrono::steady_clock::now() - stream_->last_sent() >= limits().write_timeout) {
      finished_ = true;
      connection_->session().reset(*stream_, Http2Code::kCancel);
      client_gone();
      co_return gone();
    }
  }
  stream_->set_write_deadline(SteadyTime::max());
  if (stream_->closed() && !stream_->sent_end()) co_return gone();
  co_return ok();
}

Task<Result<void>> Http2Exchange::respond(ResponseHead head, std::string_view body) {
  if (started_) co_return Error(ErrorCode::kInternal, "the answer has been started already");
  started_ = finished_ = true;
  const bool with_body = !body.empty() && !bodyless(head.status);
  const auto fields = answer_fields(head, true, body.size());
  if (with_body && body.size() <= kCopyMax) stream_->send_copy(body);
  if (with_body && body.size() > kCopyMax) stream_->send_view(body);
  stream_->end_output();
  if (!connection_->session().respond(*stream_, fields, with_body)) co_return gone();
  if (!with_body || body.size() <= kCopyMax) co_return ok();
  finished_ = false;  // if this frame dies, the answer has been cut
  Result<void> sent = co_await wait_sent();
  finished_ = true;
  co_return sent;
}

Task<Result<void>> Http2Exchange::start(ResponseHead head) {
  if (started_) co_return Error(ErrorCode::kInternal, "the answer has been started already");
  started_ = true;
  const auto fields = answer_fields(head, false, 0);
  no_body_ = bodyless(head.status);
  if (!connection_->session().respond(*stream_, fields, !no_body_)) co_return gone();
  co_return ok();
}

Task<Result<void>> Http2Exchange::write(std::string_view piece) {
  if (!started_ || finished_) co_return Error(ErrorCode::kInternal, "write outside of an answer");
  if (stream_->closed()) co_return gone();
  if (piece.empty() || no_body_) co_return ok();
  if (out_has_length_) {
    if (piece.size() > out_left_) {
      abort();
      co_return Error(ErrorCode::kInternal, "more was written than the answer's Content-Length");
    }
    out_left_ -= piece.size();
  }
  if (piece.size() <= kCopyMax) {
    stream_->send_copy(piece);
    if (stream_->room()) co_return ok();
  } else {
    stream_->send_view(piece);
  }
  co_return co_await wait_sent();
}

Task<Result<void>> Http2Exchange::finish() {
  if (!started_ || finished_) co_return Error(ErrorCode::kInternal, "finish outside of an answer");
  if (out_has_length_ && out_left_ > 0 && !no_body_) {
    abort();
    co_return Error(ErrorCode::kInternal, "less was written than the answer's Content-Length");
  }
  finished_ = true;
  if (stream_->closed()) co_return gone();
  if (!no_body_) stream_->end_output();
  co_return ok();
}

void Http2Exchange::abort() {
  started_ = finished_ = true;
  connection_->session().reset_after_output(*stream_);
}

}  // namespace

std::shared_ptr<Http2Server> Http2Server::create(ServerContext& context,
                                                 std::shared_ptr<Stream> stream, std::string peer) {
  return std::make_shared<Connection>(context, std::move(stream), std::move(peer));
}

}  // namespace samplemind::net
