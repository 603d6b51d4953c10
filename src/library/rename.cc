#include "library/rename.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <set>

#include "base/files.h"

namespace samplemind::library {

namespace {

constexpr size_t kNameMax = 255;  // bytes of a file's name, as file systems have it
constexpr size_t kPatternMax = 500;
constexpr size_t kFilesMax = 100000;

struct Piece {
  bool field = false;
  std::string text;  // of a field: its name
  int width = 0;     // of {n}
};

Error wrong(std::string_view pattern, size_t at, std::string_view why) {
  return Error(ErrorCode::kInvalidArgument,
               "pattern '" + std::string(pattern) + "': at character " + std::to_string(at + 1) +
                   ": " + std::string(why),
               "{name} {bpm} {key} {camelot} {kind} {content} {note} {rating} {tags} {folder} {n}");
}

Result<std::vector<Piece>> parse(std::string_view pattern) {
  static constexpr std::string_view kFields[] = {"name", "bpm",    "key",  "camelot", "kind",   "n",
                                                 "note", "rating", "tags", "folder",  "content"};
  if (pattern.size() > kPatternMax)
    return Error(ErrorCode::kTooLarge, "the pattern is longer than 500 bytes");
  std::vector<Piece> pieces;
  for (size_t at = 0; at < pattern.size();) {
    const char c = pattern[at];
    if (c == '/' || c == '\0') return wrong(pattern, at, "a name holds no slash");
    if (c == '}') return wrong(pattern, at, "this brace closes nothing");
    if (c != '{') {
      if (pieces.empty() || pieces.back().field) pieces.emplace_back();
      pieces.back().text += c;
      ++at;
      continue;
    }
    const size_t end = pattern.find('}', at);
    if (end == std::string_view::npos) return wrong(pattern, at, "this brace is never closed");
    Piece p;
    p.field = true;
    p.text = pattern.substr(at + 1, end - at - 1);
    if (p.text.starts_with("n:") && p.text.size() == 3 && p.text[2] >= '1' && p.text[2] <= '9') {
      p.width = p.text[2] - '0';
      p.text = "n";
    }
    if (std::find(std::begin(kFields), std::end(kFields), p.text) == std::end(kFields))
      return wrong(pattern, at, "there is no {" + p.text + "}");
    pieces.push_back(std::move(p));
    at = end + 1;
  }
  if (std::none_of(pieces.begin(), pieces.end(), [](const Piece& p) { return p.field; }))
    return wrong(pattern, 0, "at least one {field} is needed");
  return pieces;
}

std::string note_name(double midi) {
  static constexpr const char* kNames[] = {"C",  "C#", "D",  "D#", "E",  "F",
                                           "F#", "G",  "G#", "A",  "A#", "B"};
  const int n = std::clamp(static_cast<int>(std::lround(midi)), 0, 127);
  return std::string(kNames[n % 12]) + std::to_string(n / 12 - 1);
}

std::string value_of(const Piece& p, const Sample& s, const std::string& stem_name, int64_t n) {
  const audio::Analysis& a = s.analysis;
  const int key = a.key ? key_index(*a.key).value_or(-1) : -1;
  char text[32];
  if (p.text == "name") return stem_name;
  if (p.text == "bpm") {
    if (!a.tempo_bpm) return {};
    const double rounded = std::round(*a.tempo_bpm);
    const bool whole = std::abs(*a.tempo_bpm - rounded) < 0.05;
    std::snprintf(text, sizeof text, whole ? "%.0f" : "%.1f", *a.tempo_bpm);
    return text;
  }
  if (p.text == "key") {
    if (key < 0) return {};
    const std::string name = key_name(key);
    return name.substr(0, name.find(' ')) + (key >= 12 ? "m" : "");
  }
  if (p.text == "camelot") return key >= 0 ? camelot(key) : "";
  if (p.text == "kind") return a.kind.value_or("");
  if (p.text == "content") return a.content.value_or("");
  if (p.text == "note") return a.note_midi ? note_name(*a.note_midi) : "";
  if (p.text == "rating") return s.marks.rating > 0 ? std::to_string(s.marks.rating) : "";
  if (p.text == "folder") return s.folder().substr(s.folder().rfind('/') + 1);
  if (p.text == "tags") {
    std::string all;
    for (const std::string& t : s.marks.tags) all += (all.empty() ? "" : " ") + t;
    return all;
  }
  std::snprintf(text, sizeof text, "%0*lld", p.width, static_cast<long long>(n));
  return text;
}

bool is_mark(char c) {
  return c == '_' || c == '-' || c == ' ';
}

// Whether a text between fields is only marks: then it goes with a field that is empty.
std::string build(const std::vector<Piece>& pieces, const Sample& s, const std::string& stem_name,
                  int64_t n) {
  std::string out;
  bool empty_before = false;
  for (const Piece& p : pieces) {
    if (p.field) {
      const std::string value = value_of(p, s, stem_name, n);
      empty_before = value.empty();
      out += value;
      continue;
    }
    std::string text = p.text;
    if (empty_before) {
      // What stood between the empty field and the next one.
      while (!text.empty() && is_mark(text.front()) && (out.empty() || is_mark(out.back())))
        text.erase(0, 1);
    }
    out += text;
    empty_before = false;
  }
  while (!out.empty() && is_mark(out.back())) out.pop_back();
  for (char& c : out) {
    if (c == '/' || static_cast<unsigned char>(c) < 0x20) c = '-';
  }
  return out;
}

// Cuts at a character's beginning.
void cut(std::string& text, size_t bytes) {
  if (text.size() <= bytes) return;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  text.resize(bytes);
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

// Renames without ever replacing a file.
std::string rename_one(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno == EINVAL || errno == ENOSYS) {
    // A file system without that promise (some network drives): a hard link refuses to replace.
    if (::link(from.c_str(), to.c_str()) == 0) {
      ::unlink(from.c_str());
      return {};
    }
  }
  return errno_error(errno, from).message();
}

Result<RenameReport> carry_out(Catalogue& catalogue, const std::vector<Move>& moves,
                               std::string_view what) {
  RenameReport report;
  if (moves.empty()) return report;
  SM_TRY(report.journal_id, catalogue.begin_move(what, moves));
  std::vector<Move> done;
  for (const Move& m : moves) {
    const std::string problem = rename_one(m.from, m.to);
    if (problem.empty()) {
      done.push_back(m);
    } else {
      report.problems.push_back(problem);
    }
  }
  SM_CHECK_OK(catalogue.finish_move(report.journal_id, done));
  report.renamed = static_cast<int64_t>(done.size());
  return report;
}

}  // namespace

Result<std::vector<RenameStep>> plan_rename(Catalogue& catalogue, const std::vector<int64_t>& ids,
                                            std::string_view pattern) {
  SM_TRY(const auto pieces, parse(pattern));
  if (ids.size() > kFilesMax)
    return Error(ErrorCode::kTooLarge, "more than 100,000 files at once", "use a narrower query");
  SM_TRY(const auto samples, catalogue.get_many(ids));
  std::vector<RenameStep> plan;
  std::set<std::string> taken;
  int64_t n = 0;
  for (const Sample& s : samples) {
    RenameStep step;
    step.move.id = s.id;
    step.move.from = step.move.to = s.file.path;
    const std::string file = s.name();
    const size_t dot = file.rfind('.');
    const std::string ending = dot == std::string::npos || dot == 0 ? "" : file.substr(dot);
    const std::string stem_name = file.substr(0, file.size() - ending.size());
    std::string name = build(pieces, s, stem_name, ++n);
    cut(name, kNameMax - ending.size());
    const std::string folder = s.folder() == "/" ? "/" : s.folder() + "/";
    if (s.missing) {
      step.problem = "the file is missing";
    } else if (name.empty() || name == "." || name == "..") {
      step.problem = "the pattern gives no name for it";
    } else {
      step.move.to = folder + name + ending;
      for (int copy = 2; step.move.to != step.move.from && copy < 10000 &&
                         (taken.contains(step.move.to) || exists(step.move.to));
           ++copy) {
        const std::string tail = " (" + std::to_string(copy) + ")";
        std::string shorter = name;
        cut(shorter, kNameMax - ending.size() - tail.size());
        step.move.to = folder + shorter + tail + ending;
      }
      taken.insert(step.move.to);
    }
    plan.push_back(std::move(step));
  }
  return plan;
}

Result<RenameReport> rename_files(Catalogue& catalogue, const std::vector<RenameStep>& plan,
                                  std::string_view pattern) {
  std::vector<Move> moves;
  for (const RenameStep& s : plan) {
    if (s.problem.empty() && s.move.from != s.move.to) moves.push_back(s.move);
  }
  return carry_out(catalogue, moves, "rename to " + std::string(pattern));
}

Result<RenameReport> undo_rename(Catalogue& catalogue, int64_t journal_id) {
  SM_TRY(const auto moves, catalogue.moves(journal_id));
  std::vector<Move> back;
  for (const Move& m : moves) {
    SM_TRY(const auto sample, catalogue.get(m.id));
    // Renamed again, moved or gone since: left alone.
    if (sample && sample->file.path == m.to) back.push_back({m.id, m.to, m.from});
  }
  SM_TRY(RenameReport report,
         carry_out(catalogue, back, "take back change " + std::to_string(journal_id)));
  if (report.problems.empty()) SM_CHECK_OK(catalogue.mark_undone(journal_id));
  // Undoing is not itself undone by the next undo.
  if (report.journal_id != 0) SM_CHECK_OK(catalogue.mark_undone(report.journal_id));
  return report;
}

}  // namespace samplemind::library
