// Sounds like a sound, duplicates, exports, renaming, watching, and the running scan.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "audio/analyzer.h"
#include "base/files.h"
#include "library/excerpt.h"
#include "library/export.h"
#include "library/file_tags.h"
#include "library/rename.h"
#include "library/sample_json.h"
#include "net/http.h"
#include "server/call.h"
#include "server/ndjson_stream.h"
#include "server/responses.h"
#include "server/sound_search.h"

namespace samplemind::server {

namespace {

// "timbre=1,pitch=0.2": aspects that are not named do not count.
Result<audio::AspectWeights> parse_aspects(std::string_view text) {
  if (text.empty()) return audio::AspectWeights();
  audio::AspectWeights w{0, 0, 0, 0};
  const auto wrong = [&](size_t at) {
    return Error(ErrorCode::kInvalidArgument,
                 "aspect '" + std::string(text) + "': at character " + std::to_string(at + 1) +
                     ": timbre, pitch, rhythm or envelope with a weight 0 to 100 was expected",
                 "timbre=1,pitch=0.2");
  };
  float sum = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string_view part = text.substr(at, end - at);
    const size_t equals = std::min(part.find('='), part.size());
    const std::string_view name = part.substr(0, equals);
    float value = 1;
    if (equals < part.size()) {
      const std::string_view number = part.substr(equals + 1);
      const auto [stop, error] =
          std::from_chars(number.data(), number.data() + number.size(), value);
      if (error != std::errc() || stop != number.data() + number.size() || !(value >= 0) ||
          value > 100)
        return wrong(at + equals + 1);
    }
    if (name == "timbre") {
      w.timbre = value;
    } else if (name == "pitch") {
      w.pitch = value;
    } else if (name == "rhythm") {
      w.rhythm = value;
    } else if (name == "envelope") {
      w.envelope = value;
    } else {
      return wrong(at);
    }
    sum += value;
    at = end + 1;
  }
  if (sum <= 0) return wrong(0);
  return w;
}

Reply similar_reply(const std::vector<library::Similar>& list) {
  Reply reply;
  JsonWriter w(reply.body);
  w.begin_object().key("samples").begin_array();
  const auto share = [](float d) { return std::round(audio::similarity(d) * 1000) / 1000.0; };
  for (const library::Similar& s : list) {
    w.begin_object().field("similarity", share(s.distance));
    w.field("distance", std::round(s.distance * 1000) / 1000.0);
    w.key("aspects").begin_object();
    w.field("timbre", share(s.aspects.timbre)).field("pitch", share(s.aspects.pitch));
    w.field("rhythm", share(s.aspects.rhythm)).field("envelope", share(s.aspects.envelope));
    w.end_object().key("sample");
    library::write_json(w, s.sample);
    w.end_object();
  }
  w.end_array().end_object();
  return reply;
}

Result<Reply> post_similar(const Job& job) {
  SM_TRY(const JsonValue body, body_object(job));
  library::SimilarQuery q;
  SM_TRY(q.weights, parse_aspects(body["aspects"].string_or("")));
  SM_TRY(q.limit, limit_from(body["limit"], 20));
  q.filter = body["query"].string_or("");
  const double from = body["from_s"].number_or(0);
  const double to = body["to_s"].number_or(0);
  const bool stretch = !body["from_s"].is_null() || !body["to_s"].is_null();
  fs::path path = path_from_text(body["path"].string_or(""));
  if (const auto id = body["id"].integer()) {
    SM_TRY(const auto sample, job.engine.catalogue->get(*id));
    if (!sample) return Error(ErrorCode::kNotFound, "there is no sample " + std::to_string(*id));
    q.except = *id;
    q.descriptor = sample->analysis.descriptor;
    path = sample->file.path;
  } else if (!path.is_absolute()) {
    return Error(ErrorCode::kInvalidArgument, "like what? give 'id', or 'path', an absolute path",
                 "{\"id\": 17, \"aspects\": \"timbre=1,pitch=0.2\"}");
  } else {
    SM_TRY(const auto known, job.engine.catalogue->get_by_path(path.string()));
    if (known) {
      q.except = known->id;
      q.descriptor = known->analysis.descriptor;
    }
  }
  if (stretch) {
    SM_TRY(const audio::Analysis part, library::analyze_stretch(path, from, to));
    q.descriptor = part.descriptor;
  } else if (!audio::is_descriptor(q.descriptor)) {
    SM_TRY(const audio::Analysis whole, audio::Analyzer().analyze(path));
    q.descriptor = whole.descriptor;
  }
  SM_TRY(const auto list, job.engine.catalogue->similar(q));
  return similar_reply(list);
}

Result<Reply> get_duplicates(const Job& job) {
  SM_TRY(const auto parameters, net::parse_query(job.query));
  bool near = false;
  for (const auto& [name, value] : parameters) {
    if (name != "near" || (value != "true" && value != "false"))
      return Error(ErrorCode::kInvalidArgument, "only near=true or near=false is understood here");
    near = value == "true";
  }
  SM_TRY(const auto groups, job.engine.catalogue->duplicates(near, 10000));
  Reply reply;
  JsonWriter w(reply.body);
  w.begin_object().key("groups").begin_array();
  for (const library::DuplicateGroup& g : groups) {
    w.begin_object().field("how", g.how).key("samples").begin_array();
    for (const library::Sample& s : g.samples) library::write_json(w, s);
    w.end_array().end_object();
  }
  w.end_array().end_object();
  return reply;
}

Result<Reply> get_export(const Job& job) {
  SM_TRY(const auto parameters, net::parse_query(job.query));
  std::string format = "csv", query, collection;
  for (const auto& [name, value] : parameters) {
    if (name == "format") {
      format = value;
    } else if (name == "q") {
      query = value;
    } else if (name == "collection") {
      collection = value;
    } else {
      return Error(ErrorCode::kInvalidArgument, "unknown parameter '" + name + "'",
                   "format, q, collection");
    }
  }
  library::Catalogue& catalogue = *job.engine.catalogue;
  if (format == "marks") {
    SM_TRY(std::string text, library::export_marks(catalogue));
    return Reply{std::move(text), "application/json", "samplemind-library.json"};
  }
  SM_TRY(const auto kind, library::parse_export_format(format));
  std::vector<int64_t> ids;
  if (collection.empty()) {
    library::SearchQuery q;
    q.text = query;
    SM_TRY(ids, catalogue.find_ids(q));
  } else {
    SM_TRY(ids, catalogue.collection_ids(collection));
  }
  SM_TRY(std::string text, library::export_sounds(catalogue, ids, kind, collection));
  return Reply{std::move(text), std::string(library::export_type(kind)),
               std::string(library::export_file_name(kind))};
}

Result<Reply> post_import(const Job& job) {
  SM_TRY(const auto report, library::import_marks(*job.engine.catalogue, job.body));
  Reply reply;
  JsonWriter w(reply.body);
  w.begin_object().field("sounds", report.sounds).field("collections", report.collections);
  w.field("unknown", report.unknown).end_object();
  return reply;
}

Result<std::vector<int64_t>> ids_of_query(const Job& job, const JsonValue& body) {
  const std::string collection = body["collection"].string_or("");
  if (!collection.empty()) return job.engine.catalogue->collection_ids(collection);
  std::vector<int64_t> ids;
  for (const JsonValue& v : body["ids"].items()) ids.push_back(v.integer_or(0));
  if (!ids.empty()) return ids;
  const auto query = body["query"].string();
  if (!query)
    return Error(ErrorCode::kInvalidArgument,
                 "which sounds? give 'ids', a 'query' or a 'collection'");
  library::SearchQuery q;
  q.text = *query;
  return job.engine.catalogue->find_ids(q);
}

void write_problems(JsonWriter& w, const std::vector<std::string>& problems) {
  w.field("problems", problems);
}

Result<Reply> post_export(const Job& job) {
  SM_TRY(const JsonValue body, body_object(job));
  SM_TRY(const auto kind, library::parse_export_format(body["format"].string_or("csv")));
  SM_TRY(const auto ids, ids_of_query(job, body));
  SM_TRY(std::string text, library::export_sounds(*job.engine.catalogue, ids, kind,
                                                  body["collection"].string_or("")));
  return Reply{std::move(text), std::string(library::export_type(kind)),
               std::string(library::export_file_name(kind))};
}

Result<Reply> post_export_folder(const Job& job) {
  SM_TRY(const JsonValue body, body_object(job));
  const fs::path folder = path_from_text(body["folder"].string_or(""));
  if (!folder.is_absolute())
    return Error(ErrorCode::kInvalidArgument, "'folder' must be an absolute path");
  SM_TRY(const auto ids, ids_of_query(job, body));
  SM_TRY(const auto report,
         library::export_folder(*job.engine.catalogue, ids, folder, body["links"].bool_or(false)));
  Reply reply;
  JsonWriter w(reply.body);
  w.begin_object().field("written", report.written);
  write_problems(w, report.problems);
  w.end_object();
  return reply;
}

Result<Reply> post_rename(const Job& job) {
  SM_TRY(const JsonValue body, body_object(job));
  SM_TRY(const auto ids, ids_of_query(job, body));
  const std::string pattern = body["pattern"].string_or("");
  SM_TRY(const auto plan, library::plan_rename(*job.engine.catalogue, ids, pattern));
  const bool dry = body["dry_run"].bool_or(true);
  Reply reply;
  JsonWriter w(reply.body);
  w.begin_object().field("dry_run", dry).key("steps").begin_array();
  for (const auto& s : plan) {
    w.begin_object().field("id", s.move.id);
    w.field("from", path_to_text(s.move.from)).field("to", path_to_text(s.move.to));
    w.key("problem");
    if (s.problem.empty()) {
      w.null();
    } else {
      w.value(s.problem);
    }
    w.end_object();
  }
  w.end_array();
  if (!dry) {
    SM_TRY(const auto report, library::rename_files(*job.engine.catalogue, plan, pattern));
    w.field("renamed", report.renamed).field("journal_id", report.journal_id);
    write_problems(w, report.problems);
  }
  w.end_object();
  return reply;
}

// ---- tags in files ----

void write_report(JsonWriter& w, const library::TagReport& r) {
  w.field("written", r.written).field("unchanged", r.unchanged).key("backup");
  if (r.backup.empty()) {
    w.null();
  } else {
    w.value(path_to_text(r.backup));
  }
  write_problems(w, r.problems);
}

Result<Reply> post_write_tags(const Job& job) {
  SM_TRY(const JsonValue body, body_object(job));
  SM_TRY(const auto ids, ids_of_query(job, body));
  SM_TRY(const auto plan, library::plan_tags(*job.engine.catalogue, ids));
  const bool dry = body["dry_run"].bool_or(true);
  Reply reply;
  JsonWriter w(reply.body);
  w.begin_object().field("dry_run", dry).key("steps").begin_array();
  for (const library::TagStep& s : plan) {
    w.begin_object().field("id", s.id).field("path", path_to_text(s.path));
    w.field_or_null("bpm", s.bpm);
    w.field_or_null("key", s.key);
    w.field_or_null("grouping", s.grouping);
    w.field("note", s.note < 0 ? std::nullopt : std::optional(s.note));
    w.field_or_null("problem", s.problem);
    w.end_object();
  }
  w.end_array();
  if (!dry) {
    SM_TRY(const auto report, library::write_tags(*job.engine.catalogue, job.engine.home, plan));
    write_report(w, report);
  }
  w.end_object();
  return reply;
}

Result<Reply> post_undo_tags(const Job& job) {
  SM_TRY(const auto report, library::undo_tags(*job.engine.catalogue, job.engine.home));
  Reply reply;
  JsonWriter w(reply.body);
  w.begin_object();
  write_report(w, report);
  w.end_object();
  return reply;
}

// ---- watching ----

Reply watch_reply(const std::vector<std::string>& folders) {
  Reply reply;
  JsonWriter w(reply.body);
  w.begin_object().field("folders", folders).end_object();
  return reply;
}

Result<Reply> get_watch(const Job& job) {
  SM_TRY(const auto folders, job.engine.catalogue->watched());
  return watch_reply(folders);
}

Result<Reply> change_watch(const Job& job, bool add) {
  SM_TRY(const JsonValue body, body_object(job));
  const fs::path folder = path_from_text(body["folder"].string_or(""));
  std::error_code ignored;
  if (!folder.is_absolute())
    return Error(ErrorCode::kInvalidArgument, "'folder' must be an absolute path");
  std::string clean = folder.lexically_normal().string();
  while (clean.size() > 1 && clean.back() == '/') clean.pop_back();
  if (add) {
    if (!fs::is_directory(folder, ignored))
      return Error(ErrorCode::kNotFound, folder.string() + " is no folder");
    SM_CHECK_OK(job.engine.catalogue->watch(clean));
  } else {
    SM_TRY(const bool was, job.engine.catalogue->unwatch(clean));
    if (!was)
      return Error(ErrorCode::kNotFound, clean + " is not watched", "samplemind watch lists them");
  }
  job.engine.refresh_watched();
  return get_watch(job);
}
Result<Reply> post_watch(const Job& job) {
  return change_watch(job, true);
}
Result<Reply> post_unwatch(const Job& job) {
  return change_watch(job, false);
}

// ---- the running scan ----

Reply scan_reply(Engine& engine) {
  const ScanJob::State state = engine.scan.state();
  Reply reply;
  JsonWriter w(reply.body);
  w.begin_object().field("running", state.running).field("paused", state.paused).key("last");
  if (state.line.empty()) {
    w.null();
  } else {
    w.raw(state.line);
  }
  w.end_object();
  return reply;
}

Result<Reply> get_scan(const Job& job) {
  return scan_reply(job.engine);
}

Result<Reply> control(const Job& job, void (*act)(ScanJob&)) {
  if (!job.engine.scan.running())
    return Error(ErrorCode::kNotFound, "no scan is running", "samplemind scan FOLDER");
  act(job.engine.scan);
  return scan_reply(job.engine);
}
Result<Reply> post_pause(const Job& job) {
  return control(job, [](ScanJob& scan) { scan.pause(true); });
}
Result<Reply> post_resume(const Job& job) {
  return control(job, [](ScanJob& scan) { scan.pause(false); });
}
Result<Reply> post_cancel(const Job& job) {
  return control(job, [](ScanJob& scan) { scan.cancel(); });
}

// Unregisters when the handler's frame goes, however it goes.
struct Listening {
  ScanJob& job;
  uint64_t number;
  ~Listening() { job.stop_listening(number); }
};

net::Task<void> get_scan_events(Call call) {
  const NdjsonStream stream(call.shard.loop, NdjsonStream::Form::kEvents);
  std::function<void(const std::string&)> on_line = [stream](const std::string& line) {
    const bool progress = line.find("\"type\":\"progress\"") != std::string::npos;
    stream.push(line, progress);
  };
  const Listening listening{call.engine().scan, call.engine().scan.listen(std::move(on_line))};
  stream.push("{\"type\":\"state\"," + scan_reply(call.engine()).body.substr(1), false);
  (void)co_await stream.serve(call.exchange);
}

constexpr std::string_view kNone = "";

const Route kRoutes[] = {
    {{"POST", "/api/v1/similar", "library",
      "Sounds like a sound of the library (id), a file, or a stretch of either; scores by aspect",
      kNone, "SimilarRequest", kJson, "SimilarAnswer"},
     nullptr,
     post_similar},
    {{"POST", "/api/v1/library/sound", "library",
      "Sounds by how they sound: a model, or the built-in vocabulary, turns words (\"dusty warm "
      "kick\") into a query and aims, which are in the answer and may be sent back changed",
      kNone, "SoundRequest", kJson, "SoundAnswer"},
     post_sound},
    {{"GET", "/api/v1/duplicates", "library",
      "Groups of the same bytes, of the same decoded sound, and with near=true of sounds that are "
      "the same to the ear",
      "near:boolean:also near duplicates", kNone, kJson, "Duplicates"},
     nullptr,
     get_duplicates},
    {{"GET", "/api/v1/library/export", "library",
      "Sounds as CSV, JSON, M3U, rekordbox XML or FL Studio browser tags; or with format=marks all "
      "that the user said",
      "format:string:csv, json, m3u, rekordbox, fl, marks;q:string:the sounds;collection:string:or "
      "a collection",
      kNone, "application/octet-stream", kNone},
     nullptr,
     get_export},
    {{"POST", "/api/v1/library/export", "library",
      "The same for sounds by their ids, up to 100,000, a query or a collection", kNone,
      "ExportRequest", "application/octet-stream", kNone},
     nullptr,
     post_export,
     kIdsBodyMax},
    {{"POST", "/api/v1/library/import", "library",
      "Read in what format=marks exported; sounds are recognised by path, else by content", kNone,
      "LibraryMarks", kJson, "ImportReport"},
     nullptr,
     post_import,
     64 << 20},
    {{"POST", "/api/v1/library/export-folder", "library",
      "A folder of copies of sounds, or of links to them", kNone, "ExportFolderRequest", kJson,
      "ExportFolderReport"},
     nullptr,
     post_export_folder},
    {{"POST", "/api/v1/library/rename", "library",
      "Rename files by a pattern; dry_run (the default) shows what would happen", kNone,
      "RenameRequest", kJson, "RenameAnswer"},
     nullptr,
     post_rename},
    {{"POST", "/api/v1/library/write-tags", "library",
      "Write tempo, key, kind and tags into the files; dry_run (the default) shows what would be "
      "written. The files as they were are kept",
      kNone, "WriteTagsRequest", kJson, "WriteTagsAnswer"},
     nullptr,
     post_write_tags},
    {{"POST", "/api/v1/library/write-tags/undo", "library",
      "Put the files of the newest writing back to what they were", kNone, kNone, kJson,
      "WriteTagsAnswer"},
     nullptr,
     post_undo_tags},
    {{"GET", "/api/v1/watch", "library", "The folders that are watched", kNone, kNone, kJson,
      "Watched"},
     nullptr,
     get_watch},
    {{"POST", "/api/v1/watch", "library", "Watch a folder: what changes in it is scanned", kNone,
      "WatchRequest", kJson, "Watched"},
     nullptr,
     post_watch},
    {{"POST", "/api/v1/watch/remove", "library", "Watch a folder no longer", kNone, "WatchRequest",
      kJson, "Watched"},
     nullptr,
     post_unwatch},
    {{"GET", "/api/v1/scan", "library", "Whether a scan runs, and how far it is", kNone, kNone,
      kJson, "ScanState"},
     nullptr,
     get_scan},
    {{"GET", "/api/v1/scan/events", "library",
      "Progress and reports of all scans as server-sent events, from now on", kNone, kNone,
      "text/event-stream", "ScanLine"},
     get_scan_events},
    {{"POST", "/api/v1/scan/pause", "library", "Pause the running scan", kNone, kNone, kJson,
      "ScanState"},
     nullptr,
     post_pause},
    {{"POST", "/api/v1/scan/resume", "library", "Go on with a paused scan", kNone, kNone, kJson,
      "ScanState"},
     nullptr,
     post_resume},
    {{"POST", "/api/v1/scan/cancel", "library", "End the running scan; what is finished is kept",
      kNone, kNone, kJson, "ScanState"},
     nullptr,
     post_cancel},
};

}  // namespace

std::span<const Route> sound_routes() {
  return kRoutes;
}

}  // namespace samplemind::server
