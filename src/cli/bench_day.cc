#include "cli/bench_day.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <utility>

#include "base/hash.h"
#include "base/json.h"

namespace samplemind::cli {

namespace {

struct Kind {
  const char* question;
  bool tools = false;
};
// Each of the router's tasks that needs no sound is among them.
constexpr Kind kAnalyses[kDayAnalyses] = {
    {"Which genre is it made for? Name one and say why."},
    {"Summarise in two sentences how it sounds."},
    {"Which mood does it have, and which scene of a film would it fit?"},
    {"Invent three titles for a track that begins with it."},
    {"How should it be equalised to sit under a voice?"},
    {"Which chords go with it? Give four bars."},
    {"Write a first verse that fits its mood."},
    {"What is wrong with its level and its dynamics, if anything?"},
    {"Which instruments are missing around it?"},
    {"Tag it with the function.", true},
};
constexpr const char* kFollowUps[] = {
    "What goes well with it?",
    "Is it too loud for streaming?",
    "How do I make it shorter without losing its tail?",
    "Which compressor settings would you begin with?",
    "Can I pitch it up by three semitones?",
    "Does it clash with a bass in F minor?",
    "How do I make it sound older?",
    "Where in the stereo field does it belong?",
    "Which reverb suits it?",
    "Is it fit for the drop?",
    "How do I layer it?",
    "Which tempo does it work at, too?",
};
constexpr int kFollowUpKinds = static_cast<int>(std::size(kFollowUps));

// The same on every machine, which the standard's distributions are not.
class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}
  double share() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }
  size_t below(size_t n) {
    return std::min(n - 1, static_cast<size_t>(share() * static_cast<double>(n)));
  }
  template <class T>
  void shuffle(std::vector<T>& v) {
    for (size_t i = v.size(); i > 1; --i) std::swap(v[i - 1], v[below(i)]);
  }

 private:
  std::mt19937_64 engine_;
};

// What SampleMind would have measured of the file.
std::string facts(uint32_t file) {
  constexpr const char* kNames[] = {"kick", "snare", "loop", "bass", "pad", "vocal", "hat", "fx"};
  constexpr const char* kKeys[] = {"A minor", "C major", "F# minor", "E minor", "G major"};
  Dice dice(file * 7919u + 17);
  char text[400];
  std::snprintf(text, sizeof text,
                "%s_%03u.wav: %.1f s, %.1f BPM, %s, loudness %.1f LUFS, true peak %.1f dBTP, "
                "spectral centroid %d Hz, low end %d %%, mids %d %%, highs %d %%, transients %d "
                "a second, stereo width %.2f, groove: straight sixteenths.",
                kNames[dice.below(std::size(kNames))], file, 0.2 + 8 * dice.share(),
                70 + 110 * dice.share(), kKeys[dice.below(std::size(kKeys))],
                -24 + 16 * dice.share(), -6 + 6 * dice.share(),
                static_cast<int>(200 + dice.below(6000)), static_cast<int>(dice.below(60)),
                static_cast<int>(dice.below(60)), static_cast<int>(dice.below(40)),
                static_cast<int>(1 + dice.below(12)), dice.share());
  return text;
}

struct Pace {
  std::string_view provider;
  double first_token_s, tokens_per_s;
};
constexpr Pace kPaces[] = {
    {"openai", 0.6, 80}, {"anthropic", 0.9, 75}, {"gemini", 0.5, 180}, {"ollama", 0.3, 60}};
constexpr std::string_view kPaths[kScriptedDialects] = {"openai", "anthropic", "gemini", "ollama"};

int64_t answer_tokens(std::string_view body) {
  Dice dice(blake3(body).prefix64());
  // Normal by Box and Muller; of the logarithm.
  const double normal =
      std::sqrt(-2 * std::log(1 - dice.share())) * std::cos(2 * 3.14159265358979 * dice.share());
  return static_cast<int64_t>(std::clamp(220 * std::exp(0.45 * normal), 40.0, 900.0));
}

std::string model_list(ScriptedDialect dialect) {
  std::string out;
  JsonWriter w(out);
  const auto list = [&w](const char* key, const char* name,
                         std::initializer_list<const char*> models) {
    w.begin_object().key(key).begin_array();
    for (const char* m : models) w.begin_object().field(name, m).end_object();
    w.end_array().end_object();
  };
  switch (dialect) {
    case ScriptedDialect::kOpenAi:
      list("data", "id", {"gpt-4o", "gpt-4o-mini", "gpt-5-mini", "gpt-5-nano"});
      break;
    case ScriptedDialect::kAnthropic:
      list("data", "id", {"claude-haiku-4-5", "claude-sonnet-4-5"});
      break;
    case ScriptedDialect::kGemini:
      list("models", "name", {"models/gemini-2.5-flash-lite", "models/gemini-2.5-pro"});
      break;
    case ScriptedDialect::kOllama:
      list("models", "name", {"llama3.2:3b-instruct-q8_0"});
      break;
  }
  return out;
}

std::string answer(ScriptedDialect dialect, std::string_view body, int64_t output_tokens) {
  std::string text;
  while (static_cast<int64_t>(text.size()) < 4 * output_tokens)
    text += "Leave it room in the low end and let its tail ring. ";
  const auto input_tokens = static_cast<int64_t>(body.size() / 4);
  std::string out;
  JsonWriter w(out);
  w.begin_object();
  switch (dialect) {
    case ScriptedDialect::kOpenAi:
      w.field("id", "chatcmpl-day").field("object", "chat.completion").field("created", 1);
      w.field("model", "scripted").key("choices").begin_array().begin_object().field("index", 0);
      w.key("message").begin_object().field("role", "assistant").field("content", text);
      w.end_object().field("finish_reason", "stop").end_object().end_array();
      w.key("usage").begin_object().field("prompt_tokens", input_tokens);
      w.field("completion_tokens", output_tokens);
      w.field("total_tokens", input_tokens + output_tokens).end_object();
      break;
    case ScriptedDialect::kAnthropic:
      w.field("id", "msg_day").field("type", "message").field("role", "assistant");
      w.field("model", "scripted").key("content").begin_array().begin_object();
      w.field("type", "text").field("text", text).end_object().end_array();
      w.field("stop_reason", "end_turn").key("usage").begin_object();
      w.field("input_tokens", input_tokens).field("output_tokens", output_tokens).end_object();
      break;
    case ScriptedDialect::kGemini:
      w.key("candidates").begin_array().begin_object().key("content").begin_object();
      w.key("parts").begin_array().begin_object().field("text", text).end_object().end_array();
      w.field("role", "model").end_object().field("finishReason", "STOP").field("index", 0);
      w.end_object().end_array().key("usageMetadata").begin_object();
      w.field("promptTokenCount", input_tokens).field("candidatesTokenCount", output_tokens);
      w.field("totalTokenCount", input_tokens + output_tokens).end_object();
      break;
    case ScriptedDialect::kOllama:
      w.field("model", "scripted").field("created_at", "2026-01-01T00:00:00Z");
      w.key("message").begin_object().field("role", "assistant").field("content", text);
      w.end_object().field("done", true).field("done_reason", "stop");
      w.field("prompt_eval_count", input_tokens).field("eval_count", output_tokens);
      break;
  }
  w.end_object();
  return out;
}

}  // namespace

Day Day::make(const DayShape& shape) {
  Dice dice(shape.seed);
  Day day;
  const auto files = static_cast<uint32_t>(shape.files);
  day.users.resize(static_cast<size_t>(shape.users));
  for (auto& asks : day.users) {
    std::vector<uint32_t> own(files);
    for (uint32_t i = 0; i < files; ++i) own[i] = i;
    dice.shuffle(own);
    own.resize(static_cast<size_t>(std::llround(shape.share * files)));
    std::vector<uint16_t> kinds(kDayAnalyses);
    for (size_t i = 0; i < kinds.size(); ++i) kinds[i] = static_cast<uint16_t>(i);
    dice.shuffle(kinds);
    // One analysis after the other, each over all of the user's files.
    for (const uint16_t kind : kinds) {
      for (const uint32_t file : own) asks.push_back({file, kind});
    }
  }
  // Every follow-up question of every file has its rank; Zipf's law says how often it is asked.
  std::vector<DayQuestion> ranked;
  for (uint32_t file = 0; file < files; ++file) {
    for (int k = 0; k < kFollowUpKinds; ++k)
      ranked.push_back({file, static_cast<uint16_t>(kDayAnalyses + k)});
  }
  dice.shuffle(ranked);
  std::vector<double> up_to;
  double sum = 0;
  for (size_t i = 0; i < ranked.size(); ++i)
    up_to.push_back(sum += std::pow(static_cast<double>(i + 1), -shape.zipf));
  for (int i = 0; i < shape.followups; ++i) {
    auto& asks = day.users[static_cast<size_t>(i % shape.users)];
    const auto at = std::lower_bound(up_to.begin(), up_to.end(), dice.share() * sum);
    const DayQuestion q =
        ranked[std::min(static_cast<size_t>(at - up_to.begin()), ranked.size() - 1)];
    asks.insert(asks.begin() + static_cast<std::ptrdiff_t>(dice.below(asks.size() + 1)), q);
  }
  std::set<std::pair<uint32_t, uint16_t>> seen;
  for (const auto& asks : day.users) {
    day.questions += asks.size();
    for (const DayQuestion& q : asks) seen.emplace(q.file, q.kind);
  }
  day.distinct = seen.size();
  return day;
}

std::string Day::body(const DayQuestion& q, std::string_view model) {
  const bool analysis = q.kind < kDayAnalyses;
  const char* question = analysis ? kAnalyses[q.kind].question : kFollowUps[q.kind - kDayAnalyses];
  std::string body;
  JsonWriter w(body);
  w.begin_object().field("model", model).key("messages").begin_array();
  w.begin_object().field("role", "system");
  w.field("content",
          "You help music producers. You are given what was measured of one sound, and a question. "
          "Answer briefly, with figures where they help, and say so where the facts do not tell.");
  w.end_object().begin_object().field("role", "user");
  w.field("content", "Measured: " + facts(q.file) + "\n" + question).end_object().end_array();
  if (analysis && kAnalyses[q.kind].tools) {
    w.key("tools").begin_array().begin_object().field("type", "function").key("function");
    w.begin_object().field("name", "tag").key("parameters").begin_object();
    w.field("type", "object").key("properties").begin_object().key("tags").begin_object();
    w.field("type", "array").key("items").begin_object().field("type", "string").end_object();
    w.end_object().end_object().end_object().end_object().end_object().end_array();
  }
  w.end_object();
  return body;
}

double ScriptedProvider::model_seconds(std::string_view provider, int64_t output_tokens) {
  for (const Pace& p : kPaces) {
    if (p.provider == provider)
      return p.first_token_s + static_cast<double>(output_tokens) / p.tokens_per_s;
  }
  return 0;
}

Result<std::unique_ptr<ScriptedProvider>> ScriptedProvider::start(double speed) {
  std::unique_ptr<ScriptedProvider> made(new ScriptedProvider(speed));
  net::Server::HandlerFactory factory = [raw = made.get()](net::Loop& loop,
                                                           size_t) -> net::Handler {
    return [raw, &loop](net::Exchange& exchange) { return raw->serve(loop, exchange); };
  };
  SM_TRY(made->server_, net::Server::bind({}, std::move(factory)));
  made->server_->start();
  return made;
}

ScriptedProvider::~ScriptedProvider() {
  if (server_) server_->stop(std::chrono::milliseconds(100));
}

std::string ScriptedProvider::address() const {
  return "127.0.0.1:" + std::to_string(server_->port());
}

net::Task<void> ScriptedProvider::serve(net::Loop& loop, net::Exchange& exchange) {
  const net::RequestHead& request = exchange.request();
  net::ResponseHead head;
  head.headers.add("content-type", "application/json");
  // "/openai/v1/chat/completions": whose dialect, then its own path.
  const std::string_view target = std::string_view(request.target).substr(0, 100);
  auto dialect = ScriptedDialect::kOllama;
  for (size_t i = 0; i < kScriptedDialects; ++i) {
    if (target.starts_with("/" + std::string(kPaths[i]) + "/"))
      dialect = static_cast<ScriptedDialect>(i);
  }
  if (request.method == "GET") {
    const std::string list = model_list(dialect);
    (void)(co_await exchange.respond(std::move(head), list)).ok();
    co_return;
  }
  const auto body = co_await exchange.read_body(1 << 20);
  if (!body.ok()) co_return;
  calls_[static_cast<size_t>(dialect)].fetch_add(1);
  const int64_t tokens = answer_tokens(*body);
  const std::string text = answer(dialect, *body, tokens);
  const double seconds = model_seconds(kPaths[static_cast<size_t>(dialect)], tokens) / speed_;
  (void)co_await loop.sleep_for(std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9)));
  (void)(co_await exchange.respond(std::move(head), text)).ok();
}

}  // namespace samplemind::cli
