// samplemind edit, tags, undo: what the user says about sounds, and taking it back.
#include <ctime>
#include <memory>
#include <optional>

#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"

namespace samplemind::cli {

namespace {

struct EditFlags {
  std::vector<std::string> query;
  std::vector<int64_t> ids;
  bool favourite = false, no_favourite = false, hide = false, show = false, json = false;
  std::optional<int> rating;
  std::optional<std::string> note, colour, tempo, key, kind, content;
  std::vector<std::string> tags, untags;
};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// "auto" takes the user's word back.
void user_fact(JsonWriter& w, const char* name, const std::optional<std::string>& value) {
  if (!value) return;
  w.key(name);
  if (*value == "auto") {
    w.null();
  } else {
    w.value(*value);
  }
}

Result<void> write_tempo(JsonWriter& w, const std::string& tempo) {
  if (tempo == "auto") {
    w.key("tempo_bpm").null();
    return ok();
  }
  if (tempo.starts_with('x') || tempo.find('/') != std::string::npos) {
    w.field("tempo_factor", tempo);
    return ok();
  }
  char* end = nullptr;
  const double bpm = std::strtod(tempo.c_str(), &end);
  if (end == tempo.c_str() || *end != '\0')
    return Error(ErrorCode::kInvalidArgument, "--tempo '" + tempo + "' is no tempo",
                 "a number, x1/2, x2/3, x3/4, x4/3, x3/2, x2, or auto");
  w.field("tempo_bpm", bpm);
  return ok();
}

Result<int> run_edit(const Context& context, const EditFlags& f) {
  if (f.query.empty() == f.ids.empty())
    return Error(ErrorCode::kInvalidArgument, "which sounds? give a query or --id, not both",
                 "samplemind edit 'kick bpm:120' --tag dusty");
  if ((f.favourite && f.no_favourite) || (f.hide && f.show))
    return Error(ErrorCode::kInvalidArgument, "two flags say the opposite of each other");
  std::string change;
  JsonWriter w(change);
  w.begin_object();
  if (f.favourite || f.no_favourite) w.field("favourite", f.favourite);
  if (f.hide || f.show) w.field("hidden", f.hide);
  if (f.rating) w.field("rating", *f.rating);
  if (f.note) w.field("note", *f.note);
  if (f.colour) w.field("colour", *f.colour);
  if (!f.tags.empty()) w.field("tags_add", f.tags);
  if (!f.untags.empty()) w.field("tags_remove", f.untags);
  if (f.tempo) SM_CHECK_OK(write_tempo(w, *f.tempo));
  user_fact(w, "key", f.key);
  user_fact(w, "kind", f.kind);
  user_fact(w, "content", f.content);
  w.end_object();
  if (change == "{}")
    return Error(ErrorCode::kInvalidArgument, "what is to be changed?",
                 "--favourite, --rating 4, --tag dusty, --note TEXT, --tempo x2, --key Am, ...");
  std::string body;
  JsonWriter b(body);
  b.begin_object();
  if (f.query.empty()) {
    b.field("ids", f.ids);
  } else {
    b.field("query", joined(f.query));
  }
  b.key("change").raw(change).end_object();
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kWrite));
  SM_TRY(const JsonValue done, api->send("POST", "/api/v1/edits", std::move(body)));
  if (f.json) {
    print(done.dump() + "\n");
    return 0;
  }
  const int64_t changed = done["changed"].integer_or(0);
  print(human_count(changed) + (changed == 1 ? " sound" : " sounds") + " changed" +
        (changed > 0 ? "; 'samplemind undo' takes it back" : "") + "\n");
  return 0;
}

Result<int> run_tags(const Context& context, bool json) {
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  SM_TRY(const JsonValue all, api->get("/api/v1/tags"));
  std::string text;
  if (json) {
    for (const JsonValue& t : all["tags"].items()) text += t.dump() + "\n";
    print(text);
    return 0;
  }
  Table table({{.header = "tag", .shrink_to = 16}, {.header = "sounds", .right = true}});
  for (const JsonValue& t : all["tags"].items())
    table.add({t["tag"].string_or(""), human_count(t["samples"].integer_or(0))});
  print(table.empty() ? "No sound has a tag. samplemind edit kick --tag dusty gives one.\n"
                      : table.render(context.out, context.out.width()));
  return 0;
}

std::string local_time(int64_t ms) {
  const std::time_t t = ms / 1000;
  std::tm parts{};
  ::localtime_r(&t, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts);
  return text;
}

Result<int> run_undo(const Context& context, std::optional<int64_t> id, bool list, bool json) {
  if (list) {
    SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
    SM_TRY(const JsonValue all, api->get("/api/v1/journal"));
    Table table({{.header = "id", .right = true},
                 {.header = "when"},
                 {.header = "what", .shrink_to = 20},
                 {.header = "sounds", .right = true},
                 {.header = "state"}});
    std::string lines;
    for (const JsonValue& e : all["changes"].items()) {
      lines += e.dump() + "\n";
      table.add({std::to_string(e["id"].integer_or(0)), local_time(e["at_ms"].integer_or(0)),
                 e["what"].string_or(""), human_count(e["changes"].integer_or(0)),
                 e["state"].string_or("")});
    }
    print(json            ? lines
          : table.empty() ? "Nothing was changed yet.\n"
                          : table.render(context.out, context.out.width()));
    return 0;
  }
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kWrite));
  const std::string body = id ? "{\"id\":" + std::to_string(*id) + "}" : "{}";
  SM_TRY(const JsonValue done, api->send("POST", "/api/v1/journal/undo", body));
  print(json ? done.dump() + "\n"
             : "taken back: " + printable(done["what"].string_or("")) + " (" +
                   human_count(done["changes"].integer_or(0)) + ")\n");
  return 0;
}

}  // namespace

Run add_edit(Arguments command, Context& context) {
  auto f = std::make_shared<EditFlags>();
  command.add_option("QUERY", f->query, "The sounds, as in 'samplemind search'");
  command.add_option("--id", f->ids, "Or their ids").type_name("N");
  command.add_flag("--favourite", f->favourite, "A favourite");
  command.add_flag("--no-favourite", f->no_favourite, "No favourite");
  command.add_option("--rating", f->rating, "0 (none) to 5").type_name("N").range(0, 5);
  command.add_option("--tag", f->tags, "Add this tag; may be repeated").type_name("TAG");
  command.add_option("--untag", f->untags, "Remove this tag").type_name("TAG");
  command.add_option("--note", f->note, "A note; '' removes it").type_name("TEXT");
  command.add_option("--colour", f->colour, "#rrggbb; '' removes it").type_name("COLOUR");
  command.add_flag("--hide", f->hide, "Leave them out of searches (is:hidden finds them)");
  command.add_flag("--show", f->show, "Hidden no longer");
  command
      .add_option("--tempo", f->tempo,
                  "The right tempo, locked: 140, x1/2, x2/3, x3/4, x4/3, x3/2, x2; auto: unlocked")
      .type_name("BPM");
  command.add_option("--key", f->key, "The right key, locked: Am, 8A; auto: unlocked")
      .type_name("KEY");
  command.add_option("--kind", f->kind, "The right kind, locked; auto: unlocked").type_name("KIND");
  command.add_option("--content", f->content, "oneshot, loop or music, locked; auto: unlocked")
      .type_name("WHAT");
  command.add_flag("--json", f->json, "How many were changed, and the change's id");
  return [f, &context] { return run_edit(context, *f); };
}

Run add_tags(Arguments command, Context& context) {
  auto json = std::make_shared<bool>(false);
  command.add_flag("--json", *json, "One object a line");
  return [json, &context] { return run_tags(context, *json); };
}

Run add_undo(Arguments command, Context& context) {
  struct Flags {
    std::optional<int64_t> id;
    bool list = false, json = false;
  };
  auto f = std::make_shared<Flags>();
  command.add_option("ID", f->id, "A change of 'undo --list'; without it the newest");
  command.add_flag("--list", f->list, "Show the changes instead");
  command.add_flag("--json", f->json, "As JSON");
  return [f, &context] { return run_undo(context, f->id, f->list, f->json); };
}

}  // namespace samplemind::cli
