// samplemind search
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
  bool loop = false, oneshot = false, music = false, broken = false, json = false;
  int limit = 50;
};

Result<int> run_search(const Context& context, const SearchFlags& flags) {
  if (flags.loop + flags.oneshot + flags.music > 1)
    return Error(ErrorCode::kInvalidArgument,
                 "--loop, --oneshot and --music exclude each other: a sound is one of them");
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
  command.add_option("--limit", f->limit, "How many at most (50)").type_name("N").range(1, 1000);
  command.add_flag("--json", f->json, "One object a line, fields as in 'analyze --json'");
  return [f, &context] { return run_search(context, *f); };
}

}  // namespace samplemind::cli
