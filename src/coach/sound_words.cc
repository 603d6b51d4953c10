#include "coach/sound_words.h"

#include <algorithm>

#include "library/facts.h"
#include "library/query.h"
#include "prompt_sound_v1.h"

namespace samplemind::coach {

namespace {

constexpr size_t kAnswerBytesMax = 16 << 10;
constexpr size_t kMeansBytesMax = 200;

void replace(std::string& text, std::string_view mark, const std::string& with) {
  const size_t at = text.find(mark);
  SM_ASSERT(at != std::string::npos);
  text.replace(at, mark.size(), with);
}

const std::string& prompt() {
  static const std::string text = [] {
    std::string kinds, axes;
    for (const std::string& k : library::kind_names()) kinds += (kinds.empty() ? "" : ", ") + k;
    for (const library::Axis& a : library::axes())
      axes += (axes.empty() ? "- " : "\n- ") + std::string(a.name) + ": 0 " + std::string(a.low) +
              ", 1 " + std::string(a.high);
    std::string all(embedded::kPromptSoundV1);
    replace(all, "KINDS", kinds);
    replace(all, "AXES", axes);
    return all;
  }();
  return text;
}

// Every property is required and none besides, as OpenAI's strict form wants it.
void write_schema(JsonWriter& w) {
  w.begin_object().field("type", "object").field("additionalProperties", false);
  w.field("required", std::vector<std::string>{"query", "aims", "means"});
  w.key("properties").begin_object();
  w.key("query").begin_object().field("type", "string").end_object();
  w.key("aims").begin_object().field("type", "array").key("items").begin_object();
  w.field("type", "object").field("additionalProperties", false);
  w.field("required", std::vector<std::string>{"axis", "at", "weight"});
  w.key("properties").begin_object().key("axis").begin_object().field("type", "string");
  std::vector<std::string> names;
  for (const library::Axis& a : library::axes()) names.emplace_back(a.name);
  w.field("enum", names).end_object();
  w.key("at").begin_object().field("type", "number").end_object();
  w.key("weight").begin_object().field("type", "number").end_object();
  w.end_object().end_object().end_object();
  w.key("means").begin_object().field("type", "string").end_object();
  w.end_object().end_object();
}

Error no_interpretation(const std::string& why) {
  return Error(ErrorCode::kUpstream, "the model's answer is no interpretation: " + why,
               "ask afresh (--fresh), or with another model");
}

// A condition of the query language that a search by sound can use.
bool usable_condition(const std::string& token) {
  const auto parsed = library::parse_query(token);
  if (!parsed.ok() || parsed->sort) return false;
  const auto& kinds = library::kind_names();
  for (const library::Term& t : parsed->terms) {
    if (t.field == library::Field::kCollection) return false;  // it cannot know one
    if (t.field != library::Field::kKind) continue;
    for (const std::string& v : t.values)
      if (v != "hat" && std::find(kinds.begin(), kinds.end(), v) == kinds.end()) return false;
  }
  return true;
}

void read_aims(const JsonValue& list, library::Wording& out) {
  const auto axes = library::axes();
  for (const JsonValue& aim : list.items()) {
    const std::string name = aim["axis"].string_or("");
    const auto at = aim["at"].number();
    const auto axis = std::find_if(axes.begin(), axes.end(),
                                   [&name](const library::Axis& a) { return a.name == name; });
    const auto index = static_cast<size_t>(axis - axes.begin());
    const bool twice = std::any_of(out.aims.begin(), out.aims.end(),
                                   [index](const library::Aim& a) { return a.axis == index; });
    if (axis == axes.end() || !at || !(*at >= 0 && *at <= 1) || twice) {
      out.rest.push_back(name.empty() ? "an aim without an axis" : name);
      continue;
    }
    const double weight = aim["weight"].number_or(1);
    out.aims.push_back({index, static_cast<float>(*at),
                        weight > 0 ? static_cast<float>(std::min(weight, 3.0)) : 1.0f});
  }
}

std::string first_bytes(std::string text, size_t max) {
  if (text.size() <= max) return text;
  while (max > 0 && (static_cast<unsigned char>(text[max]) & 0xC0) == 0x80) --max;
  text.resize(max);
  return text + "…";
}

std::string why_cut(const ai::ChatAnswer& answer) {
  if (!answer.refusal.empty()) return "it refused: " + first_bytes(answer.refusal, kMeansBytesMax);
  if (answer.finish_reason == "content_filter") return "its provider's filter held it back";
  if (answer.finish_reason == "length") return "it was cut by its length";
  return {};
}

Result<library::Wording> read_result(const Result<ai::AskAnswer>& answer, std::string_view words) {
  if (!answer.ok()) return answer.error();
  const std::string cut = why_cut(answer->answer);
  if (!cut.empty()) return no_interpretation(cut);
  return read_sound_answer(answer->answer.text, words);
}

}  // namespace

Result<Reader> parse_reader(std::string_view name) {
  if (name == "any") return Reader::kAny;
  if (name == "model") return Reader::kModel;
  if (name == "vocabulary") return Reader::kVocabulary;
  return Error(ErrorCode::kInvalidArgument,
               "by '" + std::string(name) + "': any, model or vocabulary was expected");
}

std::string write_sound_request(std::string_view words, std::string_view model) {
  std::string body;
  JsonWriter w(body);
  w.begin_object().field("model", model).key("messages").begin_array();
  w.begin_object().field("role", "system").field("content", prompt()).end_object();
  w.begin_object().field("role", "user").field("content", words).end_object();
  w.end_array().field("temperature", 0).key("response_format").begin_object();
  w.field("type", "json_schema").key("json_schema").begin_object();
  w.field("name", "sound").field("strict", true).key("schema");
  write_schema(w);
  w.end_object().end_object().end_object();
  return body;
}

Result<library::Wording> read_sound_answer(std::string_view answer, std::string_view words) {
  if (answer.size() > kAnswerBytesMax) return no_interpretation("it is too long");
  // Models that do not know schemas put it between fences.
  const size_t begin = answer.find('{');
  const size_t end = answer.rfind('}');
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin)
    return no_interpretation("it is no JSON");
  const auto parsed = JsonValue::parse(answer.substr(begin, end - begin + 1));
  if (!parsed.ok() || !parsed->is_object()) return no_interpretation("it is no JSON");
  library::Wording out;
  const std::string query = (*parsed)["query"].string_or("");
  if (query.size() <= library::kWordingMax) {
    const library::WordsApart apart = library::words_apart(query);
    for (const std::string& condition : apart.conditions) {
      if (usable_condition(condition)) {
        out.query += (out.query.empty() ? "" : " ") + condition;
      } else {
        out.rest.push_back(condition);
      }
    }
    // Words for how it sounds are no names; others may be one.
    for (const std::string& word : apart.words)
      if (!library::is_sound_word(word)) out.rest.push_back(word);
  }
  read_aims((*parsed)["aims"], out);
  if (out.query.empty() && out.aims.empty())
    return no_interpretation("there is nothing in it to search for");
  std::string means = (*parsed)["means"].string_or("");
  if (means.empty()) means = "a query and aims";
  out.understood.emplace_back(std::string(words), first_bytes(std::move(means), kMeansBytesMax));
  return out;
}

net::Task<Result<SoundReading>> read_sound(ai::GatewayShard& gateway, net::Loop& loop,
                                           SoundWords words, ai::AskOptions options) {
  SoundReading out;
  auto offline = library::interpret(words.text);
  if (!offline.ok()) co_return std::move(offline).error();
  out.wording = std::move(*offline);
  const library::WordsApart apart = library::words_apart(words.text);
  if (words.reader == Reader::kVocabulary || apart.words.empty()) co_return out;
  std::string said;
  for (const std::string& word : apart.words) said += (said.empty() ? "" : " ") + word;

  const auto late = std::make_shared<bool>(false);
  const net::CancelToken cancel = options.cancel.child();
  const net::Loop::Timer timer = loop.after(words.timeout, [late, cancel] {
    *late = true;
    cancel.cancel();
  });
  options.cancel = cancel;
  std::string body = write_sound_request(said, words.model);
  std::function<void(std::string_view)> ignore = [](std::string_view) {};
  auto answer = co_await gateway.ask(std::move(body), std::move(options), std::move(ignore));

  Result<library::Wording> read =
      *late && !answer.ok()
          ? Error(ErrorCode::kDeadlineExceeded,
                  "no model answered within " + std::to_string(words.timeout.count()) + " ms")
          : read_result(answer, said);
  if (!read.ok()) {
    if (words.reader == Reader::kModel) co_return std::move(read).error();
    out.note = read.error().message();
    co_return out;
  }
  out.by_model = true;
  out.model = answer->answer.provider + "/" + answer->answer.model;
  out.cache = answer->cache;
  out.cost_microusd = answer->cost_microusd;
  for (const std::string& condition : apart.conditions)
    read->query += (read->query.empty() ? "" : " ") + condition;
  out.wording = std::move(*read);
  co_return out;
}

}  // namespace samplemind::coach
