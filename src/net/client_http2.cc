// One request and its answer over HTTP/2.
#include <algorithm>

#include "net/client_internal.h"
#include "net/http1_internal.h"

namespace samplemind::net::pool {

namespace {

class Response final : public ClientResponse {
 public:
  Response(Http2Lease lease, std::shared_ptr<Http2Stream> stream, CancelToken cancel)
      : lease_(std::move(lease)), stream_(std::move(stream)), cancel_(std::move(cancel)) {
    registration_ = cancel_.on_cancel([this] {
      if (lease_) lease_->session->reset(*stream_, Http2Code::kCancel);
    });
  }
  ~Response() override { let_go(); }
  const ResponseHead& head() const override { return head_; }
  HttpVersion version() const override { return HttpVersion::k2; }
  Task<Result<std::string_view>> read_some() override;

  // What send_http2() fills in.
  ResponseHead head_;
  SteadyTime total_;
  milliseconds idle_{};

  // The end, proper or not: whatever is still open is reset, and the place is given back.
  void let_go() {
    if (!lease_) return;
    registration_ = CancelToken::Registration();
    lease_->session->reset(*stream_, Http2Code::kCancel);
    lease_.release();
  }

 private:
  Error fail(ErrorCode code, std::string message) {
    failed_ = true;
    let_go();
    return Error(code, std::move(message));
  }
  Http2Lease lease_;
  std::shared_ptr<Http2Stream> stream_;
  CancelToken cancel_;
  CancelToken::Registration registration_;
  bool failed_ = false;
};

Task<Result<std::string_view>> Response::read_some() {
  if (failed_) co_return Error(ErrorCode::kUpstream, "the answer has failed before");
  SteadyTime deadline = SteadyTime::max();
  for (;;) {
    if (cancel_.cancelled()) co_return fail(ErrorCode::kCancelled, "the request was cancelled");
    std::string_view piece;
    switch (stream_->take(piece)) {
      case Http2Stream::Input::kPiece:
        co_return piece;
      case Http2Stream::Input::kEnd:
        if (lease_) lease_->served = true;
        let_go();
        co_return std::string_view();
      case Http2Stream::Input::kCut:
        co_return fail(ErrorCode::kUpstream,
                       "the answer was cut off before its end (" + stream_->why() + ")");
      case Http2Stream::Input::kNothingYet:
        break;
    }
    if (deadline == SteadyTime::max()) {
      deadline = std::min(total_, now() + idle_);
      stream_->set_read_deadline(deadline);
    } else if (stream_->read_timed_out()) {
      co_return fail(ErrorCode::kDeadlineExceeded, deadline == total_
                                                       ? "the answer took too long in all"
                                                       : "the answer stopped coming");
    }
    co_await stream_->readable.wait();
  }
}

// Fields that HTTP/2 has no use for, or that are ours to say.
bool is_ours(std::string_view name) {
  static constexpr std::string_view kOurs[] = {
      "host", "content-length",   "transfer-encoding", "connection", "keep-alive", "upgrade",
      "te",   "proxy-connection", "http2-settings"};
  return std::find(std::begin(kOurs), std::end(kOurs), name) != std::end(kOurs);
}

Http2Fields request_fields(const ClientRequest& request) {
  Http2Fields fields;
  fields.reserve(request.headers.fields().size() + 5);
  fields.emplace_back(":method", request.method);
  fields.emplace_back(":scheme", request.url.scheme);
  fields.emplace_back(":authority", request.url.authority());
  fields.emplace_back(":path", request.url.target);
  for (const auto& [name, value] : request.headers.fields()) {
    std::string lower(name);
    for (char& c : lower) c = ascii_lower(c);
    if (!is_ours(lower)) fields.emplace_back(std::move(lower), value);
  }
  if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) {
    fields.emplace_back("content-length", std::to_string(request.body.size()));
  }
  return fields;
}

// Why a stream that has ended gave no answer, and whether another connection may be asked: the
// request was not looked at; or the connection was closed while it was idle; or asking twice does
// no harm (RFC 9110 9.2.2).
Error no_answer(SendContext& context, const Http2Stream& stream, const Http2Connection& connection,
                uint64_t received_before, bool safe) {
  const bool closed = connection.served && connection.session->ended();
  const bool silent = connection.session->bytes_received() == received_before;
  context.again = stream.unprocessed() || (closed && (silent || safe));
  if (stream.close_code() == static_cast<uint32_t>(Http2Code::kHttp11Required) &&
      context.target.use == HttpUse::kAuto) {
    context.core->learn(context.target.key, Spoken::kHttp1);
    context.again = true;
  }
  return Error(ErrorCode::kUnavailable, "no answer came: " + stream.why());
}

}  // namespace

Task<Sent> send_http2(SendContext& context, ClientRequest& request, Http2Lease lease) {
  Http2Connection& connection = *lease;
  Http2Session& session = *connection.session;
  const uint64_t received_before = session.bytes_received();
  const bool with_body = !request.body.empty();
  std::shared_ptr<Http2Stream> stream;
  const Http2Fields fields = request_fields(request);
  if (session.usable()) stream = session.request(fields, std::move(request.body));
  if (!stream) {
    context.again = true;
    co_return Error(ErrorCode::kUnavailable, "the HTTP/2 connection takes no more requests");
  }
  auto response = std::make_unique<Response>(std::move(lease), stream, context.cancel);
  while (!stream->head_done()) {
    if (context.cancel.cancelled()) co_return cancelled_error();
    if (stream->closed()) {
      const bool safe = request.method == "GET" || request.method == "HEAD";
      Error error = no_answer(context, *stream, connection, received_before, safe);
      if (context.again) request.body = std::move(stream->request_body);
      co_return error;
    }
    const bool sending = with_body && !stream->sent_all();
    const auto limit = sending ? context.core->options.write_timeout : request.first_byte_timeout;
    const SteadyTime deadline = std::min(context.total, stream->last_sent() + limit);
    if (now() >= deadline) {
      co_return Error(ErrorCode::kDeadlineExceeded,
                      sending ? "the peer takes no data" : "no answer in time");
    }
    stream->set_read_deadline(deadline);
    co_await stream->readable.wait();
  }
  if (context.cancel.cancelled()) co_return cancelled_error();
  stream->set_read_deadline(SteadyTime::max());
  if (stream->head_too_large())
    co_return Error(ErrorCode::kUpstream, "the answer's header fields are too long");
  response->head_.status = stream->status;
  response->head_.headers = std::move(stream->headers);
  response->total_ = context.total;
  response->idle_ = request.idle_timeout;
  co_return std::unique_ptr<ClientResponse>(std::move(response));
}

}  // namespace samplemind::net::pool
