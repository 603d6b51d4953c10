// Anthropic.
#include "ai/provider/http.h"

namespace samplemind::ai {

namespace {

class Anthropic final : public HttpProvider {
 public:
  Anthropic(const Config& config, EndpointSettings settings) : HttpProvider(std::move(settings)) {
    std::string base = settings_.url;
    while (base.ends_with('/')) base.pop_back();
    if (base.ends_with("/v1")) base.resize(base.size() - 3);  // written as for OpenAI's
    set_base(std::move(base));
    set_key();
    set_transport(config);
  }
  Dialect dialect() const override { return Dialect::kAnthropic; }
  bool configured() const override { return config_error_.empty() && !key_.empty(); }

  net::Task<Result<std::vector<std::string>>> model_names(net::Client& client) override {
    SM_CO_TRY(const JsonValue answer, co_await fetch(client, "/v1/models?limit=1000"));
    co_return names_in(answer["data"], "id");
  }

  net::Task<Result<std::vector<ModelInfo>>> models(net::Client& client) override {
    SM_CO_TRY(const std::vector<std::string> names, co_await model_names(client));
    co_return infos(names);
  }

  net::Task<ProviderState> state(net::Client& client) override {
    co_return co_await remote_state(client, "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL");
  }

 private:
  Target target(const ChatRequest&, const CallOptions& options) const override {
    Target t;
    t.dialect = Dialect::kAnthropic;
    t.model = options.model;
    t.stream = options.stream;
    return t;
  }
  std::string chat_path(const Target&) const override { return "/v1/messages"; }
  void authorize(net::Headers& headers) const override {
    headers.set("x-api-key", key_);
    headers.set("anthropic-version", "2023-06-01");
  }
  std::string_view header_prefix() const override { return "anthropic-"; }
};

}  // namespace

std::unique_ptr<Provider> make_anthropic(const Config& config, EndpointSettings settings) {
  return std::make_unique<Anthropic>(config, std::move(settings));
}

}  // namespace samplemind::ai
