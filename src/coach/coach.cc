#include "coach/coach.h"

#include <algorithm>
#include <set>

#include "audio/analysis_json.h"
#include "prompt_ask_v1.h"

namespace samplemind::coach {

namespace {
constexpr int kContextSounds = 12;

// Words that say nothing about which sounds are meant.
bool is_stop_word(const std::string& w) {
  static const std::set<std::string, std::less<>> kWords{
      "a",      "an",      "and",   "are",  "as",    "at",   "be",     "can",    "do",
      "does",   "for",     "from",  "good", "have",  "how",  "i",      "in",     "is",
      "it",     "me",      "my",    "of",   "on",    "or",   "should", "sound",  "sounds",
      "sample", "samples", "that",  "the",  "these", "this", "to",     "use",    "what",
      "when",   "where",   "which", "who",  "why",   "with", "would",  "you",    "your",
      "best",   "give",    "go",    "goes", "make",  "need", "tell",   "there",  "they",
      "well",   "will",    "about", "some", "any",   "file", "files",  "library"};
  return w.size() < 2 || kWords.contains(w);
}
}  // namespace

Result<std::string> write_request(const Question& q) {
  if (q.text.find_first_not_of(" \t\r\n") == std::string::npos)
    return Error(ErrorCode::kInvalidArgument, "the question is empty");
  if (q.text.size() > kQuestionBytesMax)
    return Error(ErrorCode::kTooLarge,
                 "the question is longer than " + std::to_string(kQuestionBytesMax) + " bytes");
  if (q.sounds.size() > kSoundsMax)
    return Error(ErrorCode::kTooLarge,
                 "at most " + std::to_string(kSoundsMax) + " sounds can be asked about at once");
  std::string message = q.text + "\n\nMEASUREMENTS\n" + write_facts(q.sounds);
  if (q.library) {
    message += "\n";
    JsonWriter w(message);
    w.begin_object()
        .key("library")
        .begin_object()
        .field("samples", q.library->samples)
        .end_object()
        .end_object();
  }
  message += "\nEND OF MEASUREMENTS";
  std::string body;
  JsonWriter w(body);
  w.begin_object().field("model", q.model).key("messages").begin_array();
  w.begin_object().field("role", "system").field("content", embedded::kPromptAskV1).end_object();
  w.begin_object().field("role", "user").field("content", message).end_object();
  w.end_array().field("temperature", 0.2).field("stream", true).end_object();
  return body;
}

Result<std::vector<Sound>> find_context(library::Catalogue& catalogue, std::string_view question) {
  std::vector<Sound> sounds;
  std::set<int64_t> taken;
  for (const std::string& word : library::words(question)) {
    if (is_stop_word(word) || sounds.size() >= kContextSounds) continue;
    library::SearchQuery query;
    query.text = word;
    query.limit = 4;
    SM_TRY(const library::SearchResult found, catalogue.search(query));
    for (const library::Sample& s : found.samples) {
      if (sounds.size() >= kContextSounds || !taken.insert(s.id).second) continue;
      std::string json;
      JsonWriter w(json);
      w.begin_object();
      audio::write_json_fields(w, s.analysis);
      w.end_object();
      SM_TRY(JsonValue measured, JsonValue::parse(json));
      sounds.push_back({s.name(), std::move(measured)});
    }
  }
  return sounds;
}

net::Task<Result<ai::AskAnswer>> ask(ai::GatewayShard& gateway, Question question,
                                     ai::AskOptions options,
                                     std::function<void(std::string_view)> on_text) {
  auto body = write_request(question);
  if (!body.ok()) co_return std::move(body).error();
  co_return co_await gateway.ask(std::move(*body), std::move(options), std::move(on_text));
}

}  // namespace samplemind::coach
