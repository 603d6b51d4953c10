#include "server/sound_search.h"

#include <cmath>

#include "coach/sound_words.h"
#include "library/aimed_search.h"
#include "library/sample_json.h"
#include "net/offload.h"
#include "server/responses.h"

namespace samplemind::server {

namespace {

constexpr int kLimitMax = 1000;
constexpr double kTimeoutMaxS = 300;

struct Wish {
  coach::SoundWords words;  // text empty: `given` is what is asked for
  library::Wording given;   // with a text: instead of its aims, and besides its query
  int limit = 50;
  bool fresh = false;
};

Result<Wish> read_wish(std::string_view text) {
  SM_TRY(const JsonValue body, JsonValue::parse(text.empty() ? "{}" : text));
  if (!body.is_object())
    return Error(ErrorCode::kInvalidArgument, "the body must be a JSON object");
  Wish wish;
  SM_TRY(wish.limit, limit_from(body["limit"], 50));
  SM_TRY(wish.given, library::read_wording(body));
  SM_TRY(wish.words.reader, coach::parse_reader(body["by"].string_or("any")));
  wish.words.model = body["model"].string_or("auto");
  wish.fresh = body["fresh"].bool_or(false);
  if (!body["timeout_s"].is_null()) {
    const auto seconds = body["timeout_s"].number();
    if (!seconds || !(*seconds > 0 && *seconds <= kTimeoutMaxS))
      return Error(ErrorCode::kInvalidArgument, "'timeout_s' must be above 0, at most 300");
    wish.words.timeout = std::chrono::milliseconds(std::max(1L, std::lround(*seconds * 1000)));
  }
  if (body["text"].is_string()) {
    wish.words.text = body["text"].string_or("");
    SM_TRY(const auto read, library::interpret(wish.words.text));
    (void)read;
  } else if (wish.given.query.empty() && wish.given.aims.empty()) {
    return Error(ErrorCode::kInvalidArgument, "what shall it sound like? give 'text', or 'aims'",
                 "{\"text\": \"dusty warm kick\"}");
  }
  return wish;
}

void add_given(library::Wording& w, const library::Wording& given) {
  if (!given.query.empty()) w.query += (w.query.empty() ? "" : " ") + given.query;
  for (const library::Aim& aim : given.aims) {
    std::erase_if(w.aims, [&aim](const library::Aim& a) { return a.axis == aim.axis; });
    w.aims.push_back(aim);
  }
}

Result<library::AimedResult> find(library::Catalogue& catalogue, const Wish& wish,
                                  coach::SoundReading& reading) {
  const bool said = !wish.words.text.empty();
  if (!said) return library::find_aimed(catalogue, wish.given, wish.limit);
  add_given(reading.wording, wish.given);
  SM_CHECK_OK(library::settle_words(catalogue, reading.wording));
  SM_TRY(auto found, library::find_aimed(catalogue, reading.wording, wish.limit));
  if (found.found > 0 || !reading.by_model || wish.words.reader == coach::Reader::kModel)
    return found;
  // A model may ask for more than there is.
  SM_TRY(library::Wording plain, library::interpret(wish.words.text));
  add_given(plain, wish.given);
  SM_CHECK_OK(library::settle_words(catalogue, plain));
  SM_TRY(auto second, library::find_aimed(catalogue, plain, wish.limit));
  if (second.found == 0) return found;
  reading = coach::SoundReading{};
  reading.note = "nothing fits what the model made of it";
  reading.wording = std::move(plain);
  return second;
}

std::string answer_json(const Wish& wish, const coach::SoundReading& reading,
                        const library::AimedResult& found) {
  const bool said = !wish.words.text.empty();
  const library::Wording& words = said ? reading.wording : wish.given;
  const auto rounded = [](float v) { return std::round(static_cast<double>(v) * 1000) / 1000; };
  std::string out;
  JsonWriter w(out);
  w.begin_object().key("interpretation");
  library::write_json(w, words);
  w.field("by", !said ? "given" : reading.by_model ? "model" : "vocabulary");
  w.field_or_null("model", reading.model).field_or_null("note", reading.note);
  w.field_or_null("cache",
                  reading.by_model ? std::string(ai::cache_state_name(reading.cache)) : "");
  w.field("cost_microusd", reading.cost_microusd).key("axes").begin_array();
  for (const library::Axis& a : library::axes())
    w.begin_object().field("name", a.name).field("low", a.low).field("high", a.high).end_object();
  w.end_array().field("found", found.found).field("compared", found.compared);
  w.key("samples").begin_array();
  for (const library::Aimed& a : found.sounds) {
    w.begin_object().field("score", rounded(a.score)).key("places").begin_object();
    for (size_t k = 0; k < a.places.size(); ++k)
      w.field(library::axes()[words.aims[k].axis].name, rounded(a.places[k]));
    w.end_object().key("sample");
    library::write_json(w, a.sample);
    w.end_object();
  }
  w.end_array().end_object();
  return out;
}

}  // namespace

Result<int> limit_from(const JsonValue& v, int fallback) {
  if (v.is_null()) return fallback;
  const auto n = v.integer();
  if (!n || *n < 1 || *n > kLimitMax)
    return Error(ErrorCode::kInvalidArgument, "'limit' must be a whole number from 1 to 1000");
  return static_cast<int>(*n);
}

net::Task<void> post_sound(Call call) {
  auto body = co_await call.exchange.read_body(kApiBodyMax);
  if (!body.ok()) {
    co_await respond_problem(call.exchange, std::move(body).error());
    co_return;
  }
  auto read = read_wish(*body);
  if (!read.ok()) {
    co_await respond_problem(call.exchange, std::move(read).error());
    co_return;
  }
  const auto wish = std::make_shared<const Wish>(std::move(*read));
  const auto reading = std::make_shared<coach::SoundReading>();
  if (!wish->words.text.empty()) {
    ai::AskOptions options;
    options.fresh = wish->fresh;
    options.cancel = call.exchange.cancel();
    auto words = co_await coach::read_sound(*call.shard.gateway, call.shard.loop, wish->words,
                                            std::move(options));
    if (!words.ok()) {
      co_await respond_problem(call.exchange, std::move(words).error());
      co_return;
    }
    *reading = std::move(*words);
  }
  Engine& engine = call.engine();
  std::function<Result<std::string>()> work = [&engine, wish, reading]() -> Result<std::string> {
    SM_TRY(const auto found, find(*engine.catalogue, *wish, *reading));
    return answer_json(*wish, *reading, found);
  };
  auto answer = co_await net::offload<std::string>(engine.blocking, std::move(work));
  if (answer.ok()) {
    co_await respond_json(call.exchange, std::move(*answer));
  } else {
    co_await respond_problem(call.exchange, std::move(answer).error());
  }
}

}  // namespace samplemind::server
