// One request and its answer over HTTP/1.1.
#include <algorithm>

#include "net/client_internal.h"
#include "net/http1_internal.h"

namespace samplemind::net::pool {

Task<Result<Framing>> read_head(Stream& stream, std::string method, size_t bytes_max,
                                ResponseHead& out, bool& received) {
  HeadScanner scanner;
  for (;;) {
    const std::string_view input = stream.input();
    if (!input.empty()) received = true;
    const Parse state = scanner.scan(input);
    if (state == Parse::kBad)
      co_return Error(ErrorCode::kUpstream, "the answer is not HTTP: a line without CR LF");
    if (state == Parse::kDone) {
      Framing framing;
      const HeadFault fault =
          parse_response_head(input.substr(0, scanner.size()), method, out, framing);
      if (fault.status != 0)
        co_return Error(ErrorCode::kUpstream, std::string("the answer is not HTTP: ") + fault.why);
      stream.consume(scanner.size());
      scanner.reset();
      if (out.status >= 200) co_return framing;
      if (out.status == 101)
        co_return Error(ErrorCode::kUpstream, "the answer changes the protocol unasked");
      continue;  // 100 Continue, 103 Early Hints
    }
    if (input.size() > bytes_max)
      co_return Error(ErrorCode::kUpstream, "the answer's header fields are too long");
    if (stream.end() != Stream::End::kOpen) {
      if (received)
        co_return Error(ErrorCode::kUpstream, "the connection ended inside the answer's head");
      co_return Error(ErrorCode::kUnavailable, "the connection was closed before an answer came");
    }
    if (stream.read_timed_out()) co_return Error(ErrorCode::kDeadlineExceeded, "no answer in time");
    stream.pump();
    co_await stream.readable.wait();
  }
}

namespace {

class Response final : public ClientResponse {
 public:
  Response(std::shared_ptr<Core> core, std::unique_ptr<Connection> connection, CancelToken cancel)
      : core_(std::move(core)), connection_(std::move(connection)), cancel_(std::move(cancel)) {
    registration_ = cancel_.on_cancel([this] {
      if (connection_) connection_->stream->close();
    });
  }
  ~Response() override {
    if (ended_) release();
  }
  const ResponseHead& head() const override { return head_; }
  HttpVersion version() const override { return HttpVersion::k1_1; }
  Task<Result<std::string_view>> read_some() override;

  // What send() fills in.
  ResponseHead head_;
  Framing framing_;
  SteadyTime total_;
  milliseconds idle_{};
  bool whole_request_sent_ = true;

  void begin() {
    left_ = framing_.length;
    if (framing_.body == BodyKind::kNone) ended_ = true;
    if (ended_) release();
  }

 private:
  void release();
  Error fail(ErrorCode code, std::string message);

  std::shared_ptr<Core> core_;
  std::unique_ptr<Connection> connection_;
  CancelToken cancel_;
  CancelToken::Registration registration_;
  ChunkedReader chunked_;
  uint64_t left_ = 0;
  size_t piece_ = 0;
  bool ended_ = false;
  bool failed_ = false;
};

// The proper end: the connection goes back to the pool.
void Response::release() {
  if (!connection_) return;
  registration_ = CancelToken::Registration();
  connection_->stream->hold(false);
  if (piece_ > 0) connection_->stream->consume(std::exchange(piece_, 0));
  if (framing_.keep_alive && whole_request_sent_) {
    core_->give_back(std::move(connection_));
  } else {
    connection_ = nullptr;
  }
}

Error Response::fail(ErrorCode code, std::string message) {
  failed_ = true;
  registration_ = CancelToken::Registration();
  connection_ = nullptr;
  return Error(code, std::move(message));
}

Task<Result<std::string_view>> Response::read_some() {
  if (failed_) co_return Error(ErrorCode::kUpstream, "the answer has failed before");
  if (ended_) {
    release();
    co_return std::string_view();
  }
  Stream& stream = *connection_->stream;
  stream.hold(false);
  if (piece_ > 0) stream.consume(std::exchange(piece_, 0));
  SteadyTime deadline = SteadyTime::max();
  for (;;) {
    if (cancel_.cancelled()) co_return fail(ErrorCode::kCancelled, "the request was cancelled");
    const std::string_view input = stream.input();
    std::string_view data;
    if (framing_.body == BodyKind::kChunked) {
      size_t used = 0;
      const ChunkedReader::Step step = chunked_.step(input, used, data);
      if (step == ChunkedReader::Step::kBad) {
        co_return fail(ErrorCode::kUpstream,
                       std::string("the answer's chunks are broken: ") + chunked_.why());
      }
      if (step == ChunkedReader::Step::kData) {
        piece_ = used;
      } else {
        stream.consume(used);
        ended_ = step == ChunkedReader::Step::kEnd;
      }
    } else if (framing_.body == BodyKind::kLength) {
      data = input.substr(0, std::min<uint64_t>(left_, input.size()));
      piece_ = data.size();
      left_ -= data.size();
      ended_ = left_ == 0;
    } else {
      data = input;
      piece_ = data.size();
      ended_ = data.empty() && stream.end() == Stream::End::kEof;
    }
    if (!data.empty()) {
      stream.hold(true);
      co_return data;
    }
    if (ended_) {
      release();
      co_return std::string_view();
    }
    if (stream.end() != Stream::End::kOpen) {
      co_return fail(ErrorCode::kUpstream,
                     "the answer was cut off before its end (" + stream.why() + ")");
    }
    if (deadline == SteadyTime::max()) {
      deadline = std::min(total_, now() + idle_);
      stream.set_read_deadline(deadline);
    } else if (stream.read_timed_out()) {
      co_return fail(ErrorCode::kDeadlineExceeded, deadline == total_
                                                       ? "the answer took too long in all"
                                                       : "the answer stopped coming");
    }
    stream.pump();
    co_await stream.readable.wait();
  }
}

// ---- requests

std::string request_head(const ClientRequest& request, const Target& target) {
  std::string out;
  out.reserve(512);
  out.append(request.method).append(" ");
  if (target.absolute) out.append("http://").append(request.url.authority());
  out.append(request.url.target).append(" HTTP/1.1\r\n");
  append_field(out, "host", request.url.authority());
  for (const auto& [name, value] : request.headers.fields()) {
    if (iequals(name, "host") || iequals(name, "content-length") ||
        iequals(name, "transfer-encoding") || iequals(name, "connection")) {
      continue;  // ours to say
    }
    append_field(out, name, value);
  }
  if (target.absolute && !target.proxy_authorization.empty()) {
    append_field(out, "proxy-authorization", target.proxy_authorization);
  }
  if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) {
    append_field(out, "content-length", std::to_string(request.body.size()));
  }
  out.append("\r\n");
  return out;
}

}  // namespace

Task<Sent> send_http1(SendContext& context, const ClientRequest& request,
                      std::unique_ptr<Connection> connection) {
  const Core& core = *context.core;
  const std::string head = request_head(request, context.target);
  Stream& stream = *connection->stream;
  const bool reused = connection->reused;
  auto response = std::make_unique<Response>(context.core, std::move(connection), context.cancel);
  iovec parts[2] = {{const_cast<char*>(head.data()), head.size()},
                    {const_cast<char*>(request.body.data()), request.body.size()}};
  std::span<iovec> pieces(parts);
  stream.stop_sending_on_input(true);
  Result<void> sent = co_await stream.send_rest(pieces, core.options.write_timeout);
  stream.stop_sending_on_input(false);
  if (context.cancel.cancelled()) co_return cancelled_error();
  // An upstream may answer (413, 401) and close before it has taken the whole request: its answer
  // is looked for.
  response->whole_request_sent_ = sent.ok();
  if (!sent.ok() && sent.error().code() == ErrorCode::kDeadlineExceeded) {
    co_return std::move(sent).error();
  }
  const SteadyTime first_byte = std::min(context.total, now() + request.first_byte_timeout);
  stream.set_read_deadline(first_byte);
  bool received = false;
  Result<Framing> framing = co_await read_head(
      stream, request.method, core.options.header_bytes_max, response->head_, received);
  if (context.cancel.cancelled()) co_return cancelled_error();
  if (!framing.ok()) {
    // It was closed while it was kept.
    context.again = framing.error().code() == ErrorCode::kUnavailable && reused && !received;
    co_return std::move(framing).error();
  }
  stream.set_read_deadline(SteadyTime::max());
  response->framing_ = *framing;
  response->total_ = context.total;
  response->idle_ = request.idle_timeout;
  response->begin();
  co_return std::unique_ptr<ClientResponse>(std::move(response));
}

}  // namespace samplemind::net::pool
