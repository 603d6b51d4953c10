// What the journal of any store holds of things before a change, as JSON, and who may be undone.
#include "audio/analysis_json.h"
#include "base/files.h"
#include "base/hex.h"
#include "library/store/indexed_internal.h"

namespace samplemind::library {

namespace {

// What a library wrote itself; damaged, it is empty, which names no file.
std::string bytes_of(const JsonValue& text) {
  return from_hex(text.string_or("")).value_or("");
}

}  // namespace

Result<void> check_undo(const std::optional<JournalEntry>& entry, std::string_view kind,
                        std::optional<int64_t> id) {
  if (!entry)
    return Error(ErrorCode::kNotFound, id ? "there is no change " + std::to_string(*id)
                                          : std::string("there is no change to take back"));
  if (entry->state != "done")
    return Error(ErrorCode::kAlreadyExists,
                 "change " + std::to_string(entry->id) + " is " + entry->state + " already");
  if (kind == kFilesChange)
    return Error(ErrorCode::kUnsupported, "change " + std::to_string(entry->id) +
                                              " wrote into files: it is taken back by "
                                              "putting them back");
  if (kind == "move")
    return Error(ErrorCode::kUnsupported, "change " + std::to_string(entry->id) +
                                              " renamed files: it is taken back by "
                                              "renaming them again");
  return ok();
}

std::string collection_before(std::string_view name, const std::optional<Collection>& c,
                              const std::vector<int64_t>& samples) {
  std::string json;
  JsonWriter w(json);
  w.begin_object().field("name", name);
  if (!c) {
    w.field("absent", true).end_object();
    return json;
  }
  w.field("query", c->query).field("note", c->note).field("created_ms", c->created_ms);
  w.key("samples").begin_array();
  for (const int64_t id : samples) w.value(id);
  w.end_array().end_object();
  return json;
}

Error no_renaming(int64_t journal_id) {
  return Error(ErrorCode::kNotFound,
               "change " + std::to_string(journal_id) + " did not rename files");
}

std::string move_before(const Move& move) {
  std::string json;
  JsonWriter w(json);
  w.begin_object().field("from", to_hex(move.from)).field("to", to_hex(move.to)).end_object();
  return json;
}

Result<Move> read_move(int64_t id, const std::string& before) {
  SM_TRY(const JsonValue v, JsonValue::parse(before));
  return Move{id, bytes_of(v["from"]), bytes_of(v["to"])};
}

bool was_moved(const Move& move) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(move.to, ignored)) &&
         !fs::exists(fs::symlink_status(move.from, ignored));
}

Result<void> check_relocate(std::string& from, std::string& to) {
  for (std::string* path : {&from, &to}) {
    if (!path->starts_with('/'))
      return Error(ErrorCode::kInvalidArgument, "both folders must be absolute paths");
    while (path->ends_with('/')) path->pop_back();
  }
  return ok();
}

Error nothing_below(const std::string& folder) {
  return Error(ErrorCode::kNotFound, "no sound of the library is below " + folder);
}

Error not_missing(const Sample& sample) {
  return Error(ErrorCode::kInvalidArgument,
               sample.file.path + " is not missing: only missing sounds are purged");
}

std::string purged_before(const Sample& s, const std::vector<std::string>& collections) {
  std::string json;
  JsonWriter w(json);
  w.begin_object().field("id", s.id).field("path", to_hex(s.file.path));
  w.field("size", s.file.size).field("mtime_ns", s.file.mtime_ns);
  w.field("digest", s.digest_hex).field("added_ms", s.added_ms);
  w.field("analysis_version", s.analysis_version).field("error", s.error);
  w.key("marks");
  write_json(w, s.marks);
  w.field("descriptor", to_hex(s.analysis.descriptor));
  w.key("analysis").begin_object();
  audio::write_json_fields(w, heard(s));
  w.end_object().key("collections").begin_array();
  for (const std::string& name : collections) w.value(name);
  w.end_array().end_object();
  return json;
}

Result<Purged> read_purged(const std::string& before) {
  SM_TRY(const JsonValue v, JsonValue::parse(before));
  Purged purged;
  Sample& s = purged.sample;
  s.id = v["id"].integer_or(0);
  s.file = {bytes_of(v["path"]), v["size"].integer_or(0), v["mtime_ns"].integer_or(0)};
  s.digest_hex = v["digest"].string_or("");
  s.error = v["error"].string_or("");
  s.missing = true;
  s.added_ms = v["added_ms"].integer_or(0);
  s.analysis_version = static_cast<int>(v["analysis_version"].integer_or(0));
  s.marks = marks_from_json(v["marks"]);
  s.analysis = audio::analysis_from_json(v["analysis"]);
  s.analysis.descriptor = bytes_of(v["descriptor"]);
  for (const JsonValue& name : v["collections"].items())
    purged.collections.push_back(name.string_or(""));
  return purged;
}

}  // namespace samplemind::library
