// samplemind search
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>

#include "base/files.h"
#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "cli/samples_table.h"
#include "net/http.h"

namespace samplemind::cli {

namespace {

struct SearchFlags {
  std::vector<std::string> text;
  std::string bpm, key, length, kind, folder, sort;
  std::string aims, by, model;
  bool fresh = false;
  bool loop = false, oneshot = false, music = false, broken = false, json = false, sound = false;
  int limit = 50;
};

// "brightness=0.2,tone=0.9" as a JSON object; the service knows the names.
Result<void> write_aims(JsonWriter& w, const std::string& text) {
  w.begin_object();
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const size_t equals = text.find('=', at);
    double value = 0;
    const auto [stop, error] =
        std::from_chars(text.data() + std::min(equals, end - 1) + 1, text.data() + end, value);
    if (equals >= end || error != std::errc() || stop != text.data() + end)
      return Error(ErrorCode::kInvalidArgument,
                   "--aim '" + text + "': at character " + std::to_string(at + 1) +
                       ": an axis and a place from 0 to 1 were expected",
                   "--aim brightness=0.2,tone=0.9");
    w.field(text.substr(at, equals - at), value);
    at = end + 1;
  }
  w.end_object();
  return ok();
}

// The interpretation for people: what it was taken for, by whom, and how to change it.
void tell_interpretation(const Context& context, const JsonValue& found) {
  const JsonValue& taken = found["interpretation"];
  if (const auto note = found["note"].string())
    print_note(context.err, "read with the built-in vocabulary: " + printable(*note));
  std::string text = "taken for: " + taken["query"].string_or("");
  std::string aims;
  for (const auto& [name, aim] : taken["aims"].members()) {
    char at[16];
    std::snprintf(at, sizeof at, "=%.2f", aim["at"].number_or(0));
    aims += (aims.empty() ? "--aim " : ",") + name + at;
  }
  if (!aims.empty()) text += (taken["query"].string_or("").empty() ? "" : "  ") + aims;
  if (const auto model = found["model"].string()) {
    text += "\nby " + printable(*model);
    if (found["cache"].string_or("").starts_with("hit")) text += ", from the cache";
    for (const auto& [words, means] : taken["understood"].members())
      if (words != means.string_or("")) text += ": " + printable(means.string_or(""));
  }
  print_note(context.err, text);
  for (const JsonValue& word : taken["ignored"].items())
    print_note(context.err, "nothing is known of '" + printable(word.string_or("")) + "'");
}

// --sound: by how it sounds.
Result<int> run_sound(const Context& context, const SearchFlags& flags, const std::string& text) {
  std::string query;
  const auto add = [&query](const std::string& condition) {
    query += (query.empty() ? "" : " ") + condition;
  };
  if (!flags.bpm.empty()) add("bpm:" + flags.bpm);
  if (!flags.key.empty()) add("key:\"" + flags.key + "\"");
  if (!flags.length.empty()) add("len:" + flags.length);
  if (!flags.kind.empty()) add("kind:" + flags.kind);
  if (flags.loop || flags.oneshot || flags.music)
    add(flags.loop ? "is:loop" : flags.oneshot ? "is:oneshot" : "is:music");
  if (!flags.folder.empty() || !flags.sort.empty() || flags.broken)
    return Error(ErrorCode::kInvalidArgument,
                 "--sound puts the nearest first: it goes with neither --sort nor --broken, and a "
                 "folder is a condition among the words",
                 "samplemind search --sound dusty kick folder:drums");
  std::string body;
  JsonWriter w(body);
  w.begin_object();
  if (!text.empty()) w.field("text", text);
  if (!flags.by.empty()) w.field("by", flags.by);
  if (!flags.model.empty()) w.field("model", flags.model);
  if (flags.fresh) w.field("fresh", true);
  w.field("query", query).field("limit", flags.limit).key("aims");
  SM_CHECK_OK(write_aims(w, flags.aims));
  w.end_object();
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  SM_TRY(const JsonValue found, api->send("POST", "/api/v1/library/sound", std::move(body)));
  tell_interpretation(context, found);
  std::vector<JsonValue> samples;
  std::string lines;
  for (const JsonValue& s : found["samples"].items()) {
    if (flags.json) lines += s.dump() + "\n";
    samples.push_back(s["sample"]);
  }
  if (flags.json) {
    print(lines);
  } else if (samples.empty()) {
    print("Nothing fits. Fewer words may find more.\n");
  } else {
    print(samples_table(samples, context.out, true));
  }
  return 0;
}

Result<int> run_search(const Context& context, const SearchFlags& flags) {
  if (flags.loop + flags.oneshot + flags.music > 1)
    return Error(ErrorCode::kInvalidArgument,
                 "--loop, --oneshot and --music exclude each other: a sound is one of them");
  if (flags.sound || !flags.aims.empty()) {
    std::string said;
    for (const std::string& word : flags.text) said += (said.empty() ? "" : " ") + word;
    return run_sound(context, flags, said);
  }
  std::string target = "/api/v1/samples?limit=" + std::to_string(flags.limit);
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) target += "&" + std::string(name) + "=" + net::percent_encode(value);
  };
  std::string text;
  for (const std::string& word : flags.text) text += (text.empty() ? "" : " ") + word;
  add("q", text);
  add("bpm", flags.bpm);
  add("key", flags.key);
  add("length", flags.length);
  add("kind", flags.kind);
  add("content", flags.loop ? "loop" : flags.oneshot ? "oneshot" : flags.music ? "music" : "");
  if (!flags.folder.empty())
    add("folder", path_to_text(fs::absolute(flags.folder).lexically_normal()));
  add("sort", flags.sort);
  if (flags.broken) add("state", "broken");
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  SM_TRY(const JsonValue found, api->get(target));
  const auto& samples = found["samples"].items();
  for (const auto& [word, instead] : found["corrected"].members())
    print_note(context.err, "nothing is called '" + word + "'; looked for '" +
                                instead.string_or("") + "' instead");
  if (flags.json) {
    std::string lines;
    for (const JsonValue& s : samples) lines += s.dump() + "\n";
    print(lines);
    return 0;
  }
  if (samples.empty()) {
    SM_TRY(const JsonValue all, api->get("/api/v1/samples?limit=1"));
    print(all["total"].integer_or(0) == 0
              ? "The library is empty. samplemind scan ~/Samples fills it.\n"
              : "Nothing fits. Fewer words or a wider range may find more.\n");
    return 0;
  }
  if (flags.broken) {
    for (const JsonValue& s : samples)
      print(printable(s["path"].string_or("?")) + "\n  " +
            styled(context.out, Style::kDim, printable(s["error"].string_or(""))) + "\n");
  } else {
    print(samples_table(samples, context.out, true));
  }
  const int64_t total = found["total"].integer_or(0);
  if (total > static_cast<int64_t>(samples.size()))
    print_note(context.err, human_count(static_cast<int64_t>(samples.size())) + " of " +
                                human_count(total) + "; --limit shows more");
  return 0;
}

}  // namespace

Run add_search(Arguments command, Context& context) {
  auto f = std::make_shared<SearchFlags>();
  command.add_option(
      "TEXT", f->text,
      "Words and conditions, as in 'dusty kick -loop bpm:120-128 ~key:8A is:favourite tag:x "
      "len:<2s sort:-added'; the page and the API understand the same");
  command.add_option("--bpm", f->bpm, "Tempo: 120, 120-128, '<100', '>=90'").type_name("RANGE");
  command.add_option("--key", f->key, "Am, 'F# minor', Gb, 8A (Camelot), 1m (Open Key)")
      .type_name("KEY");
  command.add_option("--length", f->length, "Length: '<2s', 500ms-2s, '>10'").type_name("RANGE");
  command.add_option("--kind", f->kind, "kick, snare, hat, bass, pad, ...").type_name("KIND");
  command.add_flag("--loop", f->loop, "Only loops");
  command.add_flag("--oneshot", f->oneshot, "Only single hits and notes");
  command.add_flag("--music", f->music, "Only whole pieces");
  command.add_option("--folder", f->folder, "Only below this folder").type_name("DIR");
  command.add_flag("--broken", f->broken, "Only files that could not be read, with the reason");
  command
      .add_option(
          "--sort", f->sort,
          "relevance, name, tempo, key, length, loudness, added, rating, played, kind, folder, "
          "note, random; --sort=-tempo: falling")
      .type_name("BY");
  command.add_flag("--sound", f->sound,
                   "TEXT says how it sounds: 'dusty warm kick', 'something airy'; conditions may "
                   "stand among the words");
  command
      .add_option("--aim", f->aims,
                  "With --sound, or alone: where it shall lie among the sounds found, 0 to 1: "
                  "brightness, low_end, tone, length, attack, decay, density, movement, height, "
                  "busyness")
      .type_name("A=N,...");
  command
      .add_option(
          "--by", f->by,
          "With --sound, who reads TEXT: any (a model, else the built-in vocabulary), model, "
          "vocabulary (nothing is asked)")
      .type_name("WHO");
  command.add_option("--model", f->model, "With --sound, the model that reads TEXT (auto)")
      .type_name("MODEL");
  command.add_flag("--fresh", f->fresh, "With --sound, ask the model again");
  command.add_option("--limit", f->limit, "How many at most (50)").type_name("N").range(1, 1000);
  command.add_flag("--json", f->json, "One object a line, fields as in 'analyze --json'");
  return [f, &context] { return run_search(context, *f); };
}

}  // namespace samplemind::cli
