// samplemind analyze: the ear alone, no library, no service.
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "audio/analysis_json.h"
#include "audio/analyzer.h"
#include "base/files.h"
#include "base/json.h"
#include "base/thread_pool.h"
#include "cli/commands.h"
#include "cli/samples_table.h"

namespace samplemind::cli {

namespace {

struct AnalyzeFlags {
  std::vector<std::string> files;
  std::string level = "standard";
  std::vector<std::string> only;
  bool json = false;
};

// What tags and chunks say, on one line: "128 bpm, Am, 8 beats, 2 loops (ID3v2.3, smpl)".
std::string written_in(const JsonValue& m) {
  std::string out;
  const auto add = [&](const std::string& fact) { out += (out.empty() ? "" : ", ") + fact; };
  if (m["title"].is_string()) add("\"" + m["title"].string_or("") + "\"");
  if (m["artist"].is_string()) add("by " + m["artist"].string_or(""));
  if (const auto bpm = m["tempo_bpm"].number()) {
    char text[32];
    std::snprintf(text, sizeof text, "%g bpm", *bpm);
    add(text);
  }
  if (m["key_text"].is_string()) add(m["key_text"].string_or(""));
  if (const auto note = m["root_note_midi"].integer()) add("root note " + std::to_string(*note));
  if (const auto one_shot = m["one_shot"].boolean()) add(*one_shot ? "one-shot" : "loop");
  if (const auto beats = m["beats"].integer()) add(std::to_string(*beats) + " beats");
  const auto count = [&](const char* field, const char* one) {
    const size_t n = m[field].size();
    if (n > 0) add(std::to_string(n) + " " + one + (n > 1 ? "s" : ""));
  };
  count("loops", "loop point");
  count("cues", "cue point");
  std::string sources;
  for (const JsonValue& s : m["sources"].items())
    sources += (sources.empty() ? "" : ", ") + s.string_or("");
  return out.empty() ? sources : out + " (" + sources + ")";
}

using Outcome = Result<audio::Analysis>;

Outcome measure(const std::string& file, audio::AnalysisOptions options) {
  std::error_code ignored;
  if (fs::is_directory(file, ignored))
    return Error(ErrorCode::kInvalidArgument, file + " is a folder",
                 "samplemind scan " + file + " measures all sounds in it");
  options.cancel = &InterruptGuard::flag();
  return audio::Analyzer().analyze(file, options);
}

Result<int> run_analyze(const Context& context, const AnalyzeFlags& flags) {
  audio::AnalysisOptions options;
  SM_TRY(options.level, audio::level_from(flags.level));
  for (const std::string& text : flags.only) {
    SM_TRY(const audio::Part part, audio::part_from(text));
    options.only = options.only.with({part});
  }
  const InterruptGuard interrupts;
  const size_t count = flags.files.size();
  std::vector<std::unique_ptr<Outcome>> outcomes(count);
  std::mutex mutex;
  std::condition_variable changed;
  size_t done = 0;
  const size_t threads = std::min<size_t>(count, std::max(1u, std::thread::hardware_concurrency()));
  ThreadPool pool("analyze", threads, count);
  for (size_t i = 0; i < count; ++i) {
    const bool queued = pool.try_post([&, i] {
      auto outcome = std::make_unique<Outcome>(measure(flags.files[i], options));
      const std::lock_guard lock(mutex);
      outcomes[i] = std::move(outcome);
      ++done;
      changed.notify_one();
    });
    SM_ASSERT(queued);
  }
  bool failed = false;
  std::vector<JsonValue> rows;
  Progress progress(context.err);
  for (size_t i = 0; i < count; ++i) {
    std::unique_ptr<Outcome> outcome;
    {
      std::unique_lock lock(mutex);
      while (!outcomes[i]) {
        changed.wait_for(lock, std::chrono::milliseconds(100));
        if (!outcomes[i])
          progress.show(
              "Listening", count > 1 ? static_cast<double>(done) / static_cast<double>(count) : -1,
              count > 1 ? std::to_string(done) + "/" + std::to_string(count) : "", flags.files[i]);
      }
      outcome = std::move(outcomes[i]);
    }
    const std::string& file = flags.files[i];
    if (!outcome->ok()) {
      progress.clear();
      if (outcome->error().code() == ErrorCode::kCancelled) {
        pool.clear();
        return outcome->error();
      }
      failed = true;
      print_error(context.err, outcome->error());
      if (flags.json) {
        std::string line;
        JsonWriter(line)
            .begin_object()
            .field("path", file)
            .field("error", outcome->error().message())
            .end_object();
        print(line + "\n");
      }
      continue;
    }
    std::string line;
    JsonWriter w(line);
    audio::write_json(w, file, **outcome);
    if (flags.json) {
      progress.clear();
      print(line + "\n");
    } else {
      for (const std::string& warning : (*outcome)->warnings) {
        progress.clear();
        print_note(context.err, file + ": " + warning);
      }
      SM_TRY(JsonValue row, JsonValue::parse(line));
      rows.push_back(std::move(row));
    }
  }
  progress.clear();
  if (rows.size() == 1) {
    // One sound has the whole screen.
    const JsonValue& s = rows[0];
    const auto line = [&](const char* name, const std::string& value) {
      print("  " + styled(context.out, Style::kDim, name) +
            std::string(16 - std::string_view(name).size(), ' ') +
            (value.empty() ? styled(context.out, Style::kDim, "unknown") : printable(value)) +
            "\n");
    };
    const auto number = [&](const char* field, const char* format) -> std::string {
      const auto v = s[field].number();
      if (!v) return {};
      char buffer[64];
      std::snprintf(buffer, sizeof buffer, format, *v);
      return buffer;
    };
    const auto confidence = [&](std::string value, const char* field) {
      const auto c = s[field].number();
      if (value.empty() || !c) return value;
      char buffer[32];
      std::snprintf(buffer, sizeof buffer, "  (%.0f%% sure)", *c * 100);
      return value + buffer;
    };
    print(styled(context.out, Style::kBold, printable(s["path"].string_or("?"))) + "\n");
    line("length", human_length(s["duration_s"].number_or(0)));
    std::string format = s["format"].string_or("");
    const int64_t channels = s["channels"].integer_or(0);
    format += (format.empty() ? "" : ", ") + number("sample_rate_hz", "%.0f Hz") + ", " +
              (channels == 1   ? "mono"
               : channels == 2 ? "stereo"
                               : std::to_string(channels) + " channels");
    if (s["bit_depth"].is_number()) format += ", " + number("bit_depth", "%.0f bit");
    line("format", format);
    line("content",
         s["content"].string_or("") +
             (s["kind"].is_string() ? confidence(", " + s["kind"].string_or(""), "kind_confidence")
                                    : ""));
    line("tempo", confidence(number("tempo_bpm", "%.2f bpm"), "tempo_confidence"));
    std::string others;
    for (const JsonValue& t : s["tempo_alternatives"].items()) {
      if (t["probability"].number_or(0) < 0.02) continue;
      char text[48];
      std::snprintf(text, sizeof text, "%s%.2f (%.0f%%)", others.empty() ? "" : ", ",
                    t["bpm"].number_or(0), 100 * t["probability"].number_or(0));
      others += text;
    }
    if (!others.empty()) line("or", others + " bpm");
    line("beats", s["beats_s"].size() > 0 ? std::to_string(s["beats_s"].size()) : "");
    std::string key = s["key"].string_or("");
    if (s["key_camelot"].is_string())
      key += ", " + s["key_camelot"].string_or("") + ", " + s["key_open"].string_or("");
    line("key", confidence(key, "key_confidence"));
    line("tuning", number("tuning_cents", "%+.0f cents"));
    line("loudness", number("loudness_lufs", "%.1f LUFS"));
    line("loudness range", number("loudness_range_lu", "%.1f LU"));
    line("true peak", number("true_peak_dbtp", "%.1f dBTP"));
    if (s["metadata"].is_object()) line("the file says", written_in(s["metadata"]));
  } else if (!rows.empty()) {
    print(samples_table(rows, context.out, false));
  }
  return failed ? 1 : 0;
}

}  // namespace

Run add_analyze(Arguments command, Context& context) {
  auto flags = std::make_shared<AnalyzeFlags>();
  command.add_option("FILE", flags->files, "Sound files; several are measured in parallel")
      .required();
  command
      .add_option("--level", flags->level,
                  "How much to measure: basic, standard, detailed or professional")
      .capture_default();
  command
      .add_option("--only", flags->only,
                  "Only these parts instead of a level's, such as tempo,key or loudness")
      .comma_separated();
  command.add_flag(
      "--json", flags->json,
      "One object a line: path, duration_s, tempo_bpm, beats_s, key, loudness_lufs, ... "
      "What is unknown is null; a file that could not be read has path and error");
  return [flags, &context] { return run_analyze(context, *flags); };
}

}  // namespace samplemind::cli
