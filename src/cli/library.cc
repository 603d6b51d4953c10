// samplemind library: care for the library's file and for what it knows of missing sounds.
#include <CLI/CLI.hpp>

#include <memory>

#include "base/config.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "cli/service_control.h"
#include "library/catalogue.h"
#include "server/service.h"

namespace samplemind::cli {

namespace {

struct LibraryFlags {
  std::string action;
  std::vector<std::string> arguments;
  bool repair = false, json = false;
};

std::string absolute(const std::string& path) {
  return fs::absolute(path).lexically_normal().string();
}

Result<void> no_service(const Context& context, std::string_view action) {
  if (!server::read_run_file(context.home())) return ok();
  return Error(
      ErrorCode::kAlreadyExists,
      "SampleMind is running: 'library " + std::string(action) + "' needs the library for itself",
      "samplemind down, then again");
}

void show(const LibraryFlags& f, const JsonValue& done, const std::string& text) {
  print(f.json ? done.dump() + "\n" : text + "\n");
}

Result<int> check(const Context& context, const LibraryFlags& f) {
  auto api = ApiClient::open(context, f.repair ? ApiClient::Need::kWrite : ApiClient::Need::kRead);
  const bool damaged = !api.ok() && api.error().code() == ErrorCode::kDataLoss;
  if (damaged && f.repair) {
    // So damaged that it cannot be opened.
    SM_CHECK_OK(no_service(context, "check --repair"));
    SM_TRY(const int64_t saved, library::salvage_library(context.home()));
    std::string json;
    JsonWriter w(json);
    w.begin_object().field("ok", true).field("saved", saved).end_object();
    SM_TRY(const JsonValue value, JsonValue::parse(json));
    show(f, value,
         human_count(saved) +
             " sounds were saved into a new library; the damaged file is kept as "
             "library.db.damaged. 'samplemind scan' finds the rest again.");
    return 0;
  }
  if (!api.ok()) return std::move(api).error();
  auto done = (*api)->send("POST", "/api/v1/library/check", f.repair ? R"({"repair":true})" : "{}");
  if (f.repair && (!done.ok() || !(*done)["ok"].bool_or(false)) &&
      (done.ok() || done.error().code() == ErrorCode::kDataLoss)) {
    api->reset();
    SM_CHECK_OK(no_service(context, "check --repair"));
    SM_TRY(const int64_t saved, library::salvage_library(context.home()));
    print(human_count(saved) +
          " sounds were saved into a new library; the damaged file is kept as "
          "library.db.damaged\n");
    return 0;
  }
  if (!done.ok()) return std::move(done).error();
  const bool well = (*done)["ok"].bool_or(false);
  std::string text = well ? "The library is whole." : (*done)["problem"].string_or("");
  for (const JsonValue& r : (*done)["repaired"].items()) text += "\n  " + r.string_or("");
  if (f.json) {
    print(done->dump() + "\n");
  } else if (well) {
    print(text + "\n");
  } else {
    return Error(ErrorCode::kDataLoss, text, "samplemind library check --repair");
  }
  return well ? 0 : exit_code(ErrorCode::kDataLoss);
}

Result<int> run_library(const Context& context, const LibraryFlags& f) {
  static const std::vector<std::string> kActions{"check", "backup", "restore", "purge", "relocate"};
  const auto need = [&f](size_t count, const char* usage) -> Result<void> {
    if (f.arguments.size() == count) return ok();
    return Error(ErrorCode::kInvalidArgument, std::string("usage: samplemind library ") + usage);
  };
  if (f.action == "check") {
    SM_CHECK_OK(need(0, "check [--repair]"));
    return check(context, f);
  }
  if (f.action == "restore") {
    SM_CHECK_OK(need(1, "restore FILE"));
    SM_CHECK_OK(no_service(context, "restore"));
    SM_CHECK_OK(library::restore_library(context.home(), absolute(f.arguments[0])));
    print(f.json
              ? "{\"restored\":true}\n"
              : "The library is as it was; the one before is kept as library.db.before-restore.\n");
    return 0;
  }
  std::string body;
  JsonWriter w(body);
  if (f.action == "backup") {
    SM_CHECK_OK(need(1, "backup FILE"));
    w.begin_object().field("path", absolute(f.arguments[0])).end_object();
    SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
    SM_TRY(const JsonValue done, api->send("POST", "/api/v1/library/backup", body));
    show(f, done,
         printable(done["path"].string_or("")) + ": " + human_bytes(done["bytes"].number_or(0)));
    return 0;
  }
  if (f.action == "purge") {
    std::string query;
    for (const std::string& word : f.arguments) query += (query.empty() ? "" : " ") + word;
    w.begin_object().field("query", query).end_object();
    SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kWrite));
    SM_TRY(const JsonValue done, api->send("POST", "/api/v1/library/purge", body));
    show(f, done,
         human_count(done["changed"].integer_or(0)) +
             " missing sounds forgotten; 'samplemind undo' brings them back");
    return 0;
  }
  if (f.action == "relocate") {
    SM_CHECK_OK(need(2, "relocate OLD-FOLDER NEW-FOLDER"));
    w.begin_object()
        .field("from", absolute(f.arguments[0]))
        .field("to", absolute(f.arguments[1]))
        .end_object();
    SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kWrite));
    SM_TRY(const JsonValue done, api->send("POST", "/api/v1/library/relocate", body));
    show(f, done, human_count(done["changed"].integer_or(0)) + " sounds are at their new place");
    return 0;
  }
  const auto close = nearest(f.action, kActions);
  return Error(
      ErrorCode::kInvalidArgument, "there is no 'library " + f.action + "'",
      close ? "did you mean '" + *close + "'?" : "check, backup, restore, purge, relocate");
}

}  // namespace

Run add_library(CLI::App& command, Context& context) {
  auto f = std::make_shared<LibraryFlags>();
  command.add_option("ACTION", f->action, "check, backup, restore, purge, relocate")->required();
  command.add_option("ARGUMENT", f->arguments,
                     "backup and restore: a file; relocate: the old and the new folder; purge: a "
                     "query, or nothing for all missing sounds");
  command.add_flag("--repair", f->repair, "With check: mend what can be mended");
  command.add_flag("--json", f->json, "As JSON");
  return [f, &context] { return run_library(context, *f); };
}

}  // namespace samplemind::cli
