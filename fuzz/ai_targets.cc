#include "ai_targets.h"

#include <array>
#include <string>
#include <vector>

#include "ai/dialect/dialect.h"
#include "ai/dialect/embed.h"
#include "ai/dialect/responses.h"
#include "ai/guard_text.h"
#include "base/json.h"

namespace samplemind::fuzz {

namespace {

using namespace samplemind::ai;

constexpr std::array<Dialect, 7> kDialects{
    Dialect::kOpenAi,         Dialect::kAnthropic, Dialect::kGemini,     Dialect::kOllama,
    Dialect::kOllamaGenerate, Dialect::kResponses, Dialect::kCompletions};

Dialect chosen(std::string_view& input) {
  if (input.empty()) return Dialect::kOpenAi;
  const Dialect d = kDialects[static_cast<unsigned char>(input.front()) % kDialects.size()];
  input.remove_prefix(1);
  return d;
}

bool is_json(std::string_view text) {
  return JsonValue::parse(text).ok();
}

Form form_of(Dialect dialect, bool stream) {
  Form f;
  f.dialect = dialect;
  f.stream = stream;
  f.include_usage = true;
  f.list = stream && dialect == Dialect::kGemini;
  f.model = "m";
  return f;
}

}  // namespace

void dialect_request(std::string_view input) {
  const Dialect from = chosen(input);
  if (from == Dialect::kResponses && is_json(input) && input.starts_with('{')) {
    (void)references_of_request(input);
    const std::string expanded =
        expand_responses_request(input, R"({"role":"user","content":"x"})", {{"msg_a_0", "{}"}});
    SM_ASSERT(is_json(expanded));
    SM_ASSERT(is_json("[" + input_items(expanded) + "]"));
  }
  const auto request = read_request(from, input, "m", false);
  if (!request.ok()) {
    SM_ASSERT(request.error().code() == ErrorCode::kInvalidArgument);
    return;
  }
  SM_ASSERT(is_json(canonical_request(*request)));
  for (const Dialect to : kDialects) {
    // Those are asked as a chat.
    if ((to == Dialect::kOllamaGenerate || to == Dialect::kResponses ||
         to == Dialect::kCompletions) &&
        from != to)
      continue;
    for (const std::string_view model : {"claude-sonnet-4-5", "claude-opus-5", "gemini-3-pro"}) {
      Target target;
      target.dialect = to;
      target.model = model;
      const auto out = write_request(target, *request);
      if (!out.ok()) {
        SM_ASSERT(out.error().code() == ErrorCode::kInvalidArgument);
        SM_ASSERT(from != to);
        continue;
      }
      SM_ASSERT(is_json(*out));
      // A request without a message loads a model at Ollama and is refused elsewhere, by the
      // provider itself.
      if (request->messages.empty()) continue;
      const auto back = read_request(to, *out, "m", false);
      if (back.ok()) (void)canonical_request(*back);
    }
  }
}

void dialect_answer(std::string_view input) {
  const auto reader = make_answer_reader(chosen(input));
  reader->made_id = "0123456789abcdef";
  const auto answer = reader->whole(input);
  if (!answer.ok()) return;
  for (const Dialect to : kDialects) {
    SM_ASSERT(is_json(write_answer(form_of(to, false), *answer)));
    const std::string stream = write_stream(form_of(to, true), *answer);
    SM_ASSERT(!stream.empty());
    if (to == Dialect::kGemini) SM_ASSERT(is_json(stream));
  }
}

void dialect_stream(std::string_view input) {
  const Dialect from = chosen(input);
  const auto reader = make_answer_reader(from);
  reader->made_id = "0123456789abcdef";
  std::vector<ChatDelta> pieces;
  while (!input.empty() && !reader->done) {
    const size_t end = std::min(input.find('\n'), input.size());
    if (!reader->event("message", std::string(input.substr(0, end)), pieces).ok()) break;
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  ChatAnswer whole;
  for (const ChatDelta& d : pieces) append(whole, d);
  size_t text = 0, reasoning = 0;
  for (const Block& b : whole.blocks) {
    if (b.kind == Block::Kind::kText) text += b.size;
    if (b.kind == Block::Kind::kReasoning) reasoning += b.size;
  }
  SM_ASSERT(text == whole.text.size() && reasoning == whole.reasoning.size());
  for (const Dialect to : kDialects) {
    const auto writer = make_stream_writer(form_of(to, true));
    std::string out;
    for (const ChatDelta& d : pieces) writer->delta(out, whole, d);
    if (reader->done) {
      writer->end(out, whole);
      if (to == Dialect::kGemini && from != to) SM_ASSERT(is_json(out));
    } else {
      writer->error(out, AnswerError());
    }
  }
}

void dialect_embed(std::string_view input) {
  if (input.empty()) return;
  const auto form = static_cast<EmbedForm>(static_cast<unsigned char>(input.front()) % 5);
  input.remove_prefix(1);
  const auto request = read_embed_request(form, input, "m");
  if (request.ok()) {
    for (const Dialect to : kDialects) {
      const auto call = write_embed_request(to, *request, "m");
      if (call.ok()) SM_ASSERT(is_json(call->body));
    }
  }
  for (const Dialect to : {Dialect::kOpenAi, Dialect::kGemini, Dialect::kOllama}) {
    const auto answer = read_embed_answer(to, input);
    if (!answer.ok()) continue;
    EmbedRequest asked;
    asked.form = form;
    asked.base64 = true;
    SM_ASSERT(is_json(write_embed_answer(asked, *answer)));
  }
}

void guard_text(std::string_view input) {
  const std::string plain = ai::plain_escapes(input);
  ai::BlockedWords words;
  words.add("a \xC3\x84");
  words.add(input.substr(0, 16));
  (void)words.in(input);
  const auto before = JsonValue::parse(input);
  if (!before.ok()) return;
  const auto after = JsonValue::parse(plain);
  SM_ASSERT(after.ok() && after->dump() == before->dump());
}

}  // namespace samplemind::fuzz
