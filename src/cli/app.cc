#include "cli/app.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/config.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "server/engine.h"
#include "server/service.h"

namespace samplemind::cli {

namespace {

struct CommandEntry {
  const char* name;
  const char* group;
  const char* summary;
  const char* examples;
  Run (*add)(Arguments, Context&);
};

constexpr const char* kService = "The service";
constexpr const char* kSounds = "Your sounds";
constexpr const char* kModels = "Models";
constexpr const char* kMore = "Under the hood";
constexpr const char* kCheckout = "In the source checkout";

const CommandEntry kCommands[] = {
    {"up", kService, "Start SampleMind in the background and show where it is",
     "  samplemind up\n  samplemind up --port 9000\n  samplemind up --foreground     (containers)",
     add_up},
    {"down", kService, "Stop it; running requests may finish",
     "  samplemind down\n  samplemind down --timeout 2s", add_down},
    {"ps", kService, "What runs: pid, port, uptime, memory, health",
     "  samplemind ps\n  samplemind ps --json", add_ps},
    {"logs", kService, "What the services wrote",
     "  samplemind logs -f\n  samplemind logs ollama -n 200", add_logs},
    {"scan", kSounds, "Measure every sound below a folder and remember it",
     "  samplemind scan ~/Samples\n  samplemind scan kick.wav loops/\n"
     "  samplemind scan --status      (also --pause, --resume, --cancel)\n"
     "  samplemind scan /mnt/sounds --queue redis://studio:6379",
     add_scan},
    {"analyze", kSounds, "Measure files now, without the library",
     "  samplemind analyze loop.wav\n  samplemind analyze --json *.flac | jq .tempo_bpm",
     add_analyze},
    {"plot", kSounds, "Draw a sound: waveform, spectrograms, chroma, tempo, beats",
     "  samplemind plot loop.wav\n  samplemind plot pad.flac --what waveform,log -o pad.svg",
     add_plot},
    {"search", kSounds, "Find sounds by words and by what was measured",
     "  samplemind search deep kick --length '<1s'\n"
     "  samplemind search --bpm 120-128 --key Am --loop\n"
     "  samplemind search 'dusty kick -loop ~key:8A is:favourite sort:-added'",
     add_search},
    {"similar", kSounds, "Sounds like this one: a file, a stretch of one, or an id of the library",
     "  samplemind similar kick.wav --kind kick\n"
     "  samplemind similar 17 --aspect timbre=1,pitch=0.2\n"
     "  samplemind similar song.flac --from 1.2 --to 2.0 --filter 'is:oneshot len:<1s'",
     add_similar},
    {"map", kSounds,
     "What the library is made of: sounds laid out so that those alike are neighbours",
     "  samplemind map\n  samplemind map 'is:loop bpm:120-128' --svg loops.svg\n"
     "  samplemind map --refit      (lay it out anew: every place changes)",
     add_map},
    {"duplicates", kSounds, "Sounds that are there more than once",
     "  samplemind duplicates\n  samplemind duplicates --near", add_duplicates},
    {"edit", kSounds, "Say something about sounds: favourite, rating, tags, the right tempo",
     "  samplemind edit 'kick bpm:120' --tag dusty --rating 4\n"
     "  samplemind edit --id 17 --tempo x2 --key Am    (locked; --tempo auto takes it back)",
     add_edit},
    {"tags", kSounds, "All tags with their counts", "  samplemind tags", add_tags},
    {"collection", kSounds, "Collections of sounds, by hand or by a saved query",
     "  samplemind collection make Friday\n  samplemind collection add Friday 'kick tag:dusty'\n"
     "  samplemind collection make 'Fast loops' --query 'is:loop bpm:>160'\n"
     "  samplemind search in:Friday",
     add_collection},
    {"rename", kSounds, "Rename files by what is known of them; shows the plan unless --yes",
     "  samplemind rename '{kind}_{bpm}_{key}_{n:3}' in:Friday\n"
     "  samplemind rename '{name}_{bpm}' 'is:loop' --yes      (samplemind undo takes it back)",
     add_rename},
    {"write-tags", kSounds,
     "Write tempo, key, kind and tags into the files; shows the plan unless --yes",
     "  samplemind write-tags 'is:loop folder:Friday'\n"
     "  samplemind write-tags 'is:loop folder:Friday' --yes   (samplemind undo takes it back)",
     add_write_tags},
    {"watch", kSounds, "Folders that are scanned again whenever something in them changes",
     "  samplemind watch\n  samplemind watch add ~/Samples\n  samplemind watch remove ~/Samples",
     add_watch},
    {"worker", kSounds, "Measure for scans on other machines: jobs from a Redis, facts back to it",
     "  samplemind worker --queue redis://studio:6379\n"
     "  samplemind worker --queue redis://studio:6379 --map /studio/sounds=/mnt/sounds\n"
     "  samplemind worker --queue redis://studio:6379 --poison",
     add_worker},
    {"undo", kSounds, "Take the last change of the library back",
     "  samplemind undo\n  samplemind undo --list\n  samplemind undo 12", add_undo},
    {"library", kSounds,
     "Care for the library: check, backup, restore, purge, relocate, export, import",
     "  samplemind library check --repair\n  samplemind library backup ~/library-backup.db\n"
     "  samplemind library relocate /mnt/old /mnt/new\n  samplemind library purge\n"
     "  samplemind library export rekordbox.xml --format rekordbox --collection Friday\n"
     "  samplemind library export my-tags.json --format marks\n"
     "  samplemind library export ~/Friday --format copies --collection Friday",
     add_library},
    {"ask", kSounds, "Ask a model about your sounds; it is told what was measured",
     "  samplemind ask \"Which pads go with a dark techno loop?\"\n"
     "  samplemind ask \"What would you layer under this?\" --file bass.wav",
     add_ask},
    {"models", kModels, "Models you can ask, with size, context and price",
     "  samplemind models\n  samplemind models --load llama3.2:1b", add_models},
    {"pull-models", kModels, "Fetch models for Ollama: the recommended ones, or those you name",
     "  samplemind pull-models\n  samplemind pull-models qwen2.5:0.5b", add_pull_models},
    {"cache", kModels, "Answers that are kept: see, clear, fill ahead of time, move",
     "  samplemind cache stats\n  samplemind cache ls --model gpt-4o-mini\n"
     "  samplemind cache clear --older-than 7d\n"
     "  samplemind cache warm prompts.txt --model openai/gpt-4o-mini --budget 0.50\n"
     "  samplemind cache export answers.jsonl",
     add_cache},
    {"keys", kModels, "Virtual keys: who may ask which models, at what cost",
     "  samplemind keys create ann --budget 10/month --models 'openai/*'\n"
     "  samplemind keys create band --rpm 60 --local-only\n  samplemind keys ls\n"
     "  samplemind keys rotate ann --grace 1h\n  samplemind keys revoke ann",
     add_keys},
    {"usage", kModels, "What models were asked, what it cost and what the cache saved",
     "  samplemind usage\n  samplemind usage --by key --days 7\n  samplemind usage --by day --json",
     add_usage},
    {"route", kModels, "Where a request would go, and why; nothing is asked",
     "  samplemind route explain request.json\n"
     "  echo '{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"Which "
     "genre?\"}]}' | "
     "samplemind route explain -\n  samplemind route test requests.jsonl",
     add_route},
    {"config", kMore, "Every setting, its value and where it comes from",
     "  samplemind config\n  samplemind config server.port", add_config},
    {"bench", kMore, "How fast this machine is: cached answers, analysis",
     "  samplemind bench --quick\n  samplemind bench ai", add_bench},
    {"eval", kMore, "How right the ear is on labelled sounds",
     "  samplemind eval labels.jsonl\n"
     "  samplemind eval labels.jsonl --by style --peers peers.json --json",
     add_eval},
    {"profile", kMore, "Where the running service's memory goes",
     "  samplemind profile\n  samplemind profile --json", add_profile},
    {"version", kMore, "The version", "  samplemind version", add_version},
    {"test", kCheckout, "Build what is stale and run the tests", "  ./samplemind test --fast",
     add_checkout_command},
    {"build", kCheckout, "Build a container image", "  ./samplemind build", add_checkout_command},
    {"rebuild", kCheckout, "Build a container image from scratch", "  ./samplemind rebuild",
     add_checkout_command},
};

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const CommandEntry& c : kCommands) names.emplace_back(c.name);
  return names;
}

// Options of the whole program that take a value of their own word.
bool takes_value(const std::string& word) {
  return word == "--config" || word == "--home" || word == "--store" || word == "--log-level" ||
         word == "--log-format";
}

// Names of the long options a command understands, "--json".
std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* o : app.get_options())
    for (const std::string& n : o->get_lnames()) names.push_back("--" + n);
  return names;
}

// What CLI11 would say less helpfully: an unknown command or flag, with the nearest known one.
std::optional<Error> check_words(const CLI::App& app, const std::vector<std::string>& words) {
  size_t at = 0;
  const std::vector<std::string> global = option_names(app);
  while (at < words.size() && words[at].starts_with('-')) at += takes_value(words[at]) ? 2 : 1;
  const CLI::App* command = nullptr;
  if (at < words.size()) {
    const std::vector<std::string> names = command_names();
    if (std::find(names.begin(), names.end(), words[at]) == names.end()) {
      const auto close = nearest(words[at], names);
      return Error(ErrorCode::kInvalidArgument, "there is no command '" + words[at] + "'",
                   close ? "did you mean 'samplemind " + *close + "'?"
                         : "'samplemind --help' lists the commands");
    }
    for (const CommandEntry& c : kCommands)
      if (words[at] == c.name && c.group == kCheckout) return std::nullopt;  // the launcher knows
    command = app.get_subcommand(words[at]);
  }
  std::vector<std::string> known = global;
  if (command != nullptr) std::ranges::copy(option_names(*command), std::back_inserter(known));
  for (const std::string& word : words) {
    if (word == "--") break;
    if (!word.starts_with("--")) continue;
    const std::string name = word.substr(0, word.find('='));
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const auto close = nearest(name, known);
    const std::string who = command != nullptr ? "samplemind " + command->get_name() : "samplemind";
    return Error(ErrorCode::kInvalidArgument, "'" + who + "' has no flag " + name,
                 close ? "did you mean " + *close + "?" : "'" + who + " --help' lists them");
  }
  return std::nullopt;
}

std::string overview(const Terminal& out) {
  std::string text = styled(out, Style::kBold, "SampleMind") +
                     " listens to your sounds, finds them again, and lets you ask about them.\n\n";
  const auto line = [&](const char* what, const char* why) {
    text += "  " + styled(out, Style::kCyan, what) +
            std::string(34 - std::string_view(what).size(), ' ') + why + "\n";
  };
  line("samplemind up", "start it; the first time with a demo pack");
  line("samplemind scan ~/Samples", "listen to a folder");
  line("samplemind search --bpm 120-128", "find what fits");
  line("samplemind ask \"Which kick?\"", "ask a model about it");
  line("samplemind down", "stop it");
  return text + "\nAll commands: samplemind --help     One of them: samplemind scan --help\n";
}

// Help that fits the width of the terminal, commands in their groups.
std::string full_help(const Terminal& out) {
  std::string text =
      "Usage: samplemind COMMAND [flags]\n\n"
      "SampleMind listens to your sounds, finds them again, and lets you ask about them.\n";
  const char* group = nullptr;
  for (const CommandEntry& c : kCommands) {
    if (c.group != group) text += "\n" + styled(out, Style::kBold, c.group) + "\n";
    group = c.group;
    text += "  " + styled(out, Style::kCyan, c.name) +
            std::string(14 - std::string_view(c.name).size(), ' ') +
            fit(c.summary, out.width() - 17, out.unicode) + "\n";
  }
  text += "\n" + styled(out, Style::kBold, "Flags of every command") +
          "\n"
          "  --home DIR        data and configuration there ($SAMPLEMIND_HOME)\n"
          "  --config FILE     another configuration file\n"
          "  --store ADDRESS   the library in a MongoDB: mongodb://HOST/DATABASE\n"
          "  --log-level L     debug, info, warn, error\n"
          "  --log-format F    auto, text, json\n"
          "  --help, --version\n"
          "\n'samplemind COMMAND --help' explains one command with examples.\n";
  return text;
}

std::string command_help(const Terminal& out, const CLI::App& command, const CommandEntry& entry) {
  std::string text = std::string(entry.summary) + ".\n\n" + styled(out, Style::kBold, "Usage") +
                     "\n  samplemind " + entry.name;
  std::string positionals, flags;
  int column = 0;
  const auto label = [](const CLI::Option* o) {
    std::string l;
    for (const std::string& s : o->get_snames()) l += (l.empty() ? "-" : ", -") + s;
    for (const std::string& s : o->get_lnames()) l += (l.empty() ? "--" : ", --") + s;
    if (o->get_items_expected_max() > 0 && o->get_type_size_max() > 0 &&
        !o->get_type_name().empty())
      l += " " + o->get_type_name();
    return l;
  };
  for (const CLI::Option* o : command.get_options()) {
    if (o->get_positional()) {
      std::string name = o->get_name(true);
      if (o->get_expected_max() > 1) name += "...";
      text += o->get_required() ? " " + name : " [" + name + "]";
    } else {
      column = std::max(column, display_width(label(o)));
    }
  }
  text += " [flags]\n\n";
  column = std::min(column, 28) + 4;
  const auto describe = [&](const std::string& left, const std::string& right) {
    // The description is wrapped beside its flag.
    std::string lines = "  " + left;
    int used = display_width(lines);
    if (used + 2 > column + 2) {
      lines += "\n";
      used = 0;
    }
    lines += std::string(static_cast<size_t>(column + 2 - used), ' ');
    used = column + 2;
    size_t at = 0;
    bool first = true;
    while (at < right.size()) {
      size_t end = right.find(' ', at);
      if (end == std::string::npos) end = right.size();
      const std::string word = right.substr(at, end - at);
      if (!first && used + 1 + display_width(word) > out.width() - 1) {
        lines += "\n" + std::string(static_cast<size_t>(column + 2), ' ');
        used = column + 2;
        first = true;
      }
      lines += (first ? "" : " ") + word;
      used += display_width(word) + (first ? 0 : 1);
      first = false;
      at = end + 1;
    }
    return lines + "\n";
  };
  for (const CLI::Option* o : command.get_options()) {
    if (o->get_positional())
      positionals += describe(o->get_name(true), o->get_description());
    else
      flags += describe(label(o), o->get_description());
  }
  if (!positionals.empty())
    text += styled(out, Style::kBold, "Arguments") + "\n" + positionals + "\n";
  return text + styled(out, Style::kBold, "Flags") + "\n" + flags + "\n" +
         styled(out, Style::kBold, "Examples") + "\n" + entry.examples + "\n";
}

// --store holds for this command and what it starts. A service that runs has its store already.
std::optional<Error> use_store(const Context& context) {
  if (context.store_flag.empty()) return std::nullopt;
  if (server::read_run_file(context.home()))
    return Error(ErrorCode::kAlreadyExists,
                 "SampleMind is running, with the library that it was started with",
                 "leave --store away, or: samplemind down, then samplemind up --store ADDRESS");
  ::setenv("SAMPLEMIND_LIBRARY_STORE", context.store_flag.c_str(), 1);
  return std::nullopt;
}

}  // namespace

int run_command_line(std::vector<std::string> arguments) {
  Context context;
  if (arguments.empty()) {
    print(overview(context.out));
    return 0;
  }
  CLI::App app("SampleMind", "samplemind");
  app.set_help_flag();  // ours, below
  bool help = false;
  bool version = false;
  app.add_flag("-h,--help", help, "Show this");
  app.add_flag("--version", version, "Show the version");
  app.add_option("--home", context.home_flag, "Data and configuration there");
  app.add_option("--config", context.config_file, "Another configuration file");
  app.add_option("--store", context.store_flag,
                 "The library in a MongoDB: mongodb://HOST/DATABASE");
  app.add_option("--log-level", context.log_level, "debug, info, warn or error");
  app.add_option("--log-format", context.log_format, "auto, text or json");
  app.require_subcommand(0, 1);
  app.fallthrough();
  std::vector<std::pair<CLI::App*, Run>> runs;
  for (const CommandEntry& c : kCommands) {
    CLI::App* const command = app.add_subcommand(c.name, c.summary);
    command->set_help_flag();
    runs.emplace_back(command, c.add(Arguments(*command), context));
  }
  // Help wins over whatever else is wrong with the line.
  const auto wants_help = [&] {
    for (const std::string& word : arguments) {
      if (word == "--") return false;
      if (word == "--help" || word == "-h") return true;
    }
    return arguments.front() == "help";
  };
  if (wants_help()) {
    for (const std::string& word : arguments) {
      for (size_t i = 0; i < std::size(kCommands); ++i) {
        if (word != kCommands[i].name) continue;
        print(command_help(context.out, *runs[i].first, kCommands[i]));
        return 0;
      }
    }
    print(full_help(context.out));
    return 0;
  }
  if (const auto wrong = check_words(app, arguments)) {
    print_error(context.err, *wrong);
    return exit_code(wrong->code());
  }
  // The launcher's commands and their flags are not ours to parse.
  for (size_t i = 0; i < std::size(kCommands); ++i) {
    if (kCommands[i].group != kCheckout || arguments.front() != kCommands[i].name) continue;
    const Error error = runs[i].second().error();
    print_error(context.err, error);
    return exit_code(error.code());
  }
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& e) {
    std::string who = "samplemind";
    for (const std::string& word : arguments)
      if (const auto names = command_names();
          std::find(names.begin(), names.end(), word) != names.end()) {
        who += " " + word;
        break;
      }
    std::string what = e.what();
    if (what.empty()) what = e.get_name();
    while (!what.empty() && (what.back() == '\n' || what.back() == '.')) what.pop_back();
    print_error(context.err, Error(ErrorCode::kInvalidArgument, what,
                                   "'" + who + " --help' shows how it is used"));
    return exit_code(ErrorCode::kInvalidArgument);
  }
  if (version) {
    print("samplemind " + std::string(server::version()) + "\n");
    return 0;
  }
  if (!context.home_flag.empty()) {
    // Also for what we start.
    ::setenv("SAMPLEMIND_HOME", context.home().c_str(), 1);
  }
  if (const auto wrong = use_store(context)) {
    print_error(context.err, *wrong);
    return exit_code(wrong->code());
  }
  for (const auto& [command, run] : runs) {
    if (!command->parsed()) continue;
    const Result<int> result = run();
    if (result.ok()) return *result;
    print_error(context.err, result.error());
    return exit_code(result.error().code());
  }
  print_error(context.err, Error(ErrorCode::kInvalidArgument, "no command given",
                                 "'samplemind --help' lists the commands"));
  return exit_code(ErrorCode::kInvalidArgument);
}

}  // namespace samplemind::cli
