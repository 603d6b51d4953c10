// Every dialect into every other: requests, answers whole and streamed. What a translation may lose
// is named here and in docs/dialects.md; everything else must come back the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ai/canonical_json.h"
#include "ai/dialect/dialect.h"
#include "ai/dialect_corpus_test.h"
#include "base/json.h"
#include "net/sse.h"

namespace samplemind::ai {
namespace {

using test::CorpusAnswer;
using test::CorpusRequest;
using test::form_of;
using test::joined;
using test::pieces_in;

// What clients speak; and what providers are asked in.
constexpr std::array<Dialect, 5> kDialects{Dialect::kOpenAi, Dialect::kAnthropic, Dialect::kGemini,
                                           Dialect::kOllama, Dialect::kResponses};
constexpr std::array<Dialect, 4> kTargets{Dialect::kOpenAi, Dialect::kAnthropic, Dialect::kGemini,
                                          Dialect::kOllama};

Target target_of(Dialect dialect, bool stream = false) {
  Target t;
  t.dialect = dialect;
  t.model = dialect == Dialect::kAnthropic ? "claude-sonnet-4-5"
            : dialect == Dialect::kGemini  ? "gemini-2.5-flash"
                                           : "some-model";
  t.stream = stream;
  return t;
}

Result<ChatRequest> read(Dialect dialect, std::string_view body) {
  return read_request(dialect, body, "some-model", false);
}

// --- Requests ----------------------------------------------------------------------------------

TEST(Matrix, CorpusIsLarge) {
  EXPECT_GE(test::corpus_requests().size() + test::corpus_answers().size(), 60u);
  std::set<std::string_view> names;
  for (const CorpusRequest& r : test::corpus_requests()) EXPECT_TRUE(names.insert(r.name).second);
  for (const CorpusAnswer& a : test::corpus_answers()) EXPECT_TRUE(names.insert(a.name).second);
}

TEST(Matrix, SameDialectPassesUntouchedButForTheModel) {
  for (const CorpusRequest& c : test::corpus_requests()) {
    SCOPED_TRACE(c.name);
    const auto request = read(c.dialect, c.body);
    ASSERT_TRUE(request.ok()) << request.error().message();
    const auto out = write_request(target_of(c.dialect), *request);
    ASSERT_TRUE(out.ok());
    std::string expected(c.body);
    if (const size_t at = expected.find("\"model\":\"m\""); at != std::string::npos)
      expected.replace(at + 8, 3, "\"" + std::string(target_of(c.dialect).model) + "\"");
    // Ids of items are of answers that were told here.
    for (const std::string_view id : {R"("id":"msg_1",)", R"("id":"fc_1",)"}) {
      const size_t at = expected.find(id);
      if (c.dialect == Dialect::kResponses && at != std::string::npos)
        expected.erase(at, id.size());
    }
    EXPECT_EQ(*out, expected);
  }
}

// Read, written for another dialect, read from there: the same request, or a refusal that names
// what cannot be said, or a loss that the corpus names.
TEST(Matrix, RequestsComeBackTheSameOrAreRefusedByName) {
  std::map<std::pair<Dialect, Dialect>, int> same;
  for (const CorpusRequest& c : test::corpus_requests()) {
    const auto request = read(c.dialect, c.body);
    ASSERT_TRUE(request.ok()) << c.name << request.error().message();
    for (const Dialect to : kTargets) {
      if (to == c.dialect) continue;
      SCOPED_TRACE(std::string(c.name) + " for " + std::string(dialect_name(to)));
      const char letter = to == Dialect::kOpenAi      ? 'O'
                          : to == Dialect::kAnthropic ? 'A'
                          : to == Dialect::kGemini    ? 'G'
                                                      : 'L';
      const auto out = write_request(target_of(to), *request);
      const auto refusal = c.refused.find(letter);
      if (refusal != c.refused.end()) {
        ASSERT_FALSE(out.ok()) << *out;
        EXPECT_EQ(out.error().code(), ErrorCode::kInvalidArgument);
        EXPECT_NE(out.error().message().find(refusal->second), std::string::npos)
            << out.error().message();
        continue;
      }
      ASSERT_TRUE(out.ok()) << out.error().message();
      const auto back = read(to, *out);
      ASSERT_TRUE(back.ok()) << *out << back.error().message();
      if (c.lossy.find(letter) != std::string_view::npos) {
        EXPECT_NE(canonical_request(*back), canonical_request(*request)) << "no loss after all";
        continue;
      }
      EXPECT_EQ(canonical_request(*back), canonical_request(*request)) << *out;
      ++same[{c.dialect, to}];
    }
  }
  for (const Dialect from : kDialects) {
    for (const Dialect to : kTargets) {
      if (from == to) continue;
      const std::pair<Dialect, Dialect> way{from, to};
      EXPECT_GE(same[way], 3) << dialect_name(from) << " for " << dialect_name(to);
    }
  }
}

TEST(Matrix, OneRequestInAllDialectsHasOneKey) {
  const std::vector<std::pair<Dialect, std::string_view>> spellings{
      {Dialect::kOpenAi,
       R"({"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":)"
       R"([{"type":"text","text":"What is it?"}]}],"temperature":0.2,"max_tokens":50,"user":"u",)"
       R"("tools":[{"type":"function","function":{"name":"f","description":"d","parameters":)"
       R"({"type":"object","properties":{"a":{"type":"string"}}}}}],"stop":["END"]})"},
      {Dialect::kAnthropic,
       R"({"model":"m","max_tokens":50,"system":[{"type":"text","text":"Be brief.","cache_control":)"
       R"({"type":"ephemeral"}}],"messages":[{"role":"user","content":"What is it?"}],)"
       R"("stop_sequences":["END"],"temperature":0.2,"tools":[{"name":"f","description":"d",)"
       R"("input_schema":{"properties":{"a":{"type":"string"}},"type":"object"}}],"stream":true})"},
      {Dialect::kGemini,
       R"({"contents":[{"parts":[{"text":"What is it?"}],"role":"user"}],"system_instruction":)"
       R"({"parts":[{"text":"Be brief."}]},"generationConfig":{"temperature":0.2,"maxOutputTokens":)"
       R"(50,"stopSequences":["END"]},"tools":[{"functionDeclarations":[{"name":"f","description":)"
       R"("d","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING"}}}}]}]})"},
      {Dialect::kOllama,
       R"({"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user",)"
       R"("content":"What is it?"}],"options":{"num_predict":50,"stop":["END"],"temperature":0.2},)"
       R"("tools":[{"type":"function","function":{"name":"f","description":"d","parameters":)"
       R"({"type":"object","properties":{"a":{"type":"string"}}}}}],"keep_alive":"5m"})"}};
  // Responses have no stop sequences.
  const auto chat =
      read(Dialect::kOpenAi, R"({"model":"m","messages":[{"role":"system","content":"Be brief."},)"
                             R"({"role":"user","content":"What is it?"}],"max_tokens":50,"tools":)"
                             R"([{"type":"function","function":{"name":"f"}}]})");
  const auto response = read(Dialect::kResponses,
                             R"({"model":"m","instructions":"Be brief.","input":"What is it?",)"
                             R"("max_output_tokens":50,"tool_choice":"auto","metadata":{"a":"b"},)"
                             R"("tools":[{"type":"function","name":"f"}]})");
  ASSERT_TRUE(chat.ok() && response.ok());
  EXPECT_EQ(canonical_request(*chat), canonical_request(*response));
  const auto first = read(spellings[0].first, spellings[0].second);
  ASSERT_TRUE(first.ok());
  for (const auto& [dialect, body] : spellings) {
    const auto request = read(dialect, body);
    ASSERT_TRUE(request.ok());
    EXPECT_EQ(canonical_request(*request), canonical_request(*first)) << dialect_name(dialect);
    EXPECT_EQ(request->never_cache, "");
  }
}

// Every value within a request, changed one at a time.
void changed(const JsonValue& v, const std::string& before, const std::string& after,
             std::vector<std::string>& out) {
  const auto add = [&](const std::string& text) { out.push_back(before + text + after); };
  if (v.is_object() || v.is_array()) {
    const bool object = v.is_object();
    std::vector<std::string> texts;
    std::vector<const JsonValue*> values;
    for (const auto& [name, value] : v.members()) {
      std::string key;
      append_json_string(key, name);
      texts.push_back(key + ":");
      values.push_back(&value);
    }
    for (const JsonValue& value : v.items()) {
      texts.emplace_back();
      values.push_back(&value);
    }
    for (size_t i = 0; i < values.size(); ++i) {
      std::string head(1, object ? '{' : '['), tail;
      for (size_t k = 0; k < i; ++k) head += texts[k] + values[k]->dump() + ",";
      for (size_t k = i + 1; k < values.size(); ++k) tail += "," + texts[k] + values[k]->dump();
      changed(*values[i], before + head + texts[i], tail + (object ? "}" : "]") + after, out);
    }
    if (object) {
      std::string with = v.dump();
      with.insert(with.size() - 1, v.size() == 0 ? "\"zz\":7" : ",\"zz\":7");
      add(with);
    }
  } else if (v.is_string()) {
    std::string text;
    append_json_string(text, std::string(v.text()) + "~");
    add(text);
  } else if (v.is_number()) {
    add(std::to_string(*v.number() + 1));
  } else if (v.is_bool()) {
    add(*v.boolean() ? "false" : "true");
  }
}

// No reader forgets anything: a changed value is another key, or an error.
TEST(Matrix, EveryChangeOfMeaningIsAnotherKey) {
  size_t tried = 0;
  for (const CorpusRequest& c : test::corpus_requests()) {
    SCOPED_TRACE(c.name);
    const std::string key = canonical_request(*read(c.dialect, c.body));
    std::vector<std::string> others;
    changed(*JsonValue::parse(c.body), "", "", others);
    for (const std::string& other : others) {
      // The scope names the model, and streaming is no difference.
      if (other.find("\"m~\"") != std::string::npos ||
          other.find("\"stream\":true") != std::string::npos)
        continue;
      const bool aside = std::any_of(c.aside.begin(), c.aside.end(), [&](std::string_view word) {
        return other.find(word) != std::string::npos && c.body.find(word) == std::string_view::npos;
      });
      if (aside) continue;
      const auto request = read(c.dialect, other);
      if (!request.ok()) continue;
      ++tried;
      EXPECT_NE(canonical_request(*request), key) << other;
    }
  }
  EXPECT_GT(tried, 500u);
}

// --- Answers -----------------------------------------------------------------------------------

// What an answer says, as far as `through` can say it.
std::string summary(const ChatAnswer& a, const std::vector<Dialect>& through) {
  const auto any = [&through](std::initializer_list<Dialect> of) {
    return std::any_of(of.begin(), of.end(), [&through](Dialect d) {
      return std::find(through.begin(), through.end(), d) != through.end();
    });
  };
  using enum Dialect;
  std::string out;
  JsonWriter w(out);
  w.begin_object();
  // Only OpenAI's dialects keep a refusal apart from the text.
  const bool refusal_apart = !any({kAnthropic, kGemini, kOllama});
  w.field("text", refusal_apart ? a.text : a.text + a.refusal);
  if (refusal_apart) w.field("refusal", a.refusal);
  w.field("reasoning", a.reasoning);
  w.key("calls").begin_array();
  for (const ToolCall& t : a.tool_calls) {
    w.begin_object().field("id", t.id).field("name", t.name);
    w.field("arguments", canonical_json(t.arguments.empty() ? "{}" : t.arguments).value());
    w.end_object();
  }
  w.end_array();
  if (!any({kAnthropic})) {
    // Bytes of tokens are OpenAI's and Ollama's.
    const auto list = JsonValue::parse("[" + a.logprobs + "]");
    w.key("logprobs").begin_array();
    for (const JsonValue& t : list->items())
      w.begin_array().value(t["token"].text()).value(t["logprob"].number_or(0)).end_array();
    w.end_array();
  }
  w.field("finish", a.finish_reason);
  w.field("input", a.usage.input_tokens).field("output", a.usage.output_tokens);
  if (!any({kOllama})) w.field("cached", a.usage.cached_input_tokens);
  if (!any({kOllama, kAnthropic})) w.field("reasoned", a.usage.reasoning_tokens);
  if (!any({kOllama, kGemini})) w.field("written", a.usage.cache_write_tokens);
  w.end_object();
  return out;
}

TEST(Matrix, AnswersComeBackTheSameWhole) {
  for (const CorpusAnswer& c : test::corpus_answers()) {
    const auto reader = make_answer_reader(c.dialect);
    reader->made_id = "0123456789abcdef";
    const auto answer = reader->whole(c.body);
    ASSERT_TRUE(answer.ok()) << c.name << answer.error().message();
    for (const Dialect to : kDialects) {
      SCOPED_TRACE(std::string(c.name) + " for " + std::string(dialect_name(to)));
      const std::string out = write_answer(form_of(to, false), *answer);
      ASSERT_TRUE(JsonValue::parse(out).ok()) << out;
      const auto again = make_answer_reader(to);
      again->made_id = reader->made_id;
      const auto back = again->whole(out);
      ASSERT_TRUE(back.ok()) << out;
      EXPECT_EQ(summary(*back, {to}), summary(*answer, {to})) << out;
      EXPECT_EQ(back->complete(), answer->complete()) << out;
    }
  }
}

TEST(Matrix, AnswersComeBackTheSameStreamed) {
  for (const CorpusAnswer& c : test::corpus_answers()) {
    const auto reader = make_answer_reader(c.dialect);
    reader->made_id = "0123456789abcdef";
    const auto answer = reader->whole(c.body);
    ASSERT_TRUE(answer.ok()) << c.name;
    // As a stream of its own dialect, in small pieces, then out as a stream of each.
    ChatAnswer head;
    const std::vector<ChatDelta> pieces =
        pieces_in(c.dialect, write_stream(form_of(c.dialect, true), *answer), head);
    for (const Dialect to : kDialects) {
      SCOPED_TRACE(std::string(c.name) + " for " + std::string(dialect_name(to)));
      const auto writer = make_stream_writer(form_of(to, true));
      std::string bytes;
      ChatAnswer grown;
      grown.id = head.id;
      grown.model = head.model;
      for (const ChatDelta& d : pieces) {
        append(grown, d);
        writer->delta(bytes, grown, d);
      }
      writer->end(bytes, grown);
      ChatAnswer head_back;
      const ChatAnswer back = joined(pieces_in(to, bytes, head_back), head_back);
      EXPECT_EQ(summary(back, {c.dialect, to}), summary(*answer, {c.dialect, to})) << bytes;
    }
  }
}

// Completions tell the text alone: what is beside it has no place there.
TEST(Matrix, CompletionsTellTheTextOfAnyAnswer) {
  for (const CorpusAnswer& c : test::corpus_answers()) {
    SCOPED_TRACE(c.name);
    const auto answer = make_answer_reader(c.dialect)->whole(c.body);
    ASSERT_TRUE(answer.ok());
    Form form = form_of(Dialect::kCompletions, false);
    form.lead = "Once";
    const std::string out = write_answer(form, *answer);
    const auto back = make_answer_reader(Dialect::kCompletions)->whole(out);
    ASSERT_TRUE(back.ok()) << out;
    EXPECT_EQ(back->text, "Once" + answer->text + answer->refusal);
    EXPECT_EQ(back->usage.output_tokens, answer->usage.output_tokens);
    EXPECT_EQ(back->cut_by_length(), answer->cut_by_length()) << out;
    form.stream = true;
    ChatAnswer head;
    const std::string stream = write_stream(form, *answer);
    const ChatAnswer streamed = joined(pieces_in(Dialect::kCompletions, stream, head), head);
    EXPECT_EQ(streamed.text, back->text) << stream;
    EXPECT_EQ(streamed.finish_reason, back->finish_reason);
    EXPECT_EQ(streamed.logprobs, back->logprobs);
    EXPECT_EQ(streamed.usage.input_tokens, back->usage.input_tokens);
    if (answer->logprobs.empty()) continue;
    const auto told = JsonValue::parse(out);
    EXPECT_EQ((*told)["choices"][0]["logprobs"]["text_offset"][0].integer(), 4);
    EXPECT_NE(stream.find("\"text_offset\":[4"), std::string::npos) << stream;
  }
}

// The events of a response in OpenAI's order, numbered, each item's pieces its final form.
TEST(Matrix, ResponsesTellEveryEvent) {
  for (const CorpusAnswer& c : test::corpus_answers()) {
    SCOPED_TRACE(c.name);
    const auto answer = make_answer_reader(c.dialect)->whole(c.body);
    ASSERT_TRUE(answer.ok());
    net::SseReader events;
    ASSERT_TRUE(events.feed(write_stream(form_of(Dialect::kResponses, true), *answer)).ok());
    std::vector<JsonValue> items;
    std::map<int64_t, std::string> said;
    std::string order;
    int64_t number = 0;
    JsonValue last;
    while (auto event = events.next()) {
      const JsonValue v = *JsonValue::parse(event->data);
      EXPECT_EQ(v["type"].text(), event->event);
      EXPECT_EQ(v["sequence_number"].integer(), number++);
      const int64_t place = v["output_index"].integer_or(-1);
      if (event->event.ends_with(".delta")) said[place] += v["delta"].text();
      if (event->event == "response.output_item.added") {
        EXPECT_EQ(place, static_cast<int64_t>(order.size()));
        order += 'o';
      }
      if (event->event == "response.output_item.done") {
        order[static_cast<size_t>(place)] = 'x';
        items.push_back(v["item"]);
        const JsonValue& item = v["item"];
        std::string all(item["arguments"].text());
        for (const JsonValue& part : item["content"].items())
          all += std::string(part["text"].text()) + std::string(part["refusal"].text());
        for (const JsonValue& part : item["summary"].items()) all += part["text"].text();
        EXPECT_EQ(said[place], all);
      }
      if (number <= 2) {
        EXPECT_EQ(event->event, number == 1 ? "response.created" : "response.in_progress");
      }
      last = v;
    }
    EXPECT_EQ(order.find('o'), std::string::npos) << order;
    EXPECT_EQ(last["type"].text(),
              answer->complete() ? "response.completed" : "response.incomplete");
    ASSERT_EQ(last["response"]["output"].size(), items.size());
    EXPECT_EQ(last["response"].dump(), write_answer(form_of(Dialect::kResponses, false), *answer));
  }
}

// What one provider signed comes back to it from any client, and is sent to no other.
TEST(Matrix, SignaturesFindTheirWayBackAndGoNowhereElse) {
  const auto claude =
      make_answer_reader(Dialect::kAnthropic)
          ->whole(
              R"({"id":"m","type":"message","role":"assistant","model":"c","content":[{"type":"thinking",)"
              R"("thinking":"hm","signature":"EqQB"},{"type":"text","text":"yes"}],"stop_reason":"end_turn",)"
              R"("usage":{"input_tokens":5,"output_tokens":7}})");
  ASSERT_TRUE(claude.ok());
  const auto response =
      *JsonValue::parse(write_answer(form_of(Dialect::kResponses, false), *claude));
  EXPECT_EQ(response["output"][0]["encrypted_content"].text(), "anthropic:EqQB");
  const auto again = read(Dialect::kResponses,
                          R"({"model":"m","max_output_tokens":9,"input":[{"role":"user","content":)"
                          R"("hi"},)" +
                              response["output"][0].dump() + "," + response["output"][1].dump() +
                              R"(,{"role":"user","content":"go"}]})");
  ASSERT_TRUE(again.ok());
  for (const Dialect to : kTargets) {
    const auto out = write_request(target_of(to), *again);
    ASSERT_TRUE(out.ok());
    EXPECT_EQ(out->find("EqQB") != std::string::npos, to == Dialect::kAnthropic) << *out;
    EXPECT_EQ(out->find("anthropic:"), std::string::npos) << *out;
  }
  const auto gemini =
      make_answer_reader(Dialect::kGemini)
          ->whole(R"({"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}},)"
                  R"("thoughtSignature":"CpwB"}]},"finishReason":"STOP"}]})");
  ASSERT_TRUE(gemini.ok());
  const auto chat = *JsonValue::parse(write_answer(form_of(Dialect::kOpenAi, false), *gemini));
  EXPECT_EQ(chat["choices"][0]["message"]["tool_calls"][0]["extra_content"].dump(),
            R"({"google":{"thought_signature":"CpwB"}})");
  // Reasoning that Gemini signed, shown to a client of Anthropic's, is no signature of Claude's.
  const auto thought =
      make_answer_reader(Dialect::kGemini)
          ->whole(
              R"({"candidates":[{"content":{"parts":[{"text":"hm","thought":true,"thoughtSignature":"CpwB"},)"
              R"({"text":"yes"}]},"finishReason":"STOP"}]})");
  ASSERT_TRUE(thought.ok());
  const auto message =
      *JsonValue::parse(write_answer(form_of(Dialect::kAnthropic, false), *thought));
  EXPECT_EQ(message["content"][0]["signature"].text(), "gemini:CpwB");
  const auto back = read(Dialect::kAnthropic,
                         R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":)"
                         R"("hi"},{"role":"assistant","content":)" +
                             message["content"].dump() + R"(},{"role":"user","content":"go"}]})");
  ASSERT_TRUE(back.ok());
  const auto openai = write_request(target_of(Dialect::kOpenAi), *back);
  ASSERT_TRUE(openai.ok());
  EXPECT_EQ(openai->find("CpwB"), std::string::npos);
}

// A cached answer replayed as a stream passes the same reader as a real one, and has the same
// signatures and order.
TEST(Matrix, SignedReasoningSurvivesItsOwnDialect) {
  for (const CorpusAnswer& c : test::corpus_answers()) {
    if (c.dialect != Dialect::kAnthropic) continue;
    SCOPED_TRACE(c.name);
    const auto reader = make_answer_reader(c.dialect);
    const auto answer = reader->whole(c.body);
    ASSERT_TRUE(answer.ok());
    const std::string out = write_answer(form_of(c.dialect, false), *answer);
    EXPECT_EQ((*JsonValue::parse(out))["content"].dump(),
              (*JsonValue::parse(c.body))["content"].dump());
    ChatAnswer head;
    const ChatAnswer back =
        joined(pieces_in(c.dialect, write_stream(form_of(c.dialect, true), *answer), head), head);
    EXPECT_EQ((*JsonValue::parse(write_answer(form_of(c.dialect, false), back)))["content"].dump(),
              (*JsonValue::parse(c.body))["content"].dump());
  }
}

TEST(Matrix, MixedPiecesOfParallelCallsAreTakenApart) {
  // OpenAI may mix the pieces of two calls; Anthropic's blocks follow each other.
  const auto reader = make_answer_reader(Dialect::kOpenAi);
  std::vector<ChatDelta> pieces;
  const auto piece = [&](const std::string& delta, const std::string& finish = "null") {
    ASSERT_TRUE(reader
                    ->event("message",
                            R"({"id":"c","model":"m","choices":[{"index":0,"delta":)" + delta +
                                ",\"finish_reason\":" + finish + "}]}",
                            pieces)
                    .ok());
  };
  piece(
      R"({"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]})");
  piece(
      R"({"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{\"y\":"}}]})");
  piece(R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":1}"}}]})");
  piece(R"({"tool_calls":[{"index":1,"function":{"arguments":"2}"}}]})");
  piece("{}", "\"tool_calls\"");
  const ChatAnswer whole = joined(pieces, reader->head);
  for (const Dialect to : kDialects) {
    const auto writer = make_stream_writer(form_of(to, true));
    std::string bytes;
    for (const ChatDelta& d : pieces) writer->delta(bytes, whole, d);
    writer->end(bytes, whole);
    ChatAnswer head;
    const ChatAnswer back = joined(pieces_in(to, bytes, head), head);
    ASSERT_EQ(back.tool_calls.size(), 2u) << bytes;
    EXPECT_EQ(back.tool_calls[0].arguments, "{\"x\":1}");
    EXPECT_EQ(back.tool_calls[1].arguments, "{\"y\":2}");
    EXPECT_EQ(back.tool_calls[1].name, "g");
  }
}

TEST(Matrix, ErrorsHaveTheShapeOfTheirDialect) {
  AnswerError e;
  e.status = 429;
  e.type = "rate_limit_error";
  e.code = "rate_limit_exceeded";
  e.message = "slow \"down\"";
  const auto json = [&e](Dialect d) { return *JsonValue::parse(write_error(d, e)); };
  EXPECT_EQ(json(Dialect::kOpenAi)["error"]["code"].text(), "rate_limit_exceeded");
  EXPECT_EQ(json(Dialect::kAnthropic)["type"].text(), "error");
  EXPECT_EQ(json(Dialect::kAnthropic)["error"]["type"].text(), "rate_limit_error");
  EXPECT_EQ(json(Dialect::kGemini)["error"]["status"].text(), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(json(Dialect::kGemini)["error"]["code"].integer(), 429);
  EXPECT_EQ(json(Dialect::kOllama)["error"].text(), "slow \"down\"");
  // Within a stream: one event, no terminal marker.
  for (const Dialect d : kDialects) {
    const auto writer = make_stream_writer(form_of(d, true));
    std::string bytes;
    ChatAnswer head;
    ChatDelta text;
    text.text = "half";
    append(head, text);
    writer->delta(bytes, head, text);
    writer->error(bytes, e);
    const auto reader = make_answer_reader(d);
    std::vector<ChatDelta> pieces;
    Result<void> last = ok();
    if (d == Dialect::kOllama) {
      net::NdjsonReader lines;
      ASSERT_TRUE(lines.feed(bytes).ok());
      while (auto line = lines.next()) last = reader->event("chat", std::move(*line), pieces);
    } else {
      net::SseReader events;
      ASSERT_TRUE(events.feed(bytes).ok());
      while (auto event = events.next())
        last = reader->event(event->event, std::move(event->data), pieces);
    }
    EXPECT_FALSE(last.ok()) << dialect_name(d) << bytes;
    EXPECT_FALSE(reader->done);
  }
}

TEST(Anthropic, OverloadedWithinAStreamIsAFailure) {
  const auto reader = make_answer_reader(Dialect::kAnthropic);
  std::vector<ChatDelta> pieces;
  const auto read = reader->event(
      "error", R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})",
      pieces);
  EXPECT_FALSE(read.ok());
  ASSERT_TRUE(reader->failure.has_value());
  EXPECT_EQ(reader->failure->status, 503);
  EXPECT_TRUE(pieces.empty());
}

}  // namespace
}  // namespace samplemind::ai
