// samplemind ask
#include <cstdio>
#include <memory>
#include <optional>

#include "audio/analysis_json.h"
#include "audio/analyzer.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "net/http.h"

namespace samplemind::cli {

namespace {

struct AskFlags {
  std::vector<std::string> question;
  std::vector<std::string> files;
  std::string model;
  bool fresh = false;
  bool json = false;
};

// The library's sample of this very file, when it is as it was measured.
std::optional<int64_t> library_id(ApiClient& api, const fs::path& path) {
  const auto found =
      api.get("/api/v1/samples?limit=5&folder=" + net::percent_encode(path.string()));
  if (!found.ok()) return std::nullopt;
  std::error_code error;
  const auto size = fs::file_size(path, error);
  for (const JsonValue& s : (*found)["samples"].items()) {
    if (s["path"].string_or("") != path.string() || s["state"].string_or("") != "ok") continue;
    if (error || s["size_bytes"].integer_or(-1) != static_cast<int64_t>(size)) continue;
    return s["id"].integer();
  }
  return std::nullopt;
}

std::string money(int64_t microusd) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, microusd > 0 && microusd < 10000 ? "$%.6f" : "$%.4f",
                static_cast<double>(microusd) / 1e6);
  return microusd == 0 ? "$0" : buffer;
}

// "ollama · llama3.2 · 312 + 88 tokens · $0 · answered from memory · 4 ms"
std::string summary(const Terminal& t, const JsonValue& a) {
  const std::string dot = t.unicode ? " · " : " | ";
  std::string text = a["provider"].string_or("?") + dot + a["model"].string_or("?");
  const JsonValue& usage = a["usage"];
  if (usage["prompt_tokens"].is_number())
    text += dot + human_count(usage["prompt_tokens"].integer_or(0)) + " + " +
            human_count(usage["completion_tokens"].integer_or(0)) + " tokens";
  if (const auto cost = a["cost_microusd"].integer()) {
    text += dot + money(*cost);
    if (const auto saved = a["saved_microusd"].integer(); saved && *saved > 0)
      text += " (" + money(*saved) + " saved)";
  } else {
    text += dot + "price unknown";
  }
  text += dot + a["cache"].string_or("?");
  return text + dot + human_duration(a["elapsed_ms"].number_or(0) / 1000);
}

Result<int> run_ask(const Context& context, const AskFlags& flags) {
  std::string question;
  for (const std::string& word : flags.question) question += (question.empty() ? "" : " ") + word;
  SM_CHECK_OK(make_private_dir(context.home()));  // the answer is kept there, also before any 'up'
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  const InterruptGuard interrupts;
  Progress progress(context.err);
  std::vector<int64_t> ids;
  std::vector<std::string> sounds;
  for (const std::string& file : flags.files) {
    std::error_code error;
    const fs::path path = fs::absolute(file, error).lexically_normal();
    if (const auto id = library_id(*api, path)) {
      ids.push_back(*id);
      continue;
    }
    progress.show("Listening", -1, "", file);
    audio::AnalysisOptions options;
    options.cancel = &InterruptGuard::flag();
    SM_TRY(const audio::Analysis analysis, audio::Analyzer().analyze(path, options));
    std::string sound;
    JsonWriter w(sound);
    w.begin_object().field("name", path.filename().string());
    audio::write_json_fields(w, analysis);
    w.end_object();
    sounds.push_back(std::move(sound));
  }
  std::string body;
  JsonWriter w(body);
  w.begin_object().field("question", question);
  if (!ids.empty()) w.field("sample_ids", ids);
  if (!sounds.empty()) {
    w.key("sounds").begin_array();
    for (const std::string& sound : sounds) w.raw(sound);
    w.end_array();
  }
  if (!flags.model.empty()) w.field("model", flags.model);
  if (flags.fresh) w.field("fresh", true);
  w.end_object();

  // The wait for a model's first word has its own sign of life.
  std::string streamed;
  JsonValue answer;
  const auto on_line = [&](const JsonValue& line) {
    const std::string type = line["type"].string_or("");
    if (type == "text") {
      progress.clear();
      const std::string text = line["text"].string_or("");
      streamed += text;
      if (!flags.json) print(printable(text, true));
    } else if (type == "answer") {
      answer = line;
    }
  };
  if (!flags.json && context.err.tty)
    print_error_text(styled(context.err, Style::kDim, context.err.unicode ? "…" : "...") + "\r");
  const auto asked = api->stream("/api/v1/ask", std::move(body), on_line, &InterruptGuard::flag());
  progress.clear();
  if (!streamed.empty() && streamed.back() != '\n' && !flags.json) print("\n");
  if (!asked.ok()) {
    if (streamed.empty() && !flags.json && context.err.tty) print_error_text("\033[K");
    return asked.error();
  }
  if (answer.is_null())
    return Error(ErrorCode::kUpstream, "the answer ended before it was complete",
                 "ask again; samplemind logs may say more");
  if (flags.json) {
    print(answer.dump() + "\n");
    return 0;
  }
  if (streamed.empty()) print(printable(answer["answer"].string_or(""), true) + "\n");
  print_note(context.err, summary(context.err, answer));
  return 0;
}

}  // namespace

Run add_ask(Arguments command, Context& context) {
  auto f = std::make_shared<AskFlags>();
  command.add_option("QUESTION", f->question, "In your own words").required();
  command
      .add_option("--file", f->files,
                  "A sound that the question is about; may be given several times. Without it the "
                  "library's best matches are told")
      .type_name("FILE")
      .repeated();
  command
      .add_option("--model", f->model,
                  "Which model answers: 'auto' (the default), or a name from 'samplemind models'")
      .type_name("NAME");
  command.add_flag("--fresh", f->fresh, "Ask anew even when the answer is known");
  command.add_flag("--json", f->json, "One object: answer, provider, model, usage, cost, cache");
  return [f, &context] { return run_ask(context, *f); };
}

}  // namespace samplemind::cli
