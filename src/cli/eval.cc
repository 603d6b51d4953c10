// samplemind eval: how right the ear is on labelled sounds.
#include <algorithm>
#include <array>
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
#include "cli/eval_score.h"

namespace samplemind::cli {

namespace {

constexpr size_t kLabelsBytesMax = 64u << 20;
constexpr size_t kLabelsMax = 100'000;
constexpr const char* kTotal = "total (no degraded)";

struct EvalFlags {
  std::string labels;
  std::string by = "subset";
  std::string peers;
  bool json = false;
};

// One label a line; the message names the line that is wrong.
Result<std::vector<JsonValue>> read_labels(const std::string& path) {
  SM_TRY(const std::string text, read_file(path, kLabelsBytesMax));
  std::vector<JsonValue> labels;
  size_t line = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view row = std::string_view(text).substr(at, end - at);
    at = end + 1;
    ++line;
    if (row.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto value = JsonValue::parse(row);
    const std::string where = path + ", line " + std::to_string(line) + ": ";
    if (!value.ok()) return Error(ErrorCode::kInvalidArgument, where + value.error().message());
    if (!(*value)["file"].is_string())
      return Error(ErrorCode::kInvalidArgument, where + "a label needs \"file\"",
                   "one JSON object a line, such as {\"file\": \"a.wav\", \"tempo\": 120}");
    if (labels.size() == kLabelsMax)
      return Error(ErrorCode::kTooLarge,
                   path + ": more than " + human_count(kLabelsMax) + " labels");
    labels.push_back(std::move(*value));
  }
  if (labels.empty())
    return Error(ErrorCode::kInvalidArgument, path + ": holds no label",
                 "one JSON object a line, such as {\"file\": \"a.wav\", \"tempo\": 120}");
  return labels;
}

struct Answers {
  std::vector<JsonValue> lines;  // null where there is none
  size_t absent = 0, failed = 0;
  std::vector<Error> errors;
};

Result<Answers> listen(const std::vector<JsonValue>& labels, const fs::path& folder,
                       Context& context) {
  audio::AnalysisOptions options;
  options.level = audio::Level::kStandard;
  options.cancel = &InterruptGuard::flag();
  const InterruptGuard interrupts;
  Answers answers;
  answers.lines.resize(labels.size());
  std::mutex mutex;
  std::condition_variable changed;
  size_t done = 0;
  ThreadPool pool("eval", std::max(1u, std::thread::hardware_concurrency()), labels.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    const bool queued = pool.try_post([&, i] {
      const fs::path path = folder / labels[i]["file"].string_or("");
      std::error_code ignored;
      const bool there = fs::exists(path, ignored);
      std::optional<Result<audio::Analysis>> analysis;
      if (there) analysis.emplace(audio::Analyzer().analyze(path, options));
      std::string line;
      if (analysis && analysis->ok()) {
        JsonWriter w(line);
        audio::write_json(w, path.string(), **analysis);
      }
      const std::lock_guard lock(mutex);
      if (!there) ++answers.absent;
      if (analysis && !analysis->ok()) {
        ++answers.failed;
        answers.errors.push_back(analysis->error());
      }
      if (!line.empty()) {
        if (auto value = JsonValue::parse(line); value.ok()) answers.lines[i] = std::move(*value);
      }
      ++done;
      changed.notify_one();
    });
    SM_ASSERT(queued);
  }
  Progress progress(context.err);
  {
    std::unique_lock lock(mutex);
    while (done < labels.size()) {
      changed.wait_for(lock, std::chrono::milliseconds(100));
      progress.show("Listening", static_cast<double>(done) / static_cast<double>(labels.size()),
                    std::to_string(done) + "/" + std::to_string(labels.size()), "");
    }
  }
  progress.clear();
  for (const Error& e : answers.errors) {
    if (e.code() == ErrorCode::kCancelled) return e;
    print_error(context.err, e);
  }
  return answers;
}

constexpr std::array<const char*, 26> kOrder{"acc1",
                                             "acc1_1pct",
                                             "acc2",
                                             "beatF",
                                             "CMLt",
                                             "AMLt",
                                             "dbF",
                                             "tsAcc",
                                             "onsetF",
                                             "keyAcc",
                                             "mirex",
                                             "modeAcc",
                                             "kindAcc",
                                             "kindCoarse",
                                             "kindMacro",
                                             "contentAcc",
                                             "noteAcc",
                                             "pcAcc",
                                             "ebu_lufs",
                                             "ebu_lra",
                                             "ebu_true_peak",
                                             "lufsAbsErr_median",
                                             "lufsAbsErr_max",
                                             "lraAbsErr_median",
                                             "true_peakAbsErr_median",
                                             "true_peakAbsErr_max"};

// Other programs' figures on the same labels, per cent: {"librosa": {"acc1": 56.0, ...}, ...}.
Result<JsonValue> read_peers(const std::string& path) {
  if (path.empty()) return JsonValue();
  SM_TRY(const std::string text, read_file(path, kLabelsBytesMax));
  auto peers = JsonValue::parse(text);
  if (!peers.ok() || !peers->is_object())
    return Error(ErrorCode::kInvalidArgument,
                 path + ": " + (peers.ok() ? "not an object" : peers.error().message()),
                 R"(per cent by program and metric: {"librosa": {"acc1": 56.0}})");
  return peers;
}

struct Group {
  std::string name;
  std::vector<ScoredSound> sounds;
};

// Groups by the label's field `by`, then all that is not a degraded copy of another sound.
std::vector<Group> group(const std::vector<JsonValue>& labels, const Answers& answers,
                         const std::string& by) {
  std::map<std::string, std::vector<ScoredSound>> groups;
  std::vector<ScoredSound> total;
  for (size_t i = 0; i < labels.size(); ++i) {
    const ScoredSound s{&labels[i], answers.lines[i].is_null() ? nullptr : &answers.lines[i]};
    groups[labels[i][by].string_or("-")].push_back(s);
    if (labels[i]["subset"].string_or("") != "degraded") total.push_back(s);
  }
  std::vector<Group> out;
  for (auto& [name, sounds] : groups) out.push_back({name, std::move(sounds)});
  if (!total.empty()) out.push_back({kTotal, std::move(total)});
  return out;
}

// One line a metric: its figure, the interval, how many sounds, and in the last group the peers'.
void print_group(const Context& context, const std::string& name, size_t heard, size_t count,
                 const std::map<std::string, Metric>& metrics, const JsonValue& peers) {
  print(styled(context.out, Style::kBold, printable(name)) + "  " + std::to_string(heard) + " of " +
        std::to_string(count) + " sounds\n");
  for (const char* metric : kOrder) {
    const auto m = metrics.find(metric);
    if (m == metrics.end()) continue;
    char text[128];
    if (std::string_view(metric).find("AbsErr") != std::string_view::npos) {
      std::snprintf(text, sizeof text, "  %-24s %8.3f", metric, m->second.value);
    } else if (m->second.low) {
      std::snprintf(text, sizeof text, "  %-24s %8.1f %% [%.1f, %.1f]", metric,
                    100 * m->second.value, 100 * *m->second.low, 100 * *m->second.high);
    } else {
      std::snprintf(text, sizeof text, "  %-24s %8.1f %%", metric, 100 * m->second.value);
    }
    std::string line = text;
    line += " of " + std::to_string(m->second.count);
    for (const auto& [peer, figures] : peers.members()) {
      const auto theirs = figures[metric].number();
      if (!theirs) continue;
      std::snprintf(text, sizeof text, " %.1f", *theirs);
      line += "   " + printable(peer) + text;
    }
    print(line + "\n");
  }
}

Result<int> run_eval(Context& context, const EvalFlags& flags) {
  SM_TRY(const std::vector<JsonValue> labels, read_labels(flags.labels));
  SM_TRY(const JsonValue peers, read_peers(flags.peers));
  SM_TRY(const Answers answers, listen(labels, fs::path(flags.labels).parent_path(), context));
  std::string json;
  JsonWriter w(json);
  w.begin_object().field("labels", flags.labels).field("sounds", labels.size());
  w.field("absent", answers.absent).field("failed", answers.failed).key("groups").begin_object();
  for (const auto& [name, sounds] : group(labels, answers, flags.by)) {
    const auto metrics = score(sounds);
    const auto heard = static_cast<size_t>(std::count_if(
        sounds.begin(), sounds.end(), [](const ScoredSound& s) { return s.answer != nullptr; }));
    w.key(name).begin_object().field("sounds", sounds.size()).field("heard", heard);
    for (const auto& [metric, m] : metrics) {
      w.key(metric).begin_object().field("value", m.value).field("count", m.count);
      w.field("low", m.low).field("high", m.high);
      if (name == kTotal && peers.is_object()) {
        w.key("peers").begin_object();
        for (const auto& [peer, figures] : peers.members()) {
          if (const auto theirs = figures[metric].number()) w.field(peer, *theirs / 100);
        }
        w.end_object();
      }
      w.end_object();
    }
    w.end_object();
    if (!flags.json)
      print_group(context, name, heard, sounds.size(), metrics,
                  name == kTotal ? peers : JsonValue());
  }
  w.end_object().end_object();
  if (flags.json) print(json + "\n");
  if (answers.absent > 0)
    print_note(context.err, human_count(static_cast<int64_t>(answers.absent)) +
                                " labelled files are not there; they count as wrong");
  return answers.failed > 0 ? 1 : 0;
}

}  // namespace

Run add_eval(Arguments command, Context& context) {
  auto flags = std::make_shared<EvalFlags>();
  command
      .add_option("LABELS", flags->labels,
                  "Labels, one JSON object a line: file (relative to the labels), tempo, beats, "
                  "downbeats, onsets, key, time_signature, content, kind, note, lufs ...")
      .required();
  command.add_option("--by", flags->by, "Group the sounds by this field of their labels")
      .capture_default();
  command.add_option("--peers", flags->peers,
                     "A JSON file of other programs' figures on these labels, shown beside ours");
  command.add_flag("--json", flags->json,
                   "One object: groups, each with its metrics (value, count, low, high)");
  return [flags, &context] { return run_eval(context, *flags); };
}

}  // namespace samplemind::cli
