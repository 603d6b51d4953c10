// samplemind watch
#include <memory>

#include "base/files.h"
#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"

namespace samplemind::cli {

namespace {

Result<int> run_watch(const Context& context, const std::string& action, const std::string& folder,
                      bool json) {
  JsonValue folders;
  if (action == "list") {
    SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
    SM_TRY(folders, api->get("/api/v1/watch"));
  } else if (action == "add" || action == "remove") {
    if (folder.empty())
      return Error(ErrorCode::kInvalidArgument, "which folder?",
                   "samplemind watch " + action + " ~/Samples");
    std::string body;
    JsonWriter w(body);
    fs::path clean = fs::absolute(folder).lexically_normal();
    if (!clean.has_filename() && clean.has_parent_path()) clean = clean.parent_path();
    w.begin_object().field("folder", path_to_text(clean)).end_object();
    SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kWrite));
    SM_TRY(folders, api->send("POST", action == "add" ? "/api/v1/watch" : "/api/v1/watch/remove",
                              std::move(body)));
    if (api->address().empty())
      print_note(context.err, "folders are watched while SampleMind is up: samplemind up");
  } else {
    return Error(ErrorCode::kInvalidArgument, "there is no 'watch " + action + "'",
                 "list, add, remove");
  }
  if (json) {
    print(folders.dump() + "\n");
    return 0;
  }
  std::string text;
  for (const JsonValue& f : folders["folders"].items()) text += printable(f.string_or("")) + "\n";
  print(text.empty() ? "No folder is watched. samplemind watch add ~/Samples\n" : text);
  return 0;
}

}  // namespace

Run add_watch(Arguments command, Context& context) {
  struct Flags {
    std::string action = "list", folder;
    bool json = false;
  };
  auto f = std::make_shared<Flags>();
  command.add_option("ACTION", f->action, "list, add or remove");
  command.add_option("FOLDER", f->folder, "The folder, with all below it");
  command.add_flag("--json", f->json, "As JSON");
  return [f, &context] { return run_watch(context, f->action, f->folder, f->json); };
}

}  // namespace samplemind::cli
