// samplemind rename
#include <memory>

#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"

namespace samplemind::cli {

namespace {

constexpr size_t kShown = 40;

struct RenameFlags {
  std::string pattern;
  std::vector<std::string> query;
  bool yes = false, json = false;
};

std::string name_of(const JsonValue& path) {
  const std::string text = path.string_or("");
  return printable(text.substr(text.rfind('/') + 1));
}

Result<int> run_rename(const Context& context, const RenameFlags& f) {
  std::string query;
  for (const std::string& word : f.query) query += (query.empty() ? "" : " ") + word;
  std::string body;
  JsonWriter w(body);
  w.begin_object().field("pattern", f.pattern).field("query", query).field("dry_run", !f.yes);
  w.end_object();
  SM_TRY(const auto api,
         ApiClient::open(context, f.yes ? ApiClient::Need::kWrite : ApiClient::Need::kRead));
  SM_TRY(const JsonValue done, api->send("POST", "/api/v1/library/rename", std::move(body)));
  if (f.json) {
    print(done.dump() + "\n");
    return 0;
  }
  std::string text;
  size_t changes = 0;
  for (const JsonValue& s : done["steps"].items()) {
    const std::string problem = s["problem"].string_or("");
    const std::string from = s["from"].string_or("");
    if (problem.empty() && from == s["to"].string_or("")) continue;
    if (++changes > kShown) continue;
    text += "  " + name_of(s["from"]) +
            (problem.empty() ? "  ->  " + name_of(s["to"]) : ": left alone, " + problem) + "\n";
  }
  if (changes > kShown)
    text += "  and " + human_count(static_cast<int64_t>(changes - kShown)) + " more\n";
  if (f.yes) {
    text = human_count(done["renamed"].integer_or(0)) +
           " files renamed; 'samplemind undo' takes it back\n";
    for (const JsonValue& p : done["problems"].items())
      text += "  " + printable(p.string_or("")) + "\n";
  } else if (changes == 0) {
    text = "Every name is so already.\n";
  } else {
    text += "Nothing was renamed yet: --yes does it.\n";
  }
  print(text);
  return 0;
}

}  // namespace

Run add_rename(Arguments command, Context& context) {
  auto f = std::make_shared<RenameFlags>();
  command
      .add_option("PATTERN", f->pattern,
                  "{name} {bpm} {key} {camelot} {kind} {content} {note} {rating} {tags} {folder} "
                  "{n} {n:3}; what a sound has not got leaves nothing; the ending stays")
      .required();
  command.add_option("QUERY", f->query, "The sounds, as in 'samplemind search'").required();
  command.add_flag("--yes", f->yes, "Rename; without it the plan is shown");
  command.add_flag("--json", f->json, "The plan and what was done");
  return [f, &context] { return run_rename(context, *f); };
}

}  // namespace samplemind::cli
