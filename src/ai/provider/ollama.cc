// Ollama.
#include <map>

#include "ai/provider/http.h"
#include "net/sse.h"

namespace samplemind::ai {

namespace {

class Ollama final : public HttpProvider {
 public:
  Ollama(const Config& config, EndpointSettings settings) : HttpProvider(std::move(settings)) {
    std::string host = settings_.url;
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
      config_error_ = settings_.url_key + ": " + url.error().message();
    }
    set_transport(config);
  }
  Dialect dialect() const override { return Dialect::kOllama; }
  bool local() const override { return true; }

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
    s.name = label();
    if (!configured()) {
      s.detail = config_error_;
      s.remedy = "correct " + (own_endpoint() ? settings_.url_key : "OLLAMA_HOST");
      co_return s;
    }
    const auto tags = co_await fetch(client, "/api/tags");
    if (!tags.ok()) {
      s.detail = "nothing answers at " + base_.authority();
      s.remedy = own_endpoint()
                     ? "start Ollama there, or correct " + settings_.url_key
                     : "install Ollama and run 'samplemind up' again, or set OLLAMA_HOST";
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
          from_status(response->status(), response->head().headers, text, label());
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

  // A request without a prompt (or input, for a model that only embeds) loads and says nothing.
  net::Task<Result<void>> load(net::Client& client, std::string model,
                               net::CancelToken cancel) override {
    std::optional<UpstreamError> refused;
    for (const char* path : {"/api/generate", "/api/embed"}) {
      RawRequest r;
      r.path = path;
      JsonWriter w(r.body);
      w.begin_object().field("model", model);
      if (r.path == "/api/embed") w.field("input", "");
      w.field("stream", false).end_object();
      SM_CO_TRY(const RawAnswer answer, co_await raw(client, std::move(r), cancel));
      if (!answer.error) co_return ok();
      if (!refused) refused = answer.error;
      if (answer.status != 400) break;
    }
    CallOptions options;
    options.model = model;
    explain(*refused, options);
    co_return Error(refused->status == 404 ? ErrorCode::kNotFound : ErrorCode::kUpstream,
                    "load " + model + ": " + refused->message);
  }

 private:
  Target target(const ChatRequest& asked, const CallOptions& options) const override {
    Target t;
    t.dialect = asked.dialect == Dialect::kOllamaGenerate ? asked.dialect : Dialect::kOllama;
    t.model = options.model;
    t.stream = options.stream;
    return t;
  }
  std::string chat_path(const Target& t) const override {
    return t.dialect == Dialect::kOllamaGenerate ? "/api/generate" : "/api/chat";
  }
  Framing framing() const override { return Framing::kLines; }
  void authorize(net::Headers&) const override {}
  void explain(UpstreamError& u, const CallOptions& options) const override {
    if (u.status != 404) return;
    u.type = "invalid_request_error";
    u.code = "model_not_found";
    u.message += "; 'samplemind pull-models " + options.model + "' gets it";
  }

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

std::unique_ptr<Provider> make_ollama(const Config& config, EndpointSettings settings) {
  return std::make_unique<Ollama>(config, std::move(settings));
}

}  // namespace samplemind::ai
