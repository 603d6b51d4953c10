// What the user says about sounds, collections, the journal, and the care of the library.
#include <algorithm>
#include <charconv>

#include "base/files.h"
#include "library/catalogue.h"
#include "library/file_tags.h"
#include "library/rename.h"
#include "library/sample_json.h"
#include "net/http.h"
#include "server/call.h"

namespace samplemind::server {

namespace {

using library::Catalogue;
using library::EditReport;

constexpr size_t kIdsMax = 100000;
constexpr int kJournalMax = 1000;

Result<int64_t> id_of(const Job& job) {
  int64_t id = 0;
  const auto [end, error] = std::from_chars(job.id.data(), job.id.data() + job.id.size(), id);
  if (error != std::errc() || end != job.id.data() + job.id.size())
    return Error(ErrorCode::kInvalidArgument, "a sample's id is a number, not '" + job.id + "'");
  return id;
}

Reply reply_of(const EditReport& report) {
  Reply reply;
  JsonWriter w(reply.body);
  w.begin_object().field("changed", report.changed).key("journal_id");
  if (report.journal_id == 0) {
    w.null();
  } else {
    w.value(report.journal_id);
  }
  w.end_object();
  return reply;
}

Result<std::vector<int64_t>> ids_from(const JsonValue& list, std::string_view name) {
  std::vector<int64_t> ids;
  if (!list.is_null() && !list.is_array())
    return Error(ErrorCode::kInvalidArgument, "'" + std::string(name) + "' must be a list of ids");
  for (const JsonValue& v : list.items()) {
    const auto id = v.integer();
    if (!id)
      return Error(ErrorCode::kInvalidArgument,
                   "'" + std::string(name) + "' must be a list of ids");
    ids.push_back(*id);
  }
  if (ids.size() > kIdsMax)
    return Error(ErrorCode::kTooLarge, "'" + std::string(name) + "' holds more than 100,000 ids");
  return ids;
}

// {"ids":[...]} or {"query":"..."}: the sounds a change is for.
Result<std::vector<int64_t>> chosen(Catalogue& catalogue, const JsonValue& body) {
  if (const auto query = body["query"].string()) {
    library::SearchQuery q;
    q.text = *query;
    return catalogue.find_ids(q);
  }
  SM_TRY(auto ids, ids_from(body["ids"], "ids"));
  if (ids.empty())
    return Error(ErrorCode::kInvalidArgument, "which sounds? give 'ids' or a 'query'",
                 "{\"query\": \"kick bpm:120-128\", ...}");
  return ids;
}

Result<Reply> patch_sample(const Job& job) {
  SM_TRY(const int64_t id, id_of(job));
  SM_TRY(const JsonValue body, body_object(job));
  SM_TRY(const auto change, library::read_change(body));
  SM_TRY(const EditReport report, job.engine.catalogue->edit({id}, change));
  (void)report;
  SM_TRY(const auto sample, job.engine.catalogue->get(id));
  if (!sample) return Error(ErrorCode::kNotFound, "there is no sample " + job.id);
  Reply reply;
  JsonWriter w(reply.body);
  library::write_json(w, *sample);
  return reply;
}

Result<Reply> post_played(const Job& job) {
  SM_TRY(const int64_t id, id_of(job));
  SM_CHECK_OK(job.engine.catalogue->played(id));
  return Reply{"{}"};
}

Result<Reply> post_edits(const Job& job) {
  SM_TRY(const JsonValue body, body_object(job));
  SM_TRY(const auto change, library::read_change(body["change"]));
  SM_TRY(const auto ids, chosen(*job.engine.catalogue, body));
  SM_TRY(const EditReport report, job.engine.catalogue->edit(ids, change));
  return reply_of(report);
}

Result<Reply> get_tags(const Job& job) {
  SM_TRY(const auto tags, job.engine.catalogue->tags());
  Reply reply;
  JsonWriter w(reply.body);
  w.begin_object().key("tags").begin_array();
  for (const auto& [tag, count] : tags)
    w.begin_object().field("tag", tag).field("samples", count).end_object();
  w.end_array().end_object();
  return reply;
}

Result<Reply> get_collections(const Job& job) {
  SM_TRY(const auto list, job.engine.catalogue->collections());
  Reply reply;
  JsonWriter w(reply.body);
  w.begin_object().key("collections").begin_array();
  for (const library::Collection& c : list) {
    w.begin_object().field("name", c.name).field("smart", !c.query.empty());
    w.field("query", c.query).field("note", c.note).field("created_ms", c.created_ms);
    int64_t samples = c.samples;
    if (!c.query.empty()) {
      const auto ids = job.engine.catalogue->collection_ids(c.name);
      samples = ids.ok() ? static_cast<int64_t>(ids->size()) : 0;
    }
    w.field("samples", samples).end_object();
  }
  w.end_array().end_object();
  return reply;
}

Result<Reply> post_collection(const Job& job) {
  SM_TRY(const JsonValue body, body_object(job));
  library::Collection c;
  c.name = body["name"].string_or("");
  c.query = body["query"].string_or("");
  c.note = body["note"].string_or("");
  SM_TRY(const EditReport report, job.engine.catalogue->put_collection(c));
  return reply_of(report);
}

Result<Reply> delete_collection(const Job& job) {
  SM_TRY(const EditReport report, job.engine.catalogue->remove_collection(job.id));
  return reply_of(report);
}

Result<Reply> post_collection_samples(const Job& job) {
  SM_TRY(const JsonValue body, body_object(job));
  SM_TRY(auto add, ids_from(body["add"], "add"));
  SM_TRY(auto remove, ids_from(body["remove"], "remove"));
  for (const auto& [name, list] : {std::pair("add_query", &add), {"remove_query", &remove}}) {
    const auto query = body[name].string();
    if (!query) continue;
    library::SearchQuery q;
    q.text = *query;
    SM_TRY(const auto found, job.engine.catalogue->find_ids(q));
    list->insert(list->end(), found.begin(), found.end());
  }
  if (add.empty() && remove.empty() && body["add_query"].is_null() &&
      body["remove_query"].is_null())
    return Error(ErrorCode::kInvalidArgument, "nothing to add or remove",
                 "{\"add\": [1, 2]}, {\"add_query\": \"kick\"}, {\"remove\": [3]}");
  SM_TRY(const EditReport report, job.engine.catalogue->change_collection(job.id, add, remove));
  return reply_of(report);
}

void write_entry(JsonWriter& w, const library::JournalEntry& e) {
  w.begin_object().field("id", e.id).field("at_ms", e.at_ms).field("what", e.what);
  w.field("state", e.state).field("changes", e.changes).end_object();
}

Result<Reply> get_journal(const Job& job) {
  SM_TRY(const auto list, job.engine.catalogue->journal(kJournalMax));
  Reply reply;
  JsonWriter w(reply.body);
  w.begin_object().key("changes").begin_array();
  for (const library::JournalEntry& e : list) write_entry(w, e);
  w.end_array().end_object();
  return reply;
}

// A change that renamed files or wrote into them.
Result<library::JournalEntry> undo_files(const Job& job, std::optional<int64_t> id) {
  Catalogue& catalogue = *job.engine.catalogue;
  SM_TRY(const auto all, catalogue.journal(kJournalMax));
  for (const library::JournalEntry& e : all) {
    if (id ? e.id != *id : e.state != "done") continue;
    SM_TRY(const auto record, catalogue.files_record(e.id));
    std::vector<std::string> problems;
    if (record) {
      SM_TRY(const auto report, library::undo_tags(catalogue, job.engine.home, record));
      problems = report.problems;
    } else {
      SM_TRY(const auto report, library::undo_rename(catalogue, e.id));
      problems = report.problems;
    }
    if (!problems.empty())
      return Error(ErrorCode::kUnavailable,
                   std::string("not every file could be ") + (record ? "put" : "renamed") +
                       " back: " + problems.front(),
                   "'samplemind undo ID' takes another change back");
    library::JournalEntry done = e;
    done.state = "undone";
    return done;
  }
  return Error(ErrorCode::kNotFound, "there is no such change");
}

Result<Reply> post_undo(const Job& job) {
  SM_TRY(const JsonValue body, body_object(job));
  auto undone = job.engine.catalogue->undo(body["id"].integer());
  if (!undone.ok() && undone.error().code() == ErrorCode::kUnsupported) {
    SM_TRY(undone, undo_files(job, body["id"].integer()));
  }
  SM_TRY(const auto entry, std::move(undone));
  Reply reply;
  JsonWriter w(reply.body);
  write_entry(w, entry);
  return reply;
}

Result<Reply> post_purge(const Job& job) {
  SM_TRY(const JsonValue body, body_object(job));
  library::SearchQuery q;
  q.text = "is:missing " + body["query"].string_or("");
  SM_TRY(const auto ids, job.engine.catalogue->find_ids(q));
  SM_TRY(const EditReport report, job.engine.catalogue->purge(ids));
  return reply_of(report);
}

Result<Reply> post_relocate(const Job& job) {
  SM_TRY(const JsonValue body, body_object(job));
  SM_TRY(const EditReport report,
         job.engine.catalogue->relocate(path_from_text(body["from"].string_or("")).native(),
                                        path_from_text(body["to"].string_or("")).native()));
  return reply_of(report);
}

Result<Reply> post_backup(const Job& job) {
  SM_TRY(const JsonValue body, body_object(job));
  const fs::path target = path_from_text(body["path"].string_or(""));
  if (!target.is_absolute())
    return Error(ErrorCode::kInvalidArgument, "'path' must be an absolute path of a new file");
  SM_CHECK_OK(job.engine.catalogue->backup(target));
  std::error_code ignored;
  Reply reply;
  JsonWriter w(reply.body);
  w.begin_object().field("path", path_to_text(target));
  w.field("bytes", static_cast<uint64_t>(fs::file_size(target, ignored))).end_object();
  return reply;
}

Result<Reply> post_check(const Job& job) {
  SM_TRY(const JsonValue body, body_object(job));
  Reply reply;
  JsonWriter w(reply.body);
  std::vector<std::string> done;
  if (body["repair"].bool_or(false)) {
    SM_TRY(done, job.engine.catalogue->repair());
  }
  const auto checked = job.engine.catalogue->check();
  w.begin_object().field("ok", checked.ok()).key("problem");
  if (checked.ok()) {
    w.null();
  } else {
    w.value(checked.error().message());
  }
  w.field("repaired", done).end_object();
  return reply;
}

constexpr std::string_view kNone = "";

const Route kRoutes[] = {
    {{"PATCH", "/api/v1/samples/{id}", "library",
      "Say something about a sound: favourite, rating, tags, note, hidden, colour, or what its "
      "tempo, key, kind and content are; null takes that back",
      kNone, "MarksChange", kJson, "Sample"},
     nullptr,
     patch_sample},
    {{"POST", "/api/v1/samples/{id}/played", "library", "It was listened to now", kNone, kNone,
      kJson, kNone},
     nullptr,
     post_played},
    {{"POST", "/api/v1/edits", "library",
      "The same change for many sounds, by ids or by a query, as one change that can be taken back",
      kNone, "EditRequest", kJson, "EditReport"},
     nullptr,
     post_edits,
     kIdsBodyMax},
    {{"GET", "/api/v1/tags", "library", "All tags with their counts", kNone, kNone, kJson, "Tags"},
     nullptr,
     get_tags},
    {{"GET", "/api/v1/collections", "library", "All collections; their sounds are found by in:NAME",
      kNone, kNone, kJson, "Collections"},
     nullptr,
     get_collections},
    {{"POST", "/api/v1/collections", "library",
      "Make a collection, or change its query and note; with a query it is a smart one", kNone,
      "CollectionRequest", kJson, "EditReport"},
     nullptr,
     post_collection},
    {{"DELETE", "/api/v1/collections/{id}", "library", "Remove a collection (not its sounds)",
      kNone, kNone, kJson, "EditReport"},
     nullptr,
     delete_collection},
    {{"POST", "/api/v1/collections/{id}/samples", "library",
      "Put sounds into a collection or take them out, by ids or by a query", kNone,
      "CollectionChange", kJson, "EditReport"},
     nullptr,
     post_collection_samples,
     kIdsBodyMax},
    {{"GET", "/api/v1/journal", "library", "The last 1,000 changes, newest first", kNone, kNone,
      kJson, "Journal"},
     nullptr,
     get_journal},
    {{"POST", "/api/v1/journal/undo", "library",
      "Take a change back: the newest, or the one of this id", kNone, "UndoRequest", kJson,
      "JournalEntry"},
     nullptr,
     post_undo},
    {{"POST", "/api/v1/library/purge", "library",
      "Forget missing sounds, all or those that a query finds; can be taken back", kNone,
      "PurgeRequest", kJson, "EditReport"},
     nullptr,
     post_purge},
    {{"POST", "/api/v1/library/relocate", "library",
      "Sounds below one folder are below another now; can be taken back", kNone, "RelocateRequest",
      kJson, "EditReport"},
     nullptr,
     post_relocate},
    {{"POST", "/api/v1/library/backup", "library", "Copy the library's file, while it is in use",
      kNone, "BackupRequest", kJson, "Backup"},
     nullptr,
     post_backup},
    {{"POST", "/api/v1/library/check", "library",
      "Check the library's file; with repair mend what can be mended", kNone, "CheckRequest", kJson,
      "Check"},
     nullptr,
     post_check},
};

}  // namespace

std::span<const Route> user_routes() {
  return kRoutes;
}

}  // namespace samplemind::server
