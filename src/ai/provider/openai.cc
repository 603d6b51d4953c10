// OpenAI, and any server that speaks its dialect.
#include "ai/provider/http.h"

namespace samplemind::ai {

namespace {

class OpenAi final : public HttpProvider {
 public:
  OpenAi(const Config& config, EndpointSettings settings) : HttpProvider(std::move(settings)) {
    set_base(settings_.url);
    set_key();
    responses_ = config.string("ai.openai.responses");
    if (responses_ != "auto" && responses_ != "always" && responses_ != "chat")
      config_error_ = "ai.openai.responses must be auto, always or chat";
    set_transport(config);
  }
  Dialect dialect() const override { return Dialect::kOpenAi; }
  // A server of one's own may need no key; OpenAI's does.
  bool configured() const override {
    return config_error_.empty() && (!key_.empty() || settings_.url_chosen);
  }

  net::Task<Result<std::vector<std::string>>> model_names(net::Client& client) override {
    SM_CO_TRY(const JsonValue answer, co_await fetch(client, "/models"));
    co_return names_in(answer["data"], "id");
  }

  net::Task<Result<std::vector<ModelInfo>>> models(net::Client& client) override {
    SM_CO_TRY(const std::vector<std::string> names, co_await model_names(client));
    co_return infos(names);
  }

  net::Task<ProviderState> state(net::Client& client) override {
    ProviderState s = co_await remote_state(client, "OPENAI_API_KEY", "OPENAI_BASE_URL");
    if (!configured() && config_error_.empty() && !own_endpoint())
      s.remedy = "set OPENAI_API_KEY (or OPENAI_BASE_URL for a server of your own)";
    co_return s;
  }

 private:
  Target target(const ChatRequest& asked, const CallOptions& options) const override {
    Target t;
    t.model = options.model;
    t.stream = options.stream;
    t.official = base_.host == "api.openai.com";
    // OpenAI goes on with a prompt by its oldest models only; other servers do by any.
    const bool goes_on = !t.official || t.model.find("-instruct") != std::string_view::npos ||
                         t.model.starts_with("davinci-") || t.model.starts_with("babbage-");
    t.dialect = asked.dialect == Dialect::kCompletions && goes_on ? asked.dialect : dialect();
    t.responses = responses_ != "chat";
    if (asked.dialect != Dialect::kResponses || !t.responses) return t;
    // Servers like OpenAI's differ in how much of responses they know: only for what no chat says.
    if (!t.official && responses_ != "always") {
      if (auto chat = write_request(t, asked); chat.ok()) {
        t.written = std::move(*chat);
        return t;
      }
    }
    t.dialect = Dialect::kResponses;
    return t;
  }
  std::string chat_path(const Target& t) const override {
    if (t.dialect == Dialect::kResponses) return "/responses";
    return t.dialect == Dialect::kCompletions ? "/completions" : "/chat/completions";
  }
  void authorize(net::Headers& headers) const override {
    if (!key_.empty()) headers.set("Authorization", "Bearer " + key_);
  }
  std::string_view header_prefix() const override { return "openai-"; }

  std::string responses_;
};

}  // namespace

std::unique_ptr<Provider> make_openai(const Config& config, EndpointSettings settings) {
  return std::make_unique<OpenAi>(config, std::move(settings));
}

}  // namespace samplemind::ai
