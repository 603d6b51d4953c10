#include "ai/gateway/side.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "ai/dialect/anthropic.h"
#include "ai/dialect/gemini.h"
#include "ai/dialect/openai.h"
#include "ai/facts.h"
#include "ai/gateway/answer.h"
#include "ai/gateway/books.h"
#include "ai/gateway/route_wishes.h"
#include "ai/gateway/scope.h"
#include "ai/provider/http.h"
#include "net/http.h"

namespace samplemind::ai {

namespace {

Failure refused(const Error& e) {
  return {400,
          "invalid_request_error",
          "",
          e.message() + (e.hint().empty() ? "" : "; " + e.hint()),
          {}};
}

// The members of a request for messages that the counting of its tokens takes, too.
std::string countable(std::string_view request) {
  constexpr std::array<std::string_view, 7> kTaken{
      "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"};
  std::string out = "{";
  for (const JsonMember& m : top_level_members(request)) {
    if (std::find(kTaken.begin(), kTaken.end(), m.key) == kTaken.end()) continue;
    if (out.size() > 1) out += ',';
    out += request.substr(m.begin, m.value_end - m.begin);
  }
  return out + "}";
}

std::string write_count(Dialect dialect, int64_t tokens) {
  std::string out;
  JsonWriter(out)
      .begin_object()
      .field(dialect == Dialect::kGemini ? "totalTokens" : "input_tokens", tokens)
      .end_object();
  return out;
}

// Gemini's countTokens takes contents alone, or a whole request within.
std::string inner_request(std::string_view body) {
  for (const JsonMember& m : top_level_members(body)) {
    if (m.key == "generateContentRequest" || m.key == "generate_content_request")
      return std::string(body.substr(m.value_begin, m.value_end - m.value_begin));
  }
  return std::string(body);
}

}  // namespace

net::Task<std::optional<Failure>> SideCalls::resolve(Plan& p, const CallContext& context) {
  const RouteWishes wishes = read_route_wishes(context);
  p.tenant = context.tenant;
  p.key_holder = context.key;
  p.local_only = wishes.local_only;
  co_return co_await resolver_->resolve(p, wishes);
}

net::Task<std::optional<UpstreamError>> SideCalls::counted(const Plan& p, net::CancelToken cancel,
                                                           std::optional<int64_t>& tokens) {
  const std::string provider = p.provider->name();
  const ChatRequest& asked = *p.request;
  RawRequest raw;
  if (p.provider->dialect() == Dialect::kAnthropic) {
    raw.path = "/v1/messages/count_tokens";
    if (asked.dialect == Dialect::kAnthropic) {
      raw.body = rewrite_openai_request(asked.body, p.model, false);
    } else {
      const auto body = write_anthropic_request(asked, p.model, false);
      if (!body.ok()) co_return from_error(body.error(), provider);
      raw.body = countable(*body);
    }
  } else if (p.provider->dialect() == Dialect::kGemini) {
    const auto body = asked.dialect == Dialect::kGemini ? Result<std::string>(asked.body)
                                                        : write_gemini_request(asked, p.model);
    if (!body.ok()) co_return from_error(body.error(), provider);
    raw.path = "/models/" + net::percent_encode(p.model) + ":countTokens";
    const size_t brace = body->find('{');
    std::string named = "{\"model\":";
    append_json_string(named, "models/" + p.model);
    if (top_level_members(*body).empty()) {
      named += '}';
    } else {
      named += "," + body->substr(brace + 1);
    }
    raw.body = "{\"generateContentRequest\":" + named + "}";
  } else {
    co_return std::nullopt;
  }
  const auto answer = co_await p.provider->raw(*client_, std::move(raw), cancel);
  if (!answer.ok()) co_return from_error(answer.error(), provider);
  if (answer->error) co_return answer->error;
  const auto v = JsonValue::parse(answer->body);
  tokens = v.ok() ? (*v)[p.provider->dialect() == Dialect::kGemini ? "totalTokens" : "input_tokens"]
                        .integer()
                  : std::nullopt;
  if (tokens) co_return std::nullopt;
  const Error nonsense(ErrorCode::kUpstream, "its answer holds no number of tokens");
  co_return from_error(nonsense, provider);
}

net::Task<void> SideCalls::count_tokens(CallContext context, ChatRoute route, std::string_view body,
                                        ResponseSink& client) {
  RequestScope sink(*core_, context, dialect_name(route.dialect), body, &client);
  if (auto over = sink.admit()) {
    sink.failed(*over);
    co_await fail(std::move(*over), route.dialect, sink);
    co_return;
  }
  const Books& books = *core_->books_;
  std::string inner = books.redacted(body);
  if (route.dialect == Dialect::kGemini) inner = inner_request(inner);
  auto request = read_request(route.dialect, inner, route.model, false);
  if (!request.ok()) {
    Failure failure = refused(request.error());
    co_await fail(std::move(failure), route.dialect, sink);
    co_return;
  }
  Plan p;
  p.request = std::make_shared<const ChatRequest>(std::move(*request));
  p.facts = facts_of(*p.request);
  std::optional<Failure> unresolved = books.guard(p.facts.input_tokens, inner);
  if (!unresolved) unresolved = co_await resolve(p, context);
  if (unresolved) {
    sink.failed(*unresolved);
    co_await fail(std::move(*unresolved), route.dialect, sink);
    co_return;
  }
  sink.planned(p);
  std::optional<int64_t> tokens;
  if (auto error = co_await counted(p, context.cancel, tokens)) {
    Failure failure = to_failure(*error);
    failure.once = true;
    sink.failed(failure);
    co_await fail(std::move(failure), route.dialect, sink);
    co_return;
  }
  net::Headers headers;
  headers.add("content-type", "application/json");
  headers.add("x-samplemind-model", model_header(p.provider->name(), p.model));
  // About four bytes a token, which holds for English and for code.
  if (!tokens) headers.add("x-samplemind-estimated", "true");
  const int64_t count =
      tokens.value_or(static_cast<int64_t>(canonical_request(*p.request).size() / 4 + 1));
  const std::string out = write_count(route.dialect, count);
  (void)(co_await sink.respond(200, std::move(headers), out)).ok();
}

net::Task<Result<RawAnswer>> SideCalls::ollama(RawRequest request, net::CancelToken cancel) {
  Provider* provider = resolver_->provider_named("ollama");
  if (provider == nullptr || !provider->configured())
    co_return Error(ErrorCode::kUnavailable, "Ollama is not configured");
  co_return co_await provider->raw(*client_, std::move(request), std::move(cancel));
}

}  // namespace samplemind::ai
