#include "library/export.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <set>
#include <unordered_map>

#include "base/files.h"
#include "library/sample_json.h"

namespace samplemind::library {

namespace {

constexpr size_t kChunk = 500;
constexpr size_t kProblemsMax = 1000;

struct FormatRow {
  std::string_view name;
  ExportFormat format;
  std::string_view type;
  std::string_view file;
};
constexpr FormatRow kFormats[] = {
    {"csv", ExportFormat::kCsv, "text/csv; charset=utf-8", "samplemind.csv"},
    {"json", ExportFormat::kJson, "application/json", "samplemind.json"},
    {"m3u", ExportFormat::kM3u, "audio/x-mpegurl", "samplemind.m3u8"},
    {"rekordbox", ExportFormat::kRekordbox, "application/xml", "rekordbox.xml"},
    {"fl", ExportFormat::kFlStudio, "text/plain; charset=utf-8", "Tags"}};

const FormatRow& row_of(ExportFormat format) {
  return *std::find_if(std::begin(kFormats), std::end(kFormats),
                       [format](const FormatRow& r) { return r.format == format; });
}

std::string number(const std::optional<double>& v, const char* format) {
  if (!v || !std::isfinite(*v)) return {};
  char text[64];
  std::snprintf(text, sizeof text, format, *v);
  return text;
}

std::string joined(const std::vector<std::string>& list, std::string_view between) {
  std::string out;
  for (const std::string& item : list) out += (out.empty() ? "" : std::string(between)) + item;
  return out;
}

// Valid UTF-8 by way of a JSON string, whose writer replaces what is none.
std::string utf8(std::string_view bytes) {
  std::string json;
  append_json_string(json, bytes);
  const auto value = JsonValue::parse(json);
  return value.ok() ? value->string_or("") : std::string();
}

// RFC 4180. A text that a spreadsheet would take for a formula is made one by an apostrophe.
std::string csv_cell(std::string_view raw) {
  std::string text = utf8(raw);
  const bool text_cell = !text.empty() && (text[0] == '=' || text[0] == '+' || text[0] == '@' ||
                                           text[0] == '\t' || text[0] == '\r');
  if (text_cell) text.insert(0, "'");
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string xml(std::string_view raw) {
  std::string out;
  for (const char c : utf8(raw)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // XML 1.0 has no other control characters.
        if (static_cast<unsigned char>(c) >= 0x20) {
          out += c;
        } else if (c == '\t' || c == '\n' || c == '\r') {
          char text[8];
          std::snprintf(text, sizeof text, "&#%d;", c);
          out += text;
        } else {
          out += '?';
        }
    }
  }
  return out;
}

std::string file_uri(std::string_view path) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out = "file://localhost";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '/' || c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

std::string short_key(const std::optional<std::string>& key) {
  if (!key) return {};
  const size_t space = key->find(' ');
  return key->substr(0, space) + (key->ends_with("minor") ? "m" : "");
}

std::string date(int64_t ms) {
  const std::time_t t = ms / 1000;
  std::tm parts{};
  ::gmtime_r(&t, &parts);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

void write_csv(std::string& out, const Sample& s) {
  const audio::Analysis& a = s.analysis;
  const auto key = a.key ? key_index(*a.key) : std::nullopt;
  const std::vector<std::string> cells{csv_cell(s.file.path),
                                       csv_cell(s.name()),
                                       a.format,
                                       number(a.duration_s, "%.3f"),
                                       std::to_string(a.sample_rate_hz),
                                       std::to_string(a.channels),
                                       a.bit_depth ? std::to_string(*a.bit_depth) : "",
                                       number(a.tempo_bpm, "%.2f"),
                                       s.tempo_source,
                                       csv_cell(a.key.value_or("")),
                                       s.key_source,
                                       key ? camelot(*key) : "",
                                       a.kind.value_or(""),
                                       s.kind_source,
                                       a.content.value_or(""),
                                       number(a.note_midi, "%.2f"),
                                       number(a.loudness_lufs, "%.2f"),
                                       number(a.true_peak_dbtp, "%.2f"),
                                       s.marks.favourite ? "1" : "0",
                                       std::to_string(s.marks.rating),
                                       csv_cell(joined(s.marks.tags, ", ")),
                                       csv_cell(s.marks.note)};
  for (size_t i = 0; i < cells.size(); ++i) out += (i == 0 ? "" : ",") + cells[i];
  out += "\r\n";
}

constexpr const char* kCsvHead =
    "path,name,format,duration_s,sample_rate_hz,channels,bit_depth,tempo_bpm,tempo_source,key,"
    "key_source,camelot,kind,kind_source,content,note_midi,loudness_lufs,true_peak_dbtp,favourite,"
    "rating,tags,note\r\n";

bool has_line_break(std::string_view path) {
  return path.find_first_of("\r\n") != std::string_view::npos;
}

std::string fl_word(std::string_view raw) {
  std::string text;
  for (const char c : raw) text += c == '"' ? '\'' : c;
  return text.find_first_of(" ,") == std::string::npos ? text : "\"" + text + "\"";
}

std::vector<std::string> fl_tags(const Sample& s) {
  std::vector<std::string> tags = s.marks.tags;
  const auto add = [&tags](std::string tag) {
    if (!tag.empty() && std::find(tags.begin(), tags.end(), tag) == tags.end())
      tags.push_back(std::move(tag));
  };
  std::string kind = s.analysis.kind.value_or("");
  std::replace(kind.begin(), kind.end(), '_', ' ');
  add(kind);
  add(s.analysis.content.value_or(""));
  if (s.analysis.key) add(fold(short_key(s.analysis.key)));
  if (s.analysis.tempo_bpm) add(number(std::round(*s.analysis.tempo_bpm), "%.0f") + " bpm");
  return tags;
}

void write_track(std::string& out, const Sample& s) {
  const audio::Analysis& a = s.analysis;
  // 0, 51, 102, 153, 204, 255 are rekordbox's stars.
  out +=
      "    <TRACK TrackID=\"" + std::to_string(s.id) + "\" Name=\"" + xml(s.name()) +
      "\" Artist=\"\" Kind=\"" + xml(a.format) + " file\" Size=\"" + std::to_string(s.file.size) +
      "\" TotalTime=\"" + std::to_string(static_cast<int64_t>(std::ceil(a.duration_s))) +
      "\" AverageBpm=\"" + (a.tempo_bpm ? number(a.tempo_bpm, "%.2f") : "0.00") +
      "\" DateAdded=\"" + date(s.added_ms) + "\" SampleRate=\"" + std::to_string(a.sample_rate_hz) +
      "\" Comments=\"" + xml(s.marks.note) + "\" Rating=\"" + std::to_string(s.marks.rating * 51) +
      "\" Location=\"" + file_uri(s.file.path) + "\" Tonality=\"" + xml(short_key(a.key)) + "\"";
  if (!s.marks.colour.empty()) out += " Colour=\"0x" + s.marks.colour.substr(1) + "\"";
  if (!a.tempo_bpm) {
    out += "/>\n";
    return;
  }
  const double first = a.beats_s.empty() ? 0 : a.beats_s.front();
  out += ">\n      <TEMPO Inizio=\"" + number(first, "%.3f") + "\" Bpm=\"" +
         number(a.tempo_bpm, "%.2f") + "\" Metro=\"" + xml(a.time_signature.value_or("4/4")) +
         "\" Battito=\"1\"/>\n    </TRACK>\n";
}

// Calls `each` for every sound that exists, in order.
Result<void> walk(Catalogue& catalogue, const std::vector<int64_t>& ids,
                  const std::function<void(const Sample&)>& each) {
  for (size_t at = 0; at < ids.size(); at += kChunk) {
    const std::vector<int64_t> part(
        ids.begin() + static_cast<std::ptrdiff_t>(at),
        ids.begin() + static_cast<std::ptrdiff_t>(std::min(ids.size(), at + kChunk)));
    SM_TRY(const auto samples, catalogue.get_many(part));
    for (const Sample& s : samples) each(s);
  }
  return ok();
}

Result<std::string> export_rekordbox(Catalogue& catalogue, const std::vector<int64_t>& ids,
                                     std::string_view title) {
  std::string tracks;
  std::string keys;
  int64_t count = 0;
  SM_CHECK_OK(walk(catalogue, ids, [&](const Sample& s) {
    write_track(tracks, s);
    keys += "        <TRACK Key=\"" + std::to_string(s.id) + "\"/>\n";
    ++count;
  }));
  const std::string entries = std::to_string(count);
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DJ_PLAYLISTS Version=\"1.0.0\">\n"
         "  <PRODUCT Name=\"SampleMind\" Version=\"1\" Company=\"\"/>\n  <COLLECTION Entries=\"" +
         entries + "\">\n" + tracks +
         "  </COLLECTION>\n  <PLAYLISTS>\n    <NODE Type=\"0\" Name=\"ROOT\" Count=\"1\">\n"
         "      <NODE Name=\"" +
         xml(title) + "\" Type=\"1\" KeyType=\"0\" Entries=\"" + entries + "\">\n" + keys +
         "      </NODE>\n    </NODE>\n  </PLAYLISTS>\n</DJ_PLAYLISTS>\n";
}

Result<std::string> export_fl(Catalogue& catalogue, const std::vector<int64_t>& ids) {
  std::set<std::string> all;
  std::string lines;
  SM_CHECK_OK(walk(catalogue, ids, [&](const Sample& s) {
    const std::vector<std::string> tags = fl_tags(s);
    if (tags.empty() || has_line_break(s.file.path) || s.file.path.find('"') != std::string::npos)
      return;
    lines += "\"" + s.file.path + "\"";
    for (const std::string& t : tags) {
      all.insert(t);
      lines += "," + fl_word(t);
    }
    lines += "\n";
  }));
  std::string head = "@TagCase=*";
  for (const std::string& t : all) head += "," + fl_word(t);
  return head + "\n" + lines;
}

}  // namespace

Result<ExportFormat> parse_export_format(std::string_view text) {
  for (const FormatRow& r : kFormats) {
    if (r.name == text) return r.format;
  }
  return Error(ErrorCode::kInvalidArgument,
               "export format '" + std::string(text) + "' is not known",
               "use csv, json, m3u, rekordbox or fl");
}

std::string_view export_type(ExportFormat format) {
  return row_of(format).type;
}

std::string_view export_file_name(ExportFormat format) {
  return row_of(format).file;
}

Result<std::string> export_sounds(Catalogue& catalogue, const std::vector<int64_t>& ids,
                                  ExportFormat format, std::string_view title) {
  std::string out;
  switch (format) {
    case ExportFormat::kCsv:
      out = kCsvHead;
      SM_CHECK_OK(walk(catalogue, ids, [&out](const Sample& s) { write_csv(out, s); }));
      return out;
    case ExportFormat::kJson: {
      JsonWriter w(out);
      w.begin_array();
      SM_CHECK_OK(walk(catalogue, ids, [&w](const Sample& s) { write_json(w, s); }));
      w.end_array();
      return out;
    }
    case ExportFormat::kM3u:
      out = "#EXTM3U\n";
      if (!title.empty() && !has_line_break(title)) out += "#PLAYLIST:" + utf8(title) + "\n";
      SM_CHECK_OK(walk(catalogue, ids, [&out](const Sample& s) {
        if (has_line_break(s.file.path)) return;
        out += "#EXTINF:" + number(std::ceil(s.analysis.duration_s), "%.0f") + "," + s.name() +
               "\n" + s.file.path + "\n";
      }));
      return out;
    case ExportFormat::kRekordbox:
      return export_rekordbox(catalogue, ids, title.empty() ? "SampleMind" : title);
    case ExportFormat::kFlStudio:
      return export_fl(catalogue, ids);
  }
  return out;
}

// ---- what the user said ----

namespace {

void write_identity(JsonWriter& w, const Sample& s) {
  w.field("path", path_to_text(s.file.path)).field("digest", s.digest_hex);
}

// The sound of this library that an entry means.
Result<std::optional<int64_t>> find_sound(Catalogue& catalogue, const JsonValue& entry) {
  SM_TRY(const auto by_path,
         catalogue.get_by_path(path_from_text(entry["path"].string_or("")).native()));
  if (by_path) return std::optional<int64_t>(by_path->id);
  const auto digest = Digest::from_hex(entry["digest"].string_or(""));
  if (!digest.ok()) return std::optional<int64_t>();
  SM_TRY(const auto by_content, catalogue.find_by_digest(*digest));
  if (by_content.empty()) return std::optional<int64_t>();
  return std::optional<int64_t>(by_content.front().id);
}

}  // namespace

Result<std::string> export_marks(Catalogue& catalogue) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("samplemind_library", 1).key("sounds").begin_array();
  SM_TRY(const auto known, catalogue.known());
  std::vector<int64_t> all;
  for (const auto& [path, k] : known) all.push_back(k.id);
  std::sort(all.begin(), all.end());
  SM_CHECK_OK(walk(catalogue, all, [&w](const Sample& s) {
    if (s.marks.empty()) return;
    w.begin_object();
    write_identity(w, s);
    w.key("marks");
    write_json(w, s.marks);
    w.end_object();
  }));
  w.end_array().key("collections").begin_array();
  SM_TRY(const auto collections, catalogue.collections());
  for (const Collection& c : collections) {
    w.begin_object().field("name", c.name).field("query", c.query).field("note", c.note);
    w.key("sounds").begin_array();
    if (c.query.empty()) {
      SM_TRY(const auto ids, catalogue.collection_ids(c.name));
      SM_CHECK_OK(walk(catalogue, ids, [&w](const Sample& s) {
        w.begin_object();
        write_identity(w, s);
        w.end_object();
      }));
    }
    w.end_array().end_object();
  }
  w.end_array().end_object();
  return out;
}

Result<ImportReport> import_marks(Catalogue& catalogue, std::string_view json) {
  SM_TRY(const JsonValue all, JsonValue::parse(json));
  if (all["samplemind_library"].integer_or(0) != 1)
    return Error(ErrorCode::kInvalidArgument,
                 "this is no export of a library (\"samplemind_library\": 1 is missing)",
                 "samplemind library export writes one");
  ImportReport report;
  std::vector<std::pair<int64_t, Marks>> marks;
  for (const JsonValue& s : all["sounds"].items()) {
    SM_TRY(const auto id, find_sound(catalogue, s));
    if (id) {
      marks.emplace_back(*id, marks_from_json(s["marks"]));
    } else {
      ++report.unknown;
    }
  }
  SM_TRY(const EditReport set, catalogue.set_marks(marks, "import marks"));
  report.sounds = set.changed;
  for (const JsonValue& c : all["collections"].items()) {
    Collection collection;
    collection.name = c["name"].string_or("");
    collection.query = c["query"].string_or("");
    collection.note = c["note"].string_or("");
    std::vector<int64_t> ids;
    for (const JsonValue& s : c["sounds"].items()) {
      SM_TRY(const auto id, find_sound(catalogue, s));
      if (id) {
        ids.push_back(*id);
      } else {
        ++report.unknown;
      }
    }
    SM_TRY(const EditReport made, catalogue.put_collection(collection));
    (void)made;
    if (!ids.empty()) {
      SM_TRY(const EditReport added, catalogue.change_collection(collection.name, ids, {}));
      (void)added;
    }
    ++report.collections;
  }
  return report;
}

// ---- folders ----

Result<FolderReport> export_folder(Catalogue& catalogue, const std::vector<int64_t>& ids,
                                   const fs::path& folder, bool links) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return errno_error(error.value(), "make folder " + folder.string());
  FolderReport report;
  SM_CHECK_OK(walk(catalogue, ids, [&](const Sample& s) {
    const fs::path source = s.file.path;
    for (int n = 1; n < 10000; ++n) {
      const std::string tail = n == 1 ? "" : " (" + std::to_string(n) + ")";
      const fs::path target =
          folder / (source.stem().string() + tail + source.extension().string());
      std::error_code failed;
      if (links) {
        fs::create_symlink(source, target, failed);
      } else {
        fs::copy_file(source, target, fs::copy_options::none, failed);
      }
      if (!failed) {
        ++report.written;
        return;
      }
      if (failed == std::errc::file_exists) continue;
      if (report.problems.size() < kProblemsMax)
        report.problems.push_back(s.file.path + ": " + failed.message());
      return;
    }
  }));
  return report;
}

}  // namespace samplemind::library
