#include "ai/provider.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <map>

#include "ai/dialect/ollama.h"
#include "ai/dialect/openai.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "net/http.h"
#include "net/sse.h"

namespace samplemind::ai {

namespace {

constexpr size_t kAnswerBytesMax = 32u << 20;
constexpr std::chrono::milliseconds kProbeTimeout{2000};

// A failure of the transport, before or within an answer.
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

// An answer that is not 2xx. Whatever the upstream says about its own key is our operator's
// business, not the client's fault: 502.
UpstreamError from_status(int status, const net::Headers& headers, const std::string& body,
                          std::string_view provider) {
  UpstreamError u;
  std::string message;
  if (const auto parsed = JsonValue::parse(body); parsed.ok()) {
    const JsonValue& error = (*parsed)["error"];
    message = error["message"].string_or(error.string_or(""));
    u.type = error["type"].string_or("upstream_error");
    u.code = error["code"].string_or("");
  }
  if (message.empty())
    message = "HTTP " + std::to_string(status) + " " + std::string(net::reason_phrase(status));
  u.status = status;
  u.message = std::string(provider) + ": " + log::redacted(message);
  if (status == 401 || status == 403) {
    u.status = 502;
    u.type = "upstream_authentication_error";
    u.code = "upstream_key_refused";
    u.message += " (the gateway's key for " + std::string(provider) +
                 " was refused: check it with 'samplemind config')";
  } else if (status == 429) {
    u.retry = u.code != "insufficient_quota";
  } else if (status == 408 || status == 409) {
    u.retry = true;
  } else if (status >= 500) {
    u.status = status == 504 ? 504 : status == 503 ? 503 : 502;
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

struct Timeouts {
  std::chrono::milliseconds first_byte, idle, total;
};

// What both providers share: sending a JSON body and reading an answer of either form.
class HttpProvider : public Provider {
 protected:
  net::ClientRequest request(std::string method, std::string_view path,
                             std::string body = {}) const {
    net::Url url = base_;
    url.target = (base_.target == "/" ? "" : base_.target) + std::string(path);
    net::ClientRequest r(std::move(method), std::move(url));
    if (!body.empty()) r.headers.set("Content-Type", "application/json");
    r.body = std::move(body);
    if (!key_.empty()) r.headers.set("Authorization", "Bearer " + key_);
    r.first_byte_timeout = timeouts_.first_byte;
    r.idle_timeout = timeouts_.idle;
    r.total_timeout = timeouts_.total;
    r.use = use_;
    return r;
  }

  // The try's own limits; the client's headers that are handed on.
  void limit(net::ClientRequest& r, const CallOptions& options) const {
    r.total_timeout = std::min(r.total_timeout, options.total_timeout);
    r.first_byte_timeout = std::min(r.first_byte_timeout, options.total_timeout);
    for (const auto& [name, value] : options.headers.fields()) r.headers.add(name, value);
  }

  // The texts at `list`[i].`member`, such as the names in a list of models.
  static std::vector<std::string> names_in(const JsonValue& list, std::string_view member) {
    std::vector<std::string> names;
    for (const JsonValue& each : list.items()) {
      if (auto text = each[member].string(); text && !text->empty()) names.push_back(*text);
    }
    return names;
  }

  // A small JSON answer, quickly or not at all.
  net::Task<Result<JsonValue>> fetch(net::Client& client, std::string path, std::string body = {}) {
    net::ClientRequest r = request(body.empty() ? "GET" : "POST", path, std::move(body));
    r.first_byte_timeout = kProbeTimeout;
    r.total_timeout = kProbeTimeout * 3;
    SM_CO_TRY(auto response, co_await client.send(std::move(r)));
    const int status = response->status();
    SM_CO_TRY(const std::string text, co_await response->read_all(kAnswerBytesMax));
    if (status != 200) {
      const UpstreamError u = from_status(status, response->head().headers, text, name());
      co_return Error(
          status == 401 || status == 403 ? ErrorCode::kUnauthenticated : ErrorCode::kUpstream,
          u.message);
    }
    co_return JsonValue::parse(text);
  }

  std::string endpoint() const override { return base_.authority() + base_.target; }

  net::Url base_;
  std::string key_;
  std::string config_error_;
  Timeouts timeouts_{};
  net::HttpUse use_ = net::HttpUse::kAuto;
};

class OpenAi final : public HttpProvider {
 public:
  explicit OpenAi(const Config& config) {
    std::string base = config.string("ai.openai.base_url");
    while (base.ends_with('/')) base.pop_back();
    auto url = net::Url::parse(base);
    if (url.ok()) {
      base_ = *url;
    } else {
      config_error_ = "ai.openai.base_url: " + url.error().message();
    }
    if (const std::string http = config.string("ai.openai.http"); http == "1") {
      use_ = net::HttpUse::kHttp1;
    } else if (http == "2") {
      use_ = net::HttpUse::kHttp2;
    } else if (http != "auto") {
      config_error_ = "ai.openai.http: '" + http + "' is none of auto, 1, 2";
    }
    key_ = config.string("ai.openai.api_key");
    while (!key_.empty() && (key_.back() == '\n' || key_.back() == '\r' || key_.back() == ' '))
      key_.pop_back();
    for (const Config::Entry& e : config.entries()) {
      if (e.name == "ai.openai.base_url") own_url_ = e.source != ConfigSource::kDefault;
    }
    timeouts_ = {std::chrono::milliseconds(config.duration_ms("ai.openai.first_byte_timeout")),
                 std::chrono::milliseconds(config.duration_ms("ai.idle_timeout")),
                 std::chrono::milliseconds(config.duration_ms("ai.total_timeout"))};
  }
  std::string name() const override { return "openai"; }
  // A server of one's own may need no key; OpenAI's does.
  bool configured() const override { return config_error_.empty() && (!key_.empty() || own_url_); }
  bool local() const override {
    return base_.host == "127.0.0.1" || base_.host == "localhost" || base_.host == "::1";
  }

  net::Task<std::optional<UpstreamError>> chat(net::Client& client, std::string_view body,
                                               CallOptions options, ChatSink& sink) override {
    net::ClientRequest r = request("POST", "/chat/completions",
                                   rewrite_openai_request(body, options.model, options.stream));
    limit(r, options);
    auto sent = co_await client.send(std::move(r), options.cancel);
    if (!sent.ok()) co_return from_error(sent.error(), name());
    net::ClientResponse& response = **sent;
    const std::string type =
        net::media_type(response.head().headers.get("content-type").value_or(""));
    if (response.status() != 200 || !options.stream || type != "text/event-stream") {
      auto text = co_await response.read_all(kAnswerBytesMax);
      if (!text.ok()) co_return from_error(text.error(), name());
      if (response.status() != 200)
        co_return from_status(response.status(), response.head().headers, *text, name());
      size_t choices = 0;
      auto answer = read_openai_answer(*text, choices);
      if (!answer.ok()) co_return from_error(answer.error(), name());
      if (answer->finish_reason.empty()) {
        const Error cut(ErrorCode::kUpstream,
                        "the answer has no finish reason: it is not complete");
        co_return from_error(cut, name());
      }
      sink.whole(std::move(*answer), std::move(*text), choices);
      co_return std::nullopt;
    }
    co_return co_await read_stream(std::move(*sent), sink);
  }

  net::Task<Result<std::vector<std::string>>> model_names(net::Client& client) override {
    SM_CO_TRY(const JsonValue answer, co_await fetch(client, "/models"));
    co_return names_in(answer["data"], "id");
  }

  net::Task<Result<std::vector<ModelInfo>>> models(net::Client& client) override {
    SM_CO_TRY(const std::vector<std::string> names, co_await model_names(client));
    std::vector<ModelInfo> list;
    for (const std::string& each : names) {
      ModelInfo info;
      info.provider = name();
      info.name = each;
      info.local = local();
      list.push_back(std::move(info));
    }
    co_return list;
  }

  net::Task<ProviderState> state(net::Client& client) override {
    ProviderState s;
    s.name = name();
    if (!config_error_.empty()) {
      s.detail = config_error_;
      s.remedy = "correct OPENAI_BASE_URL";
      co_return s;
    }
    if (!configured()) {
      s.detail = "no key";
      s.remedy = "set OPENAI_API_KEY (or OPENAI_BASE_URL for a server of your own)";
      co_return s;
    }
    const auto list = co_await models(client);
    s.usable = list.ok();
    s.detail = list.ok() ? std::to_string(list->size()) + " models at " + base_.host
                         : list.error().message();
    if (!s.usable)
      s.remedy = list.error().code() == ErrorCode::kUnauthenticated
                     ? "check OPENAI_API_KEY"
                     : "check OPENAI_BASE_URL and the network";
    co_return s;
  }

 private:
  net::Task<std::optional<UpstreamError>> read_stream(std::unique_ptr<net::ClientResponse> response,
                                                      ChatSink& sink) {
    net::SseReader reader;
    ChatAnswer head;
    bool done = false;
    bool finished = false;
    size_t choices = 0;
    while (!done) {
      auto piece = co_await response->read_some();
      if (!piece.ok()) co_return from_error(piece.error(), name());
      if (piece->empty()) break;
      if (auto fed = reader.feed(*piece); !fed.ok()) co_return from_error(fed.error(), name());
      while (auto event = reader.next()) {
        if (event->data == "[DONE]") {
          done = true;
          break;
        }
        auto delta = read_openai_chunk(event->data, choices, head);
        if (!delta.ok()) co_return from_error(delta.error(), name());
        finished |= !delta->finish_reason.empty();
        sink.delta(std::move(*delta), head);
      }
    }
    if (!done || !finished) {
      const Error cut(ErrorCode::kUpstream, done ? "the stream ended without a finish reason"
                                                 : "the stream was cut before its end");
      co_return from_error(cut, name());
    }
    sink.rest(std::move(response));
    co_return std::nullopt;
  }
  bool own_url_ = false;
};

class Ollama final : public HttpProvider {
 public:
  explicit Ollama(const Config& config) {
    std::string host = config.string("ai.ollama.host");
    // OLLAMA_HOST may lack scheme and port, and 0.0.0.0 means "listen everywhere": for a client
    // that is this machine.
    if (host.find("://") == std::string::npos) host = "http://" + host;
    while (host.ends_with('/')) host.pop_back();
    auto url = net::Url::parse(host);
    if (url.ok()) {
      const bool port_named = host.find(':', host.find("://") + 3) != std::string::npos;
      if (!port_named && url->scheme == "http") url->port = 11434;
      if (url->host == "0.0.0.0") url->host = "127.0.0.1";
      base_ = *url;
    } else {
      config_error_ = "ai.ollama.host: " + url.error().message();
    }
    timeouts_ = {std::chrono::milliseconds(config.duration_ms("ai.ollama.first_byte_timeout")),
                 std::chrono::milliseconds(config.duration_ms("ai.idle_timeout")),
                 std::chrono::milliseconds(config.duration_ms("ai.total_timeout"))};
  }
  std::string name() const override { return "ollama"; }
  bool configured() const override { return config_error_.empty(); }
  bool local() const override { return true; }

  net::Task<std::optional<UpstreamError>> chat(net::Client& client, std::string_view body,
                                               CallOptions options, ChatSink& sink) override {
    auto translated = write_ollama_request(body, options.model, options.stream);
    if (!translated.ok()) co_return from_error(translated.error(), name());
    net::ClientRequest r = request("POST", "/api/chat", std::move(*translated));
    limit(r, options);
    auto sent = co_await client.send(std::move(r), options.cancel);
    if (!sent.ok()) co_return from_error(sent.error(), name());
    net::ClientResponse& response = **sent;
    if (response.status() != 200) {
      auto text = co_await response.read_all(kAnswerBytesMax);
      if (!text.ok()) co_return from_error(text.error(), name());
      UpstreamError u = from_status(response.status(), response.head().headers, *text, name());
      if (response.status() == 404) {
        u.type = "invalid_request_error";
        u.code = "model_not_found";
        u.message += "; 'samplemind pull-models " + options.model + "' gets it";
      }
      co_return u;
    }
    net::NdjsonReader lines;
    OllamaReader reader;
    ChatAnswer head;
    head.id =
        "chatcmpl-" +
        blake3(std::to_string(system_clock().unix_ms()) + std::string(body)).hex().substr(0, 24);
    head.created_s = system_clock().unix_ms() / 1000;
    ChatAnswer whole;
    for (bool end = false; !end && !reader.done;) {
      auto piece = co_await response.read_some();
      if (!piece.ok()) co_return from_error(piece.error(), name());
      end = piece->empty();
      if (auto fed = lines.feed(*piece); !fed.ok()) co_return from_error(fed.error(), name());
      for (auto line = lines.next(); line || end; line = lines.next()) {
        if (!line) line = lines.flush();
        if (!line) break;
        auto delta = reader.read(*line, head);
        if (!delta.ok()) co_return from_error(delta.error(), name());
        if (options.stream) {
          sink.delta(std::move(*delta), head);
        } else {
          append(whole, *delta);
        }
        if (reader.done) break;
      }
    }
    if (!reader.done) {
      const Error cut(ErrorCode::kUpstream, "the answer was cut before its end");
      co_return from_error(cut, name());
    }
    if (!options.stream) {
      whole.id = head.id;
      whole.created_s = head.created_s;
      whole.model = head.model;
      sink.whole(std::move(whole), {}, 1);
    }
    sink.rest(std::move(*sent));
    co_return std::nullopt;
  }

  net::Task<Result<std::vector<std::string>>> model_names(net::Client& client) override {
    if (!configured()) co_return Error(ErrorCode::kInvalidArgument, config_error_);
    SM_CO_TRY(const JsonValue answer, co_await fetch(client, "/api/tags"));
    co_return names_in(answer["models"], "name");
  }

  net::Task<Result<std::vector<ModelInfo>>> models(net::Client& client) override {
    std::vector<ModelInfo> list;
    if (!configured()) co_return Error(ErrorCode::kInvalidArgument, config_error_);
    SM_CO_TRY(const JsonValue answer, co_await fetch(client, "/api/tags"));
    for (const JsonValue& m : answer["models"].items()) {
      ModelInfo info;
      info.provider = name();
      info.name = m["name"].string_or(m["model"].string_or(""));
      info.local = true;
      info.size_bytes = m["size"].integer();
      info.input_usd_per_million = 0;
      info.output_usd_per_million = 0;
      list.push_back(std::move(info));
    }
    for (size_t i = 0; i < list.size(); ++i) {
      const std::string digest = answer["models"][i]["digest"].string_or("");
      list[i].context_tokens = co_await context_of(client, list[i].name, digest);
    }
    co_return list;
  }

  net::Task<ProviderState> state(net::Client& client) override {
    ProviderState s;
    s.name = name();
    if (!configured()) {
      s.detail = config_error_;
      s.remedy = "correct OLLAMA_HOST";
      co_return s;
    }
    const auto tags = co_await fetch(client, "/api/tags");
    if (!tags.ok()) {
      s.detail = "nothing answers at " + base_.authority();
      s.remedy = "install Ollama and run 'samplemind up' again, or set OLLAMA_HOST";
      co_return s;
    }
    const size_t n = (*tags)["models"].size();
    s.usable = n > 0;
    s.detail = std::to_string(n) + (n == 1 ? " model at " : " models at ") + base_.authority();
    if (!s.usable) s.remedy = "run 'samplemind pull-models'";
    co_return s;
  }

  net::Task<Result<void>> pull(net::Client& client, std::string model,
                               std::function<void(const PullProgress&)> on_progress,
                               net::CancelToken cancel) override {
    std::string body;
    JsonWriter w(body);
    w.begin_object().field("model", model).field("stream", true).end_object();
    net::ClientRequest r = request("POST", "/api/pull", std::move(body));
    r.idle_timeout = std::chrono::minutes(5);  // Ollama is silent while it verifies a large file
    r.total_timeout = std::chrono::hours(24);
    SM_CO_TRY(auto response, co_await client.send(std::move(r), cancel));
    if (response->status() != 200) {
      SM_CO_TRY(const std::string text, co_await response->read_all(kAnswerBytesMax));
      const UpstreamError u =
          from_status(response->status(), response->head().headers, text, name());
      co_return Error(response->status() == 404 ? ErrorCode::kNotFound : ErrorCode::kUpstream,
                      "pull " + model + ": " + u.message);
    }
    net::NdjsonReader lines;
    bool success = false;
    std::string broken_off;
    for (;;) {
      const auto piece = co_await response->read_some();
      if (!piece.ok()) {
        if (piece.error().code() == ErrorCode::kCancelled) co_return piece.error();
        broken_off = ": " + piece.error().message();
        break;
      }
      if (piece->empty()) break;
      SM_CO_CHECK_OK(lines.feed(*piece));
      while (auto line = lines.next()) {
        SM_CO_TRY(const JsonValue v, JsonValue::parse(*line));
        if (auto error = v["error"].string())
          co_return Error(ErrorCode::kUpstream, "pull " + model + ": " + *error);
        PullProgress p;
        p.status = v["status"].string_or("");
        p.completed_bytes = v["completed"].integer_or(0);
        p.total_bytes = v["total"].integer_or(0);
        success |= p.status == "success";
        on_progress(p);
      }
    }
    if (!success)
      co_return Error(ErrorCode::kUpstream, "pull " + model + ": Ollama broke off" + broken_off,
                      "the same command goes on from there");
    co_return ok();
  }

 private:
  // A model's context length does not change while its digest stays.
  net::Task<std::optional<int64_t>> context_of(net::Client& client, std::string model,
                                               std::string digest) {
    if (const auto it = contexts_.find(digest); it != contexts_.end()) co_return it->second;
    std::string body;
    JsonWriter w(body);
    w.begin_object().field("model", model).end_object();
    const auto shown = co_await fetch(client, "/api/show", std::move(body));
    if (!shown.ok()) co_return std::nullopt;
    std::optional<int64_t> context;
    for (const auto& [key, value] : (*shown)["model_info"].members()) {
      if (key.ends_with(".context_length")) context = value.integer();
    }
    if (!digest.empty()) contexts_[digest] = context;
    co_return context;
  }

  std::map<std::string, std::optional<int64_t>> contexts_;
};

}  // namespace

net::Task<Result<void>> Provider::pull(net::Client&, std::string model,
                                       std::function<void(const PullProgress&)>, net::CancelToken) {
  co_return Error(ErrorCode::kUnsupported, name() + " cannot pull " + model,
                  "only Ollama's models are pulled");
}

std::unique_ptr<Provider> make_ollama(const Config& config) {
  return std::make_unique<Ollama>(config);
}
std::unique_ptr<Provider> make_openai(const Config& config) {
  return std::make_unique<OpenAi>(config);
}

std::optional<int64_t> parse_retry_after_ms(std::string_view value, int64_t now_unix_s) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error == std::errc() && end == value.data() + value.size()) {
    if (!(seconds >= 0) || seconds > 1e7) return std::nullopt;
    return static_cast<int64_t>(std::ceil(seconds * 1000));
  }
  std::tm date{};
  const std::string text(value);
  if (::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date) == nullptr) return std::nullopt;
  return std::max<int64_t>(0, (::timegm(&date) - now_unix_s) * 1000);
}

}  // namespace samplemind::ai
