#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "ai/dialect/dialect.h"
#include "ai/dialect/embed.h"
#include "ai/dialect/responses_retold.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/call.h"
#include "server/responses.h"

namespace samplemind::server {

namespace {

using ai::Dialect;
using net::Exchange;
using net::Task;

class ExchangeSink final : public ai::ResponseSink {
 public:
  explicit ExchangeSink(Exchange& exchange) : exchange_(exchange) {}
  Task<Result<void>> respond(int status, net::Headers headers, std::string_view body) override {
    return exchange_.respond(head(status, std::move(headers)), body);
  }
  Task<Result<void>> start(int status, net::Headers headers) override {
    return exchange_.start(head(status, std::move(headers)));
  }
  Task<Result<void>> write(std::string_view piece) override { return exchange_.write(piece); }
  Task<Result<void>> finish() override { return exchange_.finish(); }
  void abort() override { exchange_.abort(); }

 private:
  static net::ResponseHead head(int status, net::Headers headers) {
    net::ResponseHead h;
    h.status = status;
    h.headers = std::move(headers);
    return h;
  }
  Exchange& exchange_;
};

ai::CallContext context_of(const Call& call) {
  ai::CallContext context;
  context.headers = &call.exchange.request().headers;
  context.cancel = call.exchange.cancel();
  context.key = call.caller.key;
  if (context.key) context.tenant = context.key->tenant;
  return context;
}

Task<void> chat(Call call, ai::ChatRoute route) {
  auto body = co_await call.exchange.read_body(call.shard.body_max);
  if (!body.ok()) {
    co_await respond_problem(call.exchange, std::move(body).error());
    co_return;
  }
  route.model = call.id;
  ExchangeSink sink(call.exchange);
  ai::CallContext context = context_of(call);
  co_await call.shard.gateway->chat(std::move(context), route, *body, sink);
}

ai::ChatRoute route_of(Dialect dialect) {
  ai::ChatRoute route;
  route.dialect = dialect;
  return route;
}

Task<void> post_openai_chat(Call call) {
  return chat(std::move(call), route_of(Dialect::kOpenAi));
}
Task<void> post_completions(Call call) {
  return chat(std::move(call), route_of(Dialect::kCompletions));
}
Task<void> post_responses(Call call) {
  return chat(std::move(call), route_of(Dialect::kResponses));
}
Task<void> post_messages(Call call) {
  return chat(std::move(call), route_of(Dialect::kAnthropic));
}
Task<void> post_generate_content(Call call) {
  return chat(std::move(call), route_of(Dialect::kGemini));
}
Task<void> post_stream_generate_content(Call call) {
  ai::ChatRoute route = route_of(Dialect::kGemini);
  route.stream = true;
  route.list = call.exchange.request().query().find("alt=sse") == std::string_view::npos;
  return chat(std::move(call), route);
}
Task<void> post_ollama_chat(Call call) {
  return chat(std::move(call), route_of(Dialect::kOllama));
}
Task<void> post_ollama_generate(Call call) {
  return chat(std::move(call), route_of(Dialect::kOllamaGenerate));
}

Task<void> count_tokens(Call call, Dialect dialect) {
  auto body = co_await call.exchange.read_body(call.shard.body_max);
  if (!body.ok()) {
    co_await respond_problem(call.exchange, std::move(body).error());
    co_return;
  }
  ExchangeSink sink(call.exchange);
  ai::ChatRoute route = route_of(dialect);
  route.model = call.id;
  ai::CallContext context = context_of(call);
  co_await call.shard.gateway->count_tokens(std::move(context), route, *body, sink);
}
Task<void> post_messages_count(Call call) {
  return count_tokens(std::move(call), Dialect::kAnthropic);
}
Task<void> post_gemini_count(Call call) {
  return count_tokens(std::move(call), Dialect::kGemini);
}

Task<void> embed(Call call, ai::EmbedForm form) {
  auto body = co_await call.exchange.read_body(call.shard.body_max);
  if (!body.ok()) {
    co_await respond_problem(call.exchange, std::move(body).error());
    co_return;
  }
  ExchangeSink sink(call.exchange);
  ai::CallContext context = context_of(call);
  co_await call.shard.gateway->embed(std::move(context), form, call.id, *body, sink);
}
Task<void> post_openai_embeddings(Call call) {
  return embed(std::move(call), ai::EmbedForm::kOpenAi);
}
Task<void> post_gemini_embed(Call call) {
  return embed(std::move(call), ai::EmbedForm::kGemini);
}
Task<void> post_gemini_batch_embed(Call call) {
  return embed(std::move(call), ai::EmbedForm::kGeminiBatch);
}
Task<void> post_ollama_embed(Call call) {
  return embed(std::move(call), ai::EmbedForm::kOllama);
}
Task<void> post_ollama_embeddings(Call call) {
  return embed(std::move(call), ai::EmbedForm::kOllamaOld);
}

// --- Kept responses ----------------------------------------------------------------------------

std::string tenant_of(const Call& call) {
  return call.caller.key ? call.caller.key->tenant : "local";
}

Task<void> respond_no_response(Call& call) {
  ai::AnswerError missing;
  missing.status = 404;
  missing.type = "invalid_request_error";
  missing.message = "Response with id '" + call.id + "' not found.";
  co_await respond_json(call.exchange, ai::write_error(Dialect::kResponses, missing), 404);
}

// The response; nothing when that was told already.
Task<std::optional<ai::StoredResponse>> kept(Call& call) {
  auto found = co_await call.shard.gateway->kept_response(tenant_of(call), call.id);
  if (!found.ok()) {
    co_await respond_problem(call.exchange, std::move(found).error());
    co_return std::nullopt;
  }
  if (!*found) co_await respond_no_response(call);
  co_return std::move(*found);
}

// A number without a sign; nothing: no such parameter. kInvalidArgument when it is none.
Result<std::optional<int64_t>> number_in(
    const std::vector<std::pair<std::string, std::string>>& all, std::string_view name) {
  for (const auto& [key, value] : all) {
    if (key != name) continue;
    int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size() || number < 0)
      return Error(ErrorCode::kInvalidArgument,
                   "'" + std::string(name) + "' must be a whole number from 0");
    return std::optional(number);
  }
  return std::optional<int64_t>();
}

Task<void> get_response(Call call) {
  const auto parameters = net::parse_query(call.exchange.request().query());
  if (!parameters.ok()) {
    co_await respond_problem(call.exchange, parameters.error());
    co_return;
  }
  const bool streamed = std::any_of(parameters->begin(), parameters->end(), [](const auto& p) {
    return p.first == "stream" && p.second == "true";
  });
  auto after = number_in(*parameters, "starting_after");
  if (after.ok() && *after && !streamed)
    after = Error(ErrorCode::kInvalidArgument, "'starting_after' is for 'stream=true' only");
  if (!after.ok()) {
    co_await respond_problem(call.exchange, std::move(after).error());
    co_return;
  }
  auto response = co_await kept(call);
  if (!response) co_return;
  if (!streamed) {
    co_await respond_json(call.exchange, std::move(response->response));
    co_return;
  }
  const auto events = ai::stream_of_response(response->response, after->value_or(-1));
  if (!events.ok()) {
    co_await respond_problem(call.exchange, events.error());
    co_return;
  }
  net::ResponseHead head;
  head.headers.add("content-type", "text/event-stream");
  head.headers.add("cache-control", "no-store");
  (void)(co_await call.exchange.respond(std::move(head), *events)).ok();
}

Task<void> delete_response(Call call) {
  auto gone = co_await call.shard.gateway->delete_response(tenant_of(call), call.id);
  if (!gone.ok()) {
    co_await respond_problem(call.exchange, std::move(gone).error());
  } else if (!*gone) {
    co_await respond_no_response(call);
  } else {
    std::string out;
    JsonWriter w(out);
    w.begin_object().field("id", call.id).field("object", "response").field("deleted", true);
    w.end_object();
    co_await respond_json(call.exchange, std::move(out));
  }
}

// All that was said before the answer, the newest first, as OpenAI lists it.
Task<void> get_input_items(Call call) {
  const auto response = co_await kept(call);
  if (!response) co_return;
  const auto list = JsonValue::parse("[" + response->input + "]");
  std::vector<std::string> items;
  if (list.ok()) {
    for (size_t i = list->size(); i > 0; --i) {
      std::string item;
      JsonWriter w(item);
      const JsonValue& v = (*list)[i - 1];
      w.begin_object();
      if (v["id"].is_null())
        w.field("id", "item" + call.id.substr(std::min<size_t>(4, call.id.size())) + "_" +
                          std::to_string(i - 1));
      if (v["type"].is_null()) w.field("type", "message");
      for (const auto& [name, value] : v.members()) {
        w.key(name);
        value.write(w);
      }
      w.end_object();
      items.push_back(std::move(item));
    }
  }
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("object", "list").key("data").begin_array();
  for (const std::string& item : items) w.raw(item);
  w.end_array();
  for (const char* name : {"first_id", "last_id"}) {
    w.key(name);
    const auto& at = name == std::string_view("first_id") ? items.begin() : items.end() - 1;
    if (items.empty()) {
      w.null();
    } else {
      w.value(JsonValue::parse(*at).value()["id"].text());
    }
  }
  w.field("has_more", false).end_object();
  co_await respond_json(call.exchange, std::move(out));
}

// --- Models ------------------------------------------------------------------------------------

std::string full_name(const ai::ModelInfo& m) {
  return m.provider + "/" + m.name;
}

// Those that the caller may ask.
Task<std::vector<ai::ModelInfo>> models_for(const Call& call) {
  auto models = co_await call.shard.gateway->models();
  if (const ai::VirtualKeyPtr& key = call.caller.key) {
    std::erase_if(models, [&key](const ai::ModelInfo& m) {
      return !key->may_use(full_name(m)) || (key->local_only && !m.local);
    });
  }
  co_return models;
}

void write_openai_model(JsonWriter& w, const ai::ModelInfo& m) {
  w.begin_object()
      .field("id", full_name(m))
      .field("object", "model")
      .field("created", 0)
      .field("owned_by", m.provider)
      .end_object();
}
void write_anthropic_model(JsonWriter& w, const ai::ModelInfo& m) {
  w.begin_object().field("type", "model").field("id", full_name(m)).field("display_name", m.name);
  w.field("created_at", "1970-01-01T00:00:00Z");
  if (m.context_tokens) w.field("max_input_tokens", *m.context_tokens);
  w.end_object();
}
void write_gemini_model(JsonWriter& w, const ai::ModelInfo& m) {
  w.begin_object().field("name", "models/" + full_name(m)).field("displayName", m.name);
  w.field("version", "1");
  if (m.context_tokens) w.field("inputTokenLimit", *m.context_tokens);
  w.key("supportedGenerationMethods").begin_array().value("generateContent").value("countTokens");
  w.end_array().end_object();
}

// One path serves three dialects: their clients are told apart by the headers they always send.
Dialect dialect_of_models(const net::RequestHead& request) {
  if (request.path().starts_with("/v1beta/")) return Dialect::kGemini;
  if (request.headers.get("anthropic-version")) return Dialect::kAnthropic;
  if (request.headers.get("x-goog-api-key") || request.headers.get("x-goog-api-client"))
    return Dialect::kGemini;
  return Dialect::kOpenAi;
}

void write_model(JsonWriter& w, Dialect dialect, const ai::ModelInfo& m) {
  if (dialect == Dialect::kAnthropic) {
    write_anthropic_model(w, m);
  } else if (dialect == Dialect::kGemini) {
    write_gemini_model(w, m);
  } else {
    write_openai_model(w, m);
  }
}

Task<void> get_models(Call call) {
  const Dialect dialect = dialect_of_models(call.exchange.request());
  const auto models = co_await models_for(call);
  std::string out;
  JsonWriter w(out);
  w.begin_object();
  if (dialect == Dialect::kOpenAi) w.field("object", "list");
  w.key(dialect == Dialect::kGemini ? "models" : "data").begin_array();
  for (const ai::ModelInfo& m : models) write_model(w, dialect, m);
  w.end_array();
  if (dialect == Dialect::kAnthropic) {
    w.field("has_more", false);
    const auto id = [&](std::string_view name, const ai::ModelInfo* m) {
      w.key(name);
      if (m == nullptr) {
        w.null();
      } else {
        w.value(full_name(*m));
      }
    };
    id("first_id", models.empty() ? nullptr : &models.front());
    id("last_id", models.empty() ? nullptr : &models.back());
  }
  w.end_object();
  co_await respond_json(call.exchange, std::move(out));
}

Task<void> get_model(Call call) {
  const Dialect dialect = dialect_of_models(call.exchange.request());
  const auto models = co_await models_for(call);
  for (const ai::ModelInfo& m : models) {
    if (full_name(m) != call.id && m.name != call.id) continue;
    std::string out;
    JsonWriter w(out);
    write_model(w, dialect, m);
    co_await respond_json(call.exchange, std::move(out));
    co_return;
  }
  ai::AnswerError missing;
  missing.status = 404;
  missing.type = "invalid_request_error";
  missing.code = "model_not_found";
  missing.message = "the model '" + call.id + "' does not exist";
  co_await respond_json(call.exchange, ai::write_error(dialect, missing), 404);
}

// --- Ollama's own ------------------------------------------------------------------------------

// The version of Ollama's API that is spoken here when no Ollama is there to say its own.
constexpr std::string_view kOllamaVersion = "0.17.4";

ai::RawRequest ollama_request(std::string method, std::string path, std::string body = {}) {
  ai::RawRequest request;
  request.method = std::move(method);
  request.path = std::move(path);
  request.body = std::move(body);
  return request;
}

Task<std::string> from_ollama(Call& call, ai::RawRequest request) {
  auto answer = co_await call.shard.gateway->ollama(std::move(request), call.exchange.cancel());
  co_return answer.ok() && answer->status == 200 ? std::move(answer->body) : std::string();
}

// What Ollama has, as it says it, and the other providers' models in the same form.
Task<void> get_tags(Call call) {
  ai::RawRequest request = ollama_request("GET", "/api/tags");
  const std::string own = co_await from_ollama(call, std::move(request));
  const auto models = co_await models_for(call);
  std::string out;
  JsonWriter w(out);
  w.begin_object().key("models").begin_array();
  if (const auto parsed = JsonValue::parse(own); parsed.ok()) {
    for (const JsonValue& each : (*parsed)["models"].items()) each.write(w);
  }
  for (const ai::ModelInfo& m : models) {
    if (m.provider == "ollama") continue;
    w.begin_object().field("name", full_name(m)).field("model", full_name(m));
    w.field("modified_at", "1970-01-01T00:00:00Z").field("size", m.size_bytes.value_or(0));
    w.field("digest", "").key("details").begin_object().field("format", "remote");
    w.field("family", m.provider).end_object().end_object();
  }
  w.end_array().end_object();
  co_await respond_json(call.exchange, std::move(out));
}

Task<void> get_ps(Call call) {
  ai::RawRequest request = ollama_request("GET", "/api/ps");
  std::string own = co_await from_ollama(call, std::move(request));
  // Named before the co_await: g++ 12 destroys what a conditional makes within one twice.
  if (own.empty()) own = "{\"models\":[]}";
  co_await respond_json(call.exchange, std::move(own));
}

Task<void> get_version(Call call) {
  ai::RawRequest request = ollama_request("GET", "/api/version");
  std::string own = co_await from_ollama(call, std::move(request));
  if (own.empty()) own = "{\"version\":\"" + std::string(kOllamaVersion) + "\"}";
  co_await respond_json(call.exchange, std::move(own));
}

Task<void> post_show(Call call) {
  auto body = co_await call.exchange.read_body(call.shard.body_max);
  if (!body.ok()) {
    co_await respond_problem(call.exchange, std::move(body).error());
    co_return;
  }
  const auto parsed = JsonValue::parse(*body);
  std::string name =
      parsed.ok() ? (*parsed)["model"].string_or((*parsed)["name"].string_or("")) : "";
  const auto models = co_await models_for(call);
  const auto found = std::find_if(models.begin(), models.end(), [&name](const ai::ModelInfo& m) {
    const std::string latest = name + ":latest", full = full_name(m);
    return full == name || full == latest || m.name == name || m.name == latest;
  });
  if (found == models.end()) {
    ai::AnswerError missing;
    missing.status = 404;
    missing.message = "model '" + name + "' not found";
    co_await respond_json(call.exchange, ai::write_error(Dialect::kOllama, missing), 404);
    co_return;
  }
  std::string out;
  if (found->provider == "ollama") {
    std::string asked;
    JsonWriter(asked).begin_object().field("model", found->name).end_object();
    ai::RawRequest request = ollama_request("POST", "/api/show", std::move(asked));
    out = co_await from_ollama(call, std::move(request));
  }
  if (out.empty()) {
    JsonWriter w(out);
    w.begin_object().key("details").begin_object().field("format", "remote");
    w.field("family", found->provider).end_object().key("model_info").begin_object();
    w.field("general.architecture", found->provider);
    if (found->context_tokens) w.field(found->provider + ".context_length", *found->context_tokens);
    w.end_object().key("capabilities").begin_array().value("completion").value("tools");
    w.end_array().end_object();
  }
  co_await respond_json(call.exchange, std::move(out));
}

}  // namespace

std::span<const Route> gateway_routes() {
  static const std::vector<Route> all = [] {
    std::vector<Route> list{
        {{"POST", "/v1/chat/completions", "gateway",
          "A chat completion, as OpenAI's API (with \"stream\": true an event stream)", "",
          "ChatRequest", kJson, "ChatAnswer"},
         post_openai_chat},
        {{"POST", "/v1/completions", "gateway",
          "A prompt that goes on, as OpenAI's older API (with \"stream\": true an event stream)",
          "", "", kJson, ""},
         post_completions},
        {{"POST", "/v1/responses", "gateway",
          "A response, as OpenAI's API (with \"stream\": true an event stream)", "", "", kJson, ""},
         post_responses},
        {{"GET", "/v1/responses/{id}", "gateway", "A response of the last 30 days, as OpenAI's API",
          "", "", kJson, ""},
         get_response},
        {{"DELETE", "/v1/responses/{id}", "gateway", "Forgets a response", "", "", kJson, ""},
         delete_response},
        {{"GET", "/v1/responses/{id}/input_items", "gateway",
          "What was said before a response, the newest first", "", "", kJson, ""},
         get_input_items},
        {{"POST", "/v1/embeddings", "gateway", "Embeddings, as OpenAI's API", "", "", kJson, ""},
         post_openai_embeddings},
        {{"POST", "/v1/messages", "gateway",
          "A message, as Anthropic's API (with \"stream\": true an event stream)", "", "", kJson,
          ""},
         post_messages},
        {{"POST", "/v1/messages/count_tokens", "gateway",
          "The tokens of a message, as Anthropic's API", "", "", kJson, ""},
         post_messages_count},
        {{"GET", "/v1/models", "gateway",
          "The models of all usable providers, as OpenAI's API (as Anthropic's or Gemini's for "
          "their clients)",
          "", "", kJson, "OpenAiModels"},
         get_models},
        {{"GET", "/v1/models/{id}", "gateway", "One model", "", "", kJson, "OpenAiModel"},
         get_model},
        {{"GET", "/v1beta/models", "gateway", "The models, as Gemini's API", "", "", kJson, ""},
         get_models},
        {{"GET", "/v1beta/models/{id}", "gateway", "One model, as Gemini's API", "", "", kJson, ""},
         get_model},
        {{"POST", "/api/chat", "gateway", "A chat, as Ollama's API", "", "", kNdjson, ""},
         post_ollama_chat},
        {{"POST", "/api/generate", "gateway", "A completion, as Ollama's API", "", "", kNdjson, ""},
         post_ollama_generate},
        {{"POST", "/api/embed", "gateway", "Embeddings, as Ollama's API", "", "", kJson, ""},
         post_ollama_embed},
        {{"POST", "/api/embeddings", "gateway", "One embedding, as Ollama's older API", "", "",
          kJson, ""},
         post_ollama_embeddings},
        {{"GET", "/api/tags", "gateway", "The models, as Ollama's API", "", "", kJson, ""},
         get_tags},
        {{"POST", "/api/show", "gateway", "One model, as Ollama's API", "", "", kJson, ""},
         post_show},
        {{"GET", "/api/ps", "gateway", "The models that Ollama has loaded", "", "", kJson, ""},
         get_ps},
        {{"GET", "/api/version", "gateway", "The version of Ollama's API", "", "", kJson, ""},
         get_version},
    };
    struct Verb {
      std::array<std::string_view, 2> paths;
      std::string_view summary;
      Task<void> (*run)(Call);
    };
    for (const Verb& v : {
             Verb{{"/v1/models/{id}:generateContent", "/v1beta/models/{id}:generateContent"},
                  "An answer, as Gemini's API",
                  post_generate_content},
             Verb{{"/v1/models/{id}:streamGenerateContent",
                   "/v1beta/models/{id}:streamGenerateContent"},
                  "An answer as a stream, as Gemini's API (?alt=sse, else one JSON list)",
                  post_stream_generate_content},
             Verb{{"/v1/models/{id}:countTokens", "/v1beta/models/{id}:countTokens"},
                  "The tokens of a request, as Gemini's API",
                  post_gemini_count},
             Verb{{"/v1/models/{id}:embedContent", "/v1beta/models/{id}:embedContent"},
                  "One embedding, as Gemini's API",
                  post_gemini_embed},
             Verb{{"/v1/models/{id}:batchEmbedContents", "/v1beta/models/{id}:batchEmbedContents"},
                  "Embeddings, as Gemini's API",
                  post_gemini_batch_embed},
         }) {
      for (const std::string_view path : v.paths)
        list.push_back({{"POST", path, "gateway", v.summary, "", "", kJson, ""}, v.run});
    }
    return list;
  }();
  return all;
}

}  // namespace samplemind::server
