// samplemind collection
#include <memory>

#include "base/config.h"
#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "cli/samples_table.h"
#include "net/http.h"

namespace samplemind::cli {

namespace {

struct CollectionFlags {
  std::string action;
  std::string name;
  std::vector<std::string> words;
  std::vector<int64_t> ids;
  std::string query, note;
  bool json = false;
};

Result<int> list(const Context& context, bool json) {
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  SM_TRY(const JsonValue all, api->get("/api/v1/collections"));
  std::string lines;
  Table table({{.header = "name", .shrink_to = 16},
               {.header = "sounds", .right = true},
               {.header = "query", .shrink_to = 12, .optional = true},
               {.header = "note", .shrink_to = 8, .optional = true}});
  for (const JsonValue& c : all["collections"].items()) {
    lines += c.dump() + "\n";
    table.add({c["name"].string_or(""), human_count(c["samples"].integer_or(0)),
               c["query"].string_or(""), c["note"].string_or("")});
  }
  print(json            ? lines
        : table.empty() ? "There is no collection. samplemind collection make NAME makes one.\n"
                        : table.render(context.out, context.out.width()));
  return 0;
}

Result<int> show(const Context& context, const CollectionFlags& f) {
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  SM_TRY(const JsonValue found, api->get("/api/v1/samples?limit=1000&q=" +
                                         net::percent_encode("in:\"" + f.name + "\" sort:name")));
  std::string lines;
  for (const JsonValue& s : found["samples"].items()) lines += s.dump() + "\n";
  print(f.json ? lines
        : found["samples"].size() == 0
            ? "The collection is empty.\n"
            : samples_table(found["samples"].items(), context.out, true));
  return 0;
}

Result<int> run_collection(const Context& context, const CollectionFlags& f) {
  static const std::vector<std::string> kActions{"list", "show", "make", "add", "take", "remove"};
  if (f.action == "list") return list(context, f.json);
  if (std::find(kActions.begin(), kActions.end(), f.action) == kActions.end()) {
    const auto close = nearest(f.action, kActions);
    return Error(ErrorCode::kInvalidArgument, "there is no 'collection " + f.action + "'",
                 close ? "did you mean '" + *close + "'?" : "list, show, make, add, take, remove");
  }
  if (f.name.empty())
    return Error(ErrorCode::kInvalidArgument, "which collection?",
                 "samplemind collection " + f.action + " NAME");
  if (f.action == "show") return show(context, f);
  std::string words;
  for (const std::string& w : f.words) words += (words.empty() ? "" : " ") + w;
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kWrite));
  const std::string target = "/api/v1/collections/" + net::percent_encode(f.name);
  std::string body;
  JsonWriter w(body);
  JsonValue done;
  if (f.action == "make") {
    w.begin_object().field("name", f.name).field("query", f.query.empty() ? words : f.query);
    w.field("note", f.note).end_object();
    SM_TRY(done, api->send("POST", "/api/v1/collections", body));
  } else if (f.action == "remove") {
    SM_TRY(done, api->send("DELETE", target, "{}"));
  } else {
    if (words.empty() == f.ids.empty())
      return Error(ErrorCode::kInvalidArgument, "which sounds? give a query or --id, not both");
    w.begin_object();
    if (words.empty()) {
      w.field(f.action == "add" ? "add" : "remove", f.ids);
    } else {
      w.field(f.action == "add" ? "add_query" : "remove_query", words);
    }
    w.end_object();
    SM_TRY(done, api->send("POST", target + "/samples", body));
  }
  if (f.json) {
    print(done.dump() + "\n");
  } else if (f.action == "make" || f.action == "remove") {
    print(f.name +
          (f.action == "make" ? " is there" : " is removed; 'samplemind undo' brings it back") +
          "\n");
  } else {
    print(human_count(done["changed"].integer_or(0)) +
          (f.action == "add" ? " added to " : " taken from ") + f.name + "\n");
  }
  return 0;
}

}  // namespace

Run add_collection(Arguments command, Context& context) {
  auto f = std::make_shared<CollectionFlags>();
  command.add_option("ACTION", f->action, "list, show, make, add, take, remove").required();
  command.add_option("NAME", f->name, "Its name");
  command.add_option("QUERY", f->words, "For add and take: the sounds, as in 'samplemind search'");
  command.add_option("--id", f->ids, "Or their ids").type_name("N");
  command.add_option("--query", f->query, "For make: a smart collection of what this finds")
      .type_name("QUERY");
  command.add_option("--note", f->note, "For make: a note").type_name("TEXT");
  command.add_flag("--json", f->json, "As JSON");
  return [f, &context] { return run_collection(context, *f); };
}

}  // namespace samplemind::cli
