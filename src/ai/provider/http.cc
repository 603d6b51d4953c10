#include "ai/provider/http.h"

#include <algorithm>
#include <charconv>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "net/http.h"
#include "net/sse.h"

namespace samplemind::ai {

namespace {

constexpr std::chrono::milliseconds kProbeTimeout{2000};

// How the providers say that a request does not fit their model.
bool too_long(std::string_view message) {
  for (const std::string_view words :
       {"maximum context length", "prompt is too long", "exceeds the maximum number of tokens",
        "exceed context limit", "context window"}) {
    if (message.find(words) != std::string_view::npos) return true;
  }
  return false;
}

// The server has no such path; or no such model, which the other path says as well.
bool is_no_route(int status) {
  return status == 404 || status == 405 || status == 501;
}

// OpenAI's words for a model that has to be asked in another of its dialects than the chat's.
bool is_no_chat(const UpstreamError& e) {
  return e.status == 404 && (e.message.find("v1/responses") != std::string::npos ||
                             e.message.find("not a chat model") != std::string::npos);
}

bool is_own_header(std::string_view name, std::string_view prefix) {
  return !prefix.empty() && name.size() > prefix.size() &&
         std::equal(prefix.begin(), prefix.end(), name.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
}

}  // namespace

UpstreamError from_error(const Error& e, std::string_view provider) {
  UpstreamError u;
  u.message = std::string(provider) + ": " + e.message();
  u.retry = true;
  switch (e.code()) {
    case ErrorCode::kDeadlineExceeded:
      u.status = 504;
      u.type = "timeout_error";
      u.code = "upstream_timeout";
      break;
    case ErrorCode::kCancelled:
      u.status = 499;
      u.code = "cancelled";
      u.retry = false;
      break;
    case ErrorCode::kInvalidArgument:
      u.status = 400;
      u.type = "invalid_request_error";
      u.code = "unsupported_parameter";
      u.message = e.message() + (e.hint().empty() ? "" : "; " + e.hint());
      u.retry = false;
      break;
    case ErrorCode::kUnavailable:
      u.status = 502;
      u.code = "upstream_unreachable";
      break;
    default:
      u.code = "upstream_broken";
      break;
  }
  return u;
}

UpstreamError from_status(int status, const net::Headers& headers, const std::string& body,
                          std::string_view provider) {
  UpstreamError u;
  std::string message;
  bool spent = false;
  if (const auto parsed = JsonValue::parse(body); parsed.ok()) {
    const JsonValue& error = (*parsed)["error"];
    message = error["message"].string_or(error.string_or(""));
    u.type = error["type"].string_or("upstream_error");
    u.code = error["code"].string_or(error["status"].string_or(""));
    // Anthropic's word for what no waiting helps against.
    spent = error["details"]["error_code"].text() == "enforced_spend_limit_reached";
  }
  if (message.empty())
    message = "HTTP " + std::to_string(status) + " " + std::string(net::reason_phrase(status));
  u.status = status;
  u.message = std::string(provider) + ": " + log::redacted(message);
  if (status == 400 && too_long(message)) u.code = "context_length_exceeded";
  const bool bad_key = status == 400 && message.starts_with("API key not valid");  // Gemini's
  if (status == 401 || status == 403 || bad_key) {
    u.status = 502;
    u.type = "upstream_authentication_error";
    u.code = "upstream_key_refused";
    u.message += " (the gateway's key for " + std::string(provider) +
                 " was refused: check it with 'samplemind config')";
  } else if (status == 429) {
    u.retry = u.code != "insufficient_quota" && !spent;
  } else if (status == 408 || status == 409) {
    u.retry = true;
  } else if (status >= 500) {
    u.status = status == 504 ? 504 : status == 503 || status == 529 ? 503 : 502;
    u.retry = true;
  } else if (status < 400) {
    u.status = 502;
    u.message = std::string(provider) + ": answered with status " + std::to_string(status) +
                ", which is followed nowhere";
  }
  if (auto should = headers.get("x-should-retry")) u.retry = *should == "true";
  const auto ms = headers.get("retry-after-ms");
  double value = 0;
  if (ms && std::from_chars(ms->data(), ms->data() + ms->size(), value).ec == std::errc() &&
      value >= 0 && value < 1e9) {
    u.retry_after_ms = static_cast<int64_t>(value);
  } else if (auto after = headers.get("retry-after")) {
    u.retry_after_ms = parse_retry_after_ms(*after, system_clock().unix_ms() / 1000);
  }
  return u;
}

UpstreamError from_failure(const AnswerError& f, std::string_view provider) {
  UpstreamError u;
  u.status = f.status;
  u.type = f.type.empty() ? "upstream_error" : f.type;
  u.code = f.code;
  u.message = std::string(provider) + ": broke off: " + log::redacted(f.message);
  u.retry = (f.status == 429 || f.status >= 500) && f.code != "insufficient_quota";
  return u;
}

bool MissingPaths::has(Dialect dialect, std::string_view model, SteadyTime now) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& e) {
    return e.dialect == dialect && e.model == model && now < e.until;
  });
}

void MissingPaths::remove(Dialect dialect, std::string_view model) {
  std::erase_if(entries_, [&](const Entry& e) { return e.dialect == dialect && e.model == model; });
}

void MissingPaths::add(Dialect dialect, std::string_view model, SteadyTime now) {
  remove(dialect, model);
  std::erase_if(entries_, [&](const Entry& e) { return now >= e.until; });
  if (entries_.size() >= kMax) entries_.pop_front();
  entries_.push_back({dialect, std::string(model), now + kKnown});
}

std::vector<std::string> names_in(const JsonValue& list, std::string_view member) {
  std::vector<std::string> names;
  for (const JsonValue& each : list.items()) {
    if (const std::string_view text = each[member].text(); !text.empty()) names.emplace_back(text);
  }
  return names;
}

std::vector<ModelInfo> HttpProvider::infos(const std::vector<std::string>& names) const {
  std::vector<ModelInfo> list;
  for (const std::string& each : names) {
    ModelInfo info;
    info.provider = name();
    info.name = each;
    info.local = local();
    list.push_back(std::move(info));
  }
  return list;
}

net::Task<ProviderState> HttpProvider::remote_state(net::Client& client, std::string key_variable,
                                                    std::string url_variable) {
  ProviderState s;
  s.name = label();
  if (own_endpoint()) {
    key_variable = "ai.endpoints." + label() + ".api_key";
    url_variable = settings_.url_key;
  }
  if (!config_error_.empty()) {
    s.detail = config_error_;
    s.remedy = "correct " + url_variable;
    co_return s;
  }
  if (!configured()) {
    s.detail = "no key";
    s.remedy = "set " + key_variable;
    co_return s;
  }
  const auto list = co_await models(client);
  s.usable = list.ok();
  s.detail = list.ok() ? std::to_string(list->size()) + " models at " + base_.host
                       : list.error().message();
  if (!s.usable)
    s.remedy = list.error().code() == ErrorCode::kUnauthenticated
                   ? "check " + key_variable
                   : "check " + url_variable + " and the network";
  co_return s;
}

void HttpProvider::set_base(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  auto url = net::Url::parse(text);
  if (url.ok()) {
    base_ = *url;
  } else {
    config_error_ = settings_.url_key + ": " + url.error().message();
  }
}

void HttpProvider::set_key() {
  std::string key = settings_.key;
  while (!key.empty() && (key.back() == '\n' || key.back() == '\r' || key.back() == ' '))
    key.pop_back();
  key_ = std::move(key);
}

void HttpProvider::set_transport(const Config& config) {
  const std::string own = "ai." + name() + ".";
  const auto limit = [&](const char* which) {
    const std::string key = own + which;
    return std::chrono::milliseconds(
        config.duration_ms(config.is_set(key) ? key : std::string("ai.") + which));
  };
  timeouts_.first_byte = std::chrono::milliseconds(config.duration_ms(own + "first_byte_timeout"));
  timeouts_.idle = limit("idle_timeout");
  timeouts_.total = limit("total_timeout");
  const std::string http = config.string(own + "http");
  if (http == "1") {
    use_ = net::HttpUse::kHttp1;
  } else if (http == "2") {
    use_ = net::HttpUse::kHttp2;
  } else if (http != "auto") {
    config_error_ = own + "http: '" + http + "' is none of auto, 1, 2";
  }
}

net::ClientRequest HttpProvider::request(std::string method, std::string_view path,
                                         std::string body) const {
  net::Url url = base_;
  url.target = (base_.target == "/" ? "" : base_.target) + std::string(path);
  net::ClientRequest r(std::move(method), std::move(url));
  if (!body.empty()) r.headers.set("Content-Type", "application/json");
  r.body = std::move(body);
  authorize(r.headers);
  r.first_byte_timeout = timeouts_.first_byte;
  r.idle_timeout = timeouts_.idle;
  r.total_timeout = timeouts_.total;
  r.use = use_;
  return r;
}

net::Task<Result<JsonValue>> HttpProvider::fetch(net::Client& client, std::string path,
                                                 std::string body) {
  net::ClientRequest r = request(body.empty() ? "GET" : "POST", path, std::move(body));
  r.first_byte_timeout = kProbeTimeout;
  r.total_timeout = kProbeTimeout * 3;
  SM_CO_TRY(auto response, co_await client.send(std::move(r)));
  const int status = response->status();
  SM_CO_TRY(const std::string text, co_await response->read_all(kAnswerBytesMax));
  if (status != 200) {
    const UpstreamError u = from_status(status, response->head().headers, text, label());
    co_return Error(
        u.code == "upstream_key_refused" ? ErrorCode::kUnauthenticated : ErrorCode::kUpstream,
        u.message);
  }
  co_return JsonValue::parse(text);
}

net::Task<Result<RawAnswer>> HttpProvider::raw(net::Client& client, RawRequest raw,
                                               net::CancelToken cancel) {
  net::ClientRequest r = request(raw.method, raw.path, std::move(raw.body));
  SM_CO_TRY(auto response, co_await client.send(std::move(r), cancel));
  RawAnswer out;
  out.status = response->status();
  SM_CO_TRY(out.body, co_await response->read_all(kAnswerBytesMax));
  if (out.status >= 300)
    out.error = from_status(out.status, response->head().headers, out.body, label());
  co_return out;
}

net::Task<Result<std::unique_ptr<net::ClientResponse>>> HttpProvider::send_chat(
    net::Client& client, const ChatRequest& asked, const CallOptions& options, Target& to) {
  std::string body = std::move(to.written);
  if (body.empty()) {
    SM_CO_TRY(body, write_request(to, asked));
  }
  net::ClientRequest r = request("POST", chat_path(to), std::move(body));
  r.total_timeout = std::min(r.total_timeout, options.total_timeout);
  r.first_byte_timeout = std::min(r.first_byte_timeout, options.total_timeout);
  if (options.first_byte_timeout.count() > 0)
    r.first_byte_timeout = std::min(r.first_byte_timeout, options.first_byte_timeout);
  for (const auto& [field, value] : options.headers.fields()) {
    const bool trace = field == "traceparent" || field == "tracestate";
    if (trace || is_own_header(field, header_prefix())) r.headers.set(field, value);
  }
  co_return co_await client.send(std::move(r), options.cancel);
}

net::Task<std::optional<UpstreamError>> HttpProvider::chat(net::Client& client,
                                                           const ChatRequest& asked,
                                                           CallOptions options, ChatSink& sink) {
  Target to = target(asked, options);
  // Many servers of OpenAI's dialect know its chat completions alone, and some of OpenAI's models
  // answer in responses alone.
  const Dialect meant = to.dialect;
  const SteadyTime now = system_clock().steady();
  const bool chats = !missing_.has(dialect(), to.model, now);
  const Dialect instead = chats ? dialect() : Dialect::kResponses;
  if (missing_.has(meant, to.model, now)) {
    to.dialect = instead;
    to.written.clear();
  }
  auto sent = co_await send_chat(client, asked, options, to);
  const bool other = meant == Dialect::kCompletions || meant == Dialect::kResponses;
  if (other && to.dialect == meant && sent.ok() && is_no_route((*sent)->status())) {
    to.dialect = instead;
    sent = co_await send_chat(client, asked, options, to);
    // A model that is not there is missing at both.
    if (sent.ok() && !is_no_route((*sent)->status())) missing_.add(meant, to.model, now);
  }
  if (!sent.ok()) co_return from_error(sent.error(), label());
  net::ClientResponse& response = **sent;
  const std::string type =
      net::media_type(response.head().headers.get("content-type").value_or(""));
  auto reader = make_answer_reader(to.dialect);
  reader->made_id = blake3(std::to_string(system_clock().unix_ms()) + std::string(asked.body))
                        .hex()
                        .substr(0, 24);
  if (framing() == Framing::kLines) reader->head.id = "chatcmpl-" + reader->made_id;
  const bool streamed =
      options.stream && (framing() == Framing::kLines || type == "text/event-stream");
  if (response.status() == 200 && streamed)
    co_return co_await read_stream(std::move(*sent), std::move(reader), to, sink);
  auto text = co_await response.read_all(kAnswerBytesMax);
  if (!text.ok()) co_return from_error(text.error(), label());
  if (response.status() != 200) {
    UpstreamError u = from_status(response.status(), response.head().headers, *text, label());
    explain(u, options);
    if (to.dialect == Dialect::kOpenAi && chats && to.responses && is_no_chat(u)) {
      const std::string model = options.model;
      missing_.add(to.dialect, model, now);
      auto again = co_await chat(client, asked, std::move(options), sink);
      if (!again || again->status != 404) co_return again;
      missing_.remove(to.dialect, model);
    }
    co_return u;
  }
  auto answer = reader->whole(*text);
  if (!answer.ok()) {
    if (reader->failure) co_return from_failure(*reader->failure, label());
    co_return from_error(answer.error(), label());
  }
  if (answer->finish_reason.empty()) {
    const Error cut(ErrorCode::kUpstream, "the answer has no finish reason: it is not complete");
    co_return from_error(cut, label());
  }
  if (answer->id.empty()) answer->id = "chatcmpl-" + reader->made_id;
  if (answer->created_s == 0) answer->created_s = system_clock().unix_ms() / 1000;
  sink.whole(std::move(*answer), std::move(*text), to.dialect, reader->choices);
  co_return std::nullopt;
}

net::Task<std::optional<UpstreamError>> HttpProvider::read_stream(
    std::unique_ptr<net::ClientResponse> response, std::unique_ptr<AnswerReader> reader, Target to,
    ChatSink& sink) {
  net::SseReader events;
  net::NdjsonReader lines;
  const bool by_line = framing() == Framing::kLines;
  const std::string_view line_name = to.dialect == Dialect::kOllamaGenerate ? "generate" : "chat";
  std::vector<ChatDelta> pieces;
  for (bool end = false; !end && !reader->done;) {
    auto bytes = co_await response->read_some();
    if (!bytes.ok()) co_return from_error(bytes.error(), label());
    end = bytes->empty();
    auto fed = by_line ? lines.feed(*bytes) : events.feed(*bytes);
    if (!fed.ok()) co_return from_error(fed.error(), label());
    while (!reader->done) {
      std::string event, data;
      if (by_line) {
        auto line = lines.next();
        if (!line && end) line = lines.flush();
        if (!line) break;
        event = line_name;
        data = std::move(*line);
      } else {
        auto next = events.next();
        if (!next) break;
        event = std::move(next->event);
        data = std::move(next->data);
      }
      pieces.clear();
      auto read = reader->event(event, std::move(data), pieces);
      if (!read.ok()) {
        if (reader->failure) co_return from_failure(*reader->failure, label());
        co_return from_error(read.error(), label());
      }
      if (reader->head.id.empty()) reader->head.id = "chatcmpl-" + reader->made_id;
      if (reader->head.created_s == 0) reader->head.created_s = system_clock().unix_ms() / 1000;
      for (ChatDelta& d : pieces) sink.delta(std::move(d), reader->head);
    }
    if (end) reader->ended();
  }
  if (!reader->done || !reader->finished) {
    const Error cut(ErrorCode::kUpstream, reader->done ? "the stream ended without a finish reason"
                                                       : "the stream was cut before its end");
    co_return from_error(cut, label());
  }
  sink.rest(std::move(response));
  co_return std::nullopt;
}

}  // namespace samplemind::ai
