// samplemind write-tags
#include <memory>

#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"

namespace samplemind::cli {

namespace {

constexpr size_t kShown = 40;

struct TagFlags {
  std::vector<std::string> query;
  bool yes = false, undo = false, json = false;
};

std::string plan_text(const JsonValue& steps) {
  std::string text;
  size_t to_write = 0, left = 0;
  for (const JsonValue& s : steps.items()) {
    const std::string path = s["path"].string_or("");
    const std::string name = printable(path.substr(path.rfind('/') + 1));
    const std::string problem = s["problem"].string_or("");
    ++(problem.empty() ? to_write : left);
    if (to_write + left > kShown) continue;
    text += "  " + name + ": ";
    if (!problem.empty()) {
      text += "left alone, " + problem + "\n";
      continue;
    }
    std::string values;
    for (const char* field : {"bpm", "key", "grouping"}) {
      const std::string value = printable(s[field].string_or(""));
      if (!value.empty()) values += (values.empty() ? "" : ", ") + std::string(field) + " " + value;
    }
    if (const auto note = s["note"].integer())
      values += (values.empty() ? "" : ", ") + std::string("note ") + std::to_string(*note);
    text += values + "\n";
  }
  if (to_write + left > kShown)
    text += "  and " + human_count(static_cast<int64_t>(to_write + left - kShown)) + " more\n";
  return text + (to_write == 0 ? "There is nothing to write.\n"
                               : "Nothing was written yet: --yes does it.\n");
}

Result<int> run_write_tags(const Context& context, const TagFlags& f) {
  if (f.undo == !f.query.empty())
    return Error(ErrorCode::kInvalidArgument, "either QUERY or --undo",
                 "samplemind write-tags 'is:loop', then the same with --yes");
  SM_TRY(const auto api, ApiClient::open(context, f.yes || f.undo ? ApiClient::Need::kWrite
                                                                  : ApiClient::Need::kRead));
  JsonValue done;
  if (f.undo) {
    SM_TRY(done, api->send("POST", "/api/v1/library/write-tags/undo", "{}"));
  } else {
    std::string query;
    for (const std::string& word : f.query) query += (query.empty() ? "" : " ") + word;
    std::string body;
    JsonWriter w(body);
    w.begin_object().field("query", query).field("dry_run", !f.yes).end_object();
    SM_TRY(done, api->send("POST", "/api/v1/library/write-tags", std::move(body)));
  }
  if (f.json) {
    print(done.dump() + "\n");
  } else if (!f.undo && !f.yes) {
    print(plan_text(done["steps"]));
  } else {
    const std::string count = human_count(done["written"].integer_or(0));
    print(f.undo ? count + " files are as they were\n"
                 : count + " files written, " + human_count(done["unchanged"].integer_or(0)) +
                       " said so already" +
                       (done["backup"].is_null()
                            ? "\n"
                            : "; 'samplemind undo' takes it back\n"));
    for (const JsonValue& p : done["problems"].items())
      print_error_text("  " + printable(p.string_or("")) + "\n");
  }
  return done["problems"].items().empty() ? 0 : exit_code(ErrorCode::kUnavailable);
}

}  // namespace

Run add_write_tags(Arguments command, Context& context) {
  auto f = std::make_shared<TagFlags>();
  command.add_option("QUERY", f->query, "The sounds, as in 'samplemind search'");
  command.add_flag("--yes", f->yes, "Write; without it the plan is shown");
  command.add_flag("--undo", f->undo, "Put the files of the newest writing back to what they were");
  command.add_flag("--json", f->json, "The plan and what was done");
  return [f, &context] { return run_write_tags(context, *f); };
}

}  // namespace samplemind::cli
