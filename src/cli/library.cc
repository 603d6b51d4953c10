// samplemind library: care for the library's file and for what it knows of missing sounds.
#include <memory>

#include "base/config.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "cli/service_control.h"
#include "library/catalogue.h"
#include "net/http.h"
#include "server/service.h"

namespace samplemind::cli {

namespace {

struct LibraryFlags {
  std::string action;
  std::vector<std::string> arguments;
  std::string format, query, collection;
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

// Saving a damaged file, and restoring one, is of library.db alone.
Result<void> own_file(const Context& context, std::string_view action) {
  SM_TRY(const Config config, context.load_config());
  if (config.string("library.store").empty()) return ok();
  return Error(
      ErrorCode::kUnsupported,
      "'library " + std::string(action) + "' is about library.db, and the library is in MongoDB",
      "mongorestore brings back what mongodump saved");
}

void show(const LibraryFlags& f, const JsonValue& done, const std::string& text) {
  print(f.json ? done.dump() + "\n" : text + "\n");
}

Result<int> check(const Context& context, const LibraryFlags& f) {
  auto api = ApiClient::open(context, f.repair ? ApiClient::Need::kWrite : ApiClient::Need::kRead);
  const bool damaged = !api.ok() && api.error().code() == ErrorCode::kDataLoss;
  if (damaged && f.repair) {
    // So damaged that it cannot be opened.
    SM_CHECK_OK(own_file(context, "check --repair"));
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
    SM_CHECK_OK(own_file(context, "check --repair"));
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

Result<int> run_export(const Context& context, const LibraryFlags& f) {
  const std::string format = f.format.empty() ? "csv" : f.format;
  if (format == "copies" || format == "links") {
    std::string body;
    JsonWriter w(body);
    w.begin_object()
        .field("folder", path_to_text(absolute(f.arguments[0])))
        .field("links", format == "links");
    if (f.collection.empty()) {
      w.field("query", f.query);
    } else {
      w.field("collection", f.collection);
    }
    w.end_object();
    SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
    SM_TRY(const JsonValue done, api->send("POST", "/api/v1/library/export-folder", body));
    show(f, done, human_count(done["written"].integer_or(0)) + " written");
    std::string problems;
    for (const JsonValue& p : done["problems"].items())
      problems += "  " + printable(p.string_or("")) + "\n";
    print_error_text(problems);
    return problems.empty() ? 0 : exit_code(ErrorCode::kUnavailable);
  }
  std::string target = "/api/v1/library/export?format=" + net::percent_encode(format);
  if (!f.query.empty()) target += "&q=" + net::percent_encode(f.query);
  if (!f.collection.empty()) target += "&collection=" + net::percent_encode(f.collection);
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  SM_TRY(const std::string text, api->fetch(target));
  if (f.arguments[0] == "-") {
    print(text);
    return 0;
  }
  SM_CHECK_OK(write_file_atomic(absolute(f.arguments[0]), text, 0644));
  print_note(context.err, f.arguments[0] + ": " + human_bytes(static_cast<double>(text.size())));
  return 0;
}

Result<int> run_library(const Context& context, const LibraryFlags& f) {
  static const std::vector<std::string> kActions{"check",    "backup", "restore", "purge",
                                                 "relocate", "export", "import"};
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
    SM_CHECK_OK(own_file(context, "restore"));
    SM_CHECK_OK(library::restore_library(context.home(), absolute(f.arguments[0])));
    print(f.json
              ? "{\"restored\":true}\n"
              : "The library is as it was; the one before is kept as library.db.before-restore.\n");
    return 0;
  }
  if (f.action == "export") {
    SM_CHECK_OK(need(1, "export FILE|- --format csv|json|m3u|rekordbox|fl|marks|copies|links"));
    return run_export(context, f);
  }
  if (f.action == "import") {
    SM_CHECK_OK(need(1, "import FILE"));
    SM_TRY(std::string text, read_file(f.arguments[0], 64 << 20));
    SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kWrite));
    SM_TRY(const JsonValue done, api->send("POST", "/api/v1/library/import", std::move(text)));
    show(f, done,
         human_count(done["sounds"].integer_or(0)) + " sounds and " +
             human_count(done["collections"].integer_or(0)) + " collections read in; " +
             human_count(done["unknown"].integer_or(0)) + " sounds are not in this library");
    return 0;
  }
  std::string body;
  JsonWriter w(body);
  if (f.action == "backup") {
    SM_CHECK_OK(need(1, "backup FILE"));
    w.begin_object().field("path", path_to_text(absolute(f.arguments[0]))).end_object();
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
        .field("from", path_to_text(absolute(f.arguments[0])))
        .field("to", path_to_text(absolute(f.arguments[1])))
        .end_object();
    SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kWrite));
    SM_TRY(const JsonValue done, api->send("POST", "/api/v1/library/relocate", body));
    show(f, done, human_count(done["changed"].integer_or(0)) + " sounds are at their new place");
    return 0;
  }
  const auto close = nearest(f.action, kActions);
  return Error(ErrorCode::kInvalidArgument, "there is no 'library " + f.action + "'",
               close ? "did you mean '" + *close + "'?"
                     : "check, backup, restore, purge, relocate, export, import");
}

}  // namespace

Run add_library(Arguments command, Context& context) {
  auto f = std::make_shared<LibraryFlags>();
  command.add_option("ACTION", f->action, "check, backup, restore, purge, relocate, export, import")
      .required();
  command.add_option("ARGUMENT", f->arguments,
                     "backup, restore, import: a file; export: a file, - or a folder; relocate: "
                     "the old and the new folder; purge: a "
                     "query, or nothing for all missing sounds");
  command
      .add_option(
          "--format", f->format,
          "With export: csv, json, m3u, rekordbox, fl (FL Studio's browser tags), marks (all "
          "that you said, for import), copies or links (a folder)")
      .type_name("F");
  command.add_option("--query", f->query, "With export: the sounds, as in 'samplemind search'")
      .type_name("QUERY");
  command.add_option("--collection", f->collection, "With export: a collection's sounds")
      .type_name("NAME");
  command.add_flag("--repair", f->repair, "With check: mend what can be mended");
  command.add_flag("--json", f->json, "As JSON");
  return [f, &context] { return run_library(context, *f); };
}

}  // namespace samplemind::cli
