// Gemini. The key travels in a header only, never in an address, which logs would keep.
#include "ai/provider/http.h"

namespace samplemind::ai {

namespace {

class Gemini final : public HttpProvider {
 public:
  Gemini(const Config& config, EndpointSettings settings) : HttpProvider(std::move(settings)) {
    std::string base = settings_.url;
    while (base.ends_with('/')) base.pop_back();
    set_base(std::move(base));
    if (base_.target == "/") base_.target = "/v1beta";
    set_key();
    set_transport(config);
  }
  Dialect dialect() const override { return Dialect::kGemini; }
  bool configured() const override { return config_error_.empty() && !key_.empty(); }

  net::Task<Result<std::vector<std::string>>> model_names(net::Client& client) override {
    SM_CO_TRY(const std::vector<ModelInfo> list, co_await models(client));
    std::vector<std::string> names;
    for (const ModelInfo& m : list) names.push_back(m.name);
    co_return names;
  }

  net::Task<Result<std::vector<ModelInfo>>> models(net::Client& client) override {
    SM_CO_TRY(const JsonValue answer, co_await fetch(client, "/models?pageSize=1000"));
    std::vector<ModelInfo> list;
    for (const JsonValue& m : answer["models"].items()) {
      ModelInfo info;
      info.provider = name();
      info.name = m["name"].string_or("");
      if (info.name.starts_with("models/")) info.name.erase(0, 7);
      info.local = local();
      info.context_tokens = m["inputTokenLimit"].integer();
      if (!info.name.empty()) list.push_back(std::move(info));
    }
    co_return list;
  }

  net::Task<ProviderState> state(net::Client& client) override {
    co_return co_await remote_state(client, "GEMINI_API_KEY", "GEMINI_BASE_URL");
  }

 private:
  Target target(const ChatRequest&, const CallOptions& options) const override {
    Target t;
    t.dialect = Dialect::kGemini;
    t.model = options.model;
    t.stream = options.stream;
    return t;
  }
  std::string chat_path(const Target& t) const override {
    return "/models/" + net::percent_encode(t.model) +
           (t.stream ? ":streamGenerateContent?alt=sse" : ":generateContent");
  }
  void authorize(net::Headers& headers) const override { headers.set("x-goog-api-key", key_); }
};

}  // namespace

std::unique_ptr<Provider> make_gemini(const Config& config, EndpointSettings settings) {
  return std::make_unique<Gemini>(config, std::move(settings));
}

}  // namespace samplemind::ai
