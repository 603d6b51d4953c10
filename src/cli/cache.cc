// samplemind cache: what is cached, tidying it up, filling it, moving it.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>

#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "net/http.h"

namespace samplemind::cli {

namespace {

constexpr size_t kPieceBytes = 4u << 20;  // of a list or an export, sent at a time
constexpr const char* kActions = "stats, ls, show, clear, warm, export, import";

struct CacheFlags {
  std::string action;
  std::string what;  // KEY or FILE
  std::string key, model, provider, tenant, older_than;
  bool all = false;
  int limit = 20;
  int concurrency = 4;
  double budget_usd = -1;
  bool json = false;
};

std::string dollars(double microusd) {
  char text[32];
  std::snprintf(text, sizeof text, std::abs(microusd) < 100000 ? "$%.4f" : "$%.2f", microusd / 1e6);
  return text;
}

std::string counted(int64_t n, const char* one, const char* many) {
  return human_count(n) + " " + (n == 1 ? one : many);
}

Result<int> run_stats(const Context& context, const CacheFlags& flags) {
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  SM_TRY(const JsonValue s, api->get("/api/v1/cache/stats"));
  if (flags.json) {
    print(s.dump() + "\n");
    return 0;
  }
  const auto n = [&s](std::string_view name) { return s[name].integer_or(0); };
  std::string text;
  const auto row = [&](const char* name, const std::string& value) {
    text += "  " + std::string(name) + std::string(14 - std::string_view(name).size(), ' ') +
            value + "\n";
  };
  if (api->address().empty()) {
    text += "SampleMind is not running: what is on disk\n";
  } else {
    const auto ratio = s["hit_ratio"].number();
    char percent[32] = "nothing asked yet";
    if (ratio) std::snprintf(percent, sizeof percent, "%.1f %%", *ratio * 100);
    row("answered", std::string(percent) + (ratio ? " without a call" : ""));
    row("hits", human_count(n("hits_memory")) + " memory, " + human_count(n("hits_disk")) +
                    " disk, " + human_count(n("hits_redis")) + " redis, " +
                    human_count(n("coalesced")) + " joined one on its way");
    row("calls", human_count(n("misses")));
    row("saved", dollars(static_cast<double>(n("saved_microusd"))));
    row("memory", counted(n("memory_entries"), "answer, ", "answers, ") +
                      human_bytes(static_cast<double>(n("memory_bytes"))) + " of " +
                      human_bytes(static_cast<double>(n("memory_bytes_max"))));
  }
  row("disk", n("disk_bytes_max") == 0
                  ? std::string("off")
                  : counted(n("disk_entries"), "answer, ", "answers, ") +
                        human_bytes(static_cast<double>(n("disk_bytes"))) + " of " +
                        human_bytes(static_cast<double>(n("disk_bytes_max"))));
  const std::string redis = s["redis"].string_or("");
  row("redis", redis.empty() ? "off" : redis);
  print(text);
  return 0;
}

// The filter's flags as members of a JSON object.
void write_filter(JsonWriter& w, const CacheFlags& f) {
  if (!f.key.empty()) w.field("key", f.key);
  if (!f.model.empty()) w.field("model", f.model);
  if (!f.provider.empty()) w.field("provider", f.provider);
  if (!f.tenant.empty()) w.field("tenant", f.tenant);
  if (!f.older_than.empty()) w.field("older_than", f.older_than);
}

Result<int> run_ls(const Context& context, const CacheFlags& flags) {
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  std::string query;
  for (const auto& [name, value] :
       {std::pair{"key", &flags.key}, std::pair{"model", &flags.model},
        std::pair{"provider", &flags.provider}, std::pair{"tenant", &flags.tenant},
        std::pair{"older_than", &flags.older_than}}) {
    if (!value->empty()) query += std::string("&") + name + "=" + net::percent_encode(*value);
  }
  Table table({{.header = "key"},
               {.header = "model", .shrink_to = 16},
               {.header = "age", .right = true},
               {.header = "tokens", .right = true, .optional = true},
               {.header = "cost", .right = true, .optional = true},
               {.header = "begins", .shrink_to = 12, .optional = true}});
  int left = flags.limit;
  std::string cursor;
  bool more = true;
  while (left > 0 && more) {
    SM_TRY(const JsonValue page,
           api->get("/api/v1/cache/entries?limit=" + std::to_string(std::min(left, 1000)) + query +
                    (cursor.empty() ? "" : "&cursor=" + cursor)));
    for (const JsonValue& e : page["entries"].items()) {
      --left;
      if (flags.json) {
        print(e.dump() + "\n");
        continue;
      }
      const auto cost = e["cost_microusd"].number();
      std::string begins = e["begins"].string_or("");
      std::replace(begins.begin(), begins.end(), '\n', ' ');
      table.add({e["key"].string_or("").substr(0, 12), e["model"].string_or("?"),
                 human_duration(e["age_s"].number_or(0)),
                 human_count(e["output_tokens"].integer_or(0)), cost ? dollars(*cost) : "?",
                 std::move(begins)});
    }
    cursor = page["cursor"].string_or("");
    more = !cursor.empty();
  }
  if (flags.json) return 0;
  if (table.empty()) {
    print("No cached answer fits.\n");
    return 0;
  }
  print(table.render(context.out, context.out.width()));
  if (more) print_note(context.err, "There is more: --limit " + std::to_string(flags.limit * 10));
  return 0;
}

Result<int> run_show(const Context& context, const CacheFlags& flags) {
  if (flags.what.empty())
    return Error(ErrorCode::kInvalidArgument, "which one?", "samplemind cache show KEY");
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  SM_TRY(const JsonValue e, api->get("/api/v1/cache/entries/" + net::percent_encode(flags.what)));
  if (flags.json) {
    print(e.dump() + "\n");
    return 0;
  }
  const auto cost = e["cost_microusd"].number();
  const double left_s =
      (e["expires_ms"].number_or(0) - static_cast<double>(system_clock().unix_ms())) / 1000;
  std::string text = "  key      " + e["key"].string_or("") + "\n  model    " +
                     printable(e["model"].string_or("?")) + "\n  tenant   " +
                     printable(e["tenant"].string_or("?")) + "\n  age      " +
                     human_duration(e["age_s"].number_or(0)) + ", good for " +
                     human_duration(std::max(0.0, left_s)) + " more\n  tokens   " +
                     human_count(e["input_tokens"].integer_or(0)) + " in, " +
                     human_count(e["output_tokens"].integer_or(0)) + " out\n  cost     " +
                     (cost ? dollars(*cost) : "unknown") + "\n\n";
  const JsonValue& message = e["answer"]["choices"][0]["message"];
  text += printable(message["content"].string_or(""), true) + "\n";
  for (const JsonValue& call : message["tool_calls"].items()) text += printable(call.dump()) + "\n";
  print(text);
  return 0;
}

Result<int> run_clear(const Context& context, const CacheFlags& flags) {
  std::string body;
  JsonWriter w(body);
  w.begin_object();
  CacheFlags filter = flags;
  if (filter.key.empty()) filter.key = flags.what;  // 'clear KEY' says enough
  write_filter(w, filter);
  if (flags.all) w.field("all", true);
  w.end_object();
  if (body == "{}") {
    return Error(ErrorCode::kInvalidArgument, "nothing says which answers are to go",
                 "give --key, --model, --provider, --tenant or --older-than, or --all");
  }
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kWrite));
  SM_TRY(const JsonValue done, api->post("/api/v1/cache/clear", std::move(body)));
  if (flags.json) {
    print(done.dump() + "\n");
    return 0;
  }
  std::string text = counted(done["cleared"].integer_or(0), "answer", "answers") + " cleared";
  if (const int64_t n = done["cleared_redis"].integer_or(0); n > 0)
    text += ", " + human_count(n) + " in Redis";
  print(text + "\n");
  if (const std::string problem = done["redis_problem"].string_or(""); !problem.empty())
    print_note(context.err, "Redis was not cleared: " + problem);
  return 0;
}

// A file's lines in pieces that end at a line's end; "-" is standard input.
class LineFile {
 public:
  static Result<std::unique_ptr<LineFile>> open(const std::string& name) {
    auto file = std::make_unique<LineFile>();
    if (name == "-") {
      file->in_ = &std::cin;
      return file;
    }
    std::error_code ignored;
    if (!fs::exists(name, ignored)) return Error(ErrorCode::kNotFound, name + " does not exist");
    if (fs::is_directory(name, ignored))
      return Error(ErrorCode::kInvalidArgument, name + " is a folder, not a file");
    file->file_.open(name, std::ios::binary);
    if (!file->file_) return Error(ErrorCode::kPermissionDenied, name + " cannot be read");
    file->in_ = &file->file_;
    return file;
  }
  // Empty at the end. `lines` is set to their number.
  std::string next(size_t& lines) {
    std::string piece = std::exchange(rest_, {});
    lines = piece.empty() ? 0 : 1;
    std::string line;
    while (std::getline(*in_, line)) {
      line += '\n';
      if (!piece.empty() && piece.size() + line.size() > kPieceBytes) {
        rest_ = std::move(line);
        return piece;
      }
      piece += line;
      ++lines;
    }
    return piece;
  }

 private:
  std::ifstream file_;
  std::istream* in_ = nullptr;
  std::string rest_;
};

struct WarmTotals {
  int64_t done = 0, cached = 0, answered = 0, not_kept = 0, failed = 0, unknown = 0;
  double cost_microusd = 0;
  bool over_budget = false;
};

void show_warm(const Context& context, const WarmTotals& t, double budget_usd) {
  std::string text = counted(t.done, "request", "requests") + ": " + human_count(t.answered) +
                     " asked now, " + human_count(t.cached) + " cached already";
  if (t.not_kept > 0)
    text += ", " + human_count(t.not_kept) + " asked but not of a kind that is kept";
  if (t.failed > 0)
    text += ", " + styled(context.out, Style::kYellow, human_count(t.failed) + " failed");
  text += "; cost " + dollars(t.cost_microusd);
  if (t.unknown > 0)
    text += " and that of " + counted(t.unknown, "answer", "answers") + " without a known price";
  print(text + "\n");
  if (!t.over_budget) return;
  const std::string why = t.unknown > 0 && budget_usd >= 0
                              ? "the model has no known price, and a budget was given"
                              : "the budget of " + dollars(budget_usd * 1e6) + " is used up";
  print_note(context.err, "Stopped: " + why + ". The same command with more goes on from here.");
}

Result<int> run_warm(const Context& context, const CacheFlags& flags) {
  if (flags.what.empty())
    return Error(ErrorCode::kInvalidArgument, "which list?", "samplemind cache warm FILE");
  SM_TRY(const auto file, LineFile::open(flags.what));
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kWrite));
  const InterruptGuard interrupts;
  Progress progress(context.err);
  WarmTotals totals;
  size_t lines_before = 0;
  for (size_t lines = 0; !totals.over_budget; lines_before += lines) {
    const std::string text = file->next(lines);
    if (text.empty()) break;
    std::string body;
    JsonWriter w(body);
    w.begin_object().field("text", text).field("concurrency", flags.concurrency);
    if (!flags.model.empty()) w.field("model", flags.model);
    if (!flags.tenant.empty()) w.field("tenant", flags.tenant);
    if (flags.budget_usd >= 0)
      w.field("budget_usd", std::max(0.0, flags.budget_usd - totals.cost_microusd / 1e6));
    w.end_object();
    const auto on_line = [&](const JsonValue& line) {
      const std::string type = line["type"].string_or("");
      if (type == "problem") {
        const int64_t number = line["line"].integer_or(0) + static_cast<int64_t>(lines_before);
        if (flags.json) {
          std::string out;
          JsonWriter p(out);
          p.begin_object().field("type", "problem").field("line", number);
          p.field("detail", line["detail"].string_or("")).end_object();
          print(out + "\n");
        } else {
          progress.clear();
          print_error_text("  line " + std::to_string(number) + ": " +
                           printable(line["detail"].string_or("")) + "\n");
        }
        return;
      }
      if (type == "report") {
        totals.done += line["done"].integer_or(0);
        totals.cached += line["cached"].integer_or(0);
        totals.answered += line["answered"].integer_or(0);
        totals.not_kept += line["not_kept"].integer_or(0);
        totals.failed += line["failed"].integer_or(0);
        totals.unknown += line["cost_unknown"].integer_or(0);
        totals.cost_microusd += line["cost_microusd"].number_or(0);
        totals.over_budget |= line["over_budget"].bool_or(false);
        return;
      }
      if (flags.json) {
        print(line.dump() + "\n");
        return;
      }
      const double done = line["done"].number_or(0), total = line["total"].number_or(1);
      progress.show("warm", done / std::max(1.0, total),
                    human_count(line["done"].integer_or(0)) + " of " +
                        human_count(line["total"].integer_or(0)) + "  " +
                        dollars(totals.cost_microusd + line["cost_microusd"].number_or(0)));
    };
    auto warmed =
        api->stream("/api/v1/cache/warm", std::move(body), on_line, &InterruptGuard::flag());
    progress.clear();
    if (!warmed.ok() && warmed.error().code() == ErrorCode::kCancelled)
      return Error(ErrorCode::kCancelled, "stopped; what was answered is kept",
                   "the same command goes on from here");
    SM_CHECK_OK(std::move(warmed));
  }
  if (flags.json) {
    std::string out;
    JsonWriter w(out);
    w.begin_object()
        .field("type", "report")
        .field("done", totals.done)
        .field("cached", totals.cached)
        .field("answered", totals.answered)
        .field("not_kept", totals.not_kept)
        .field("failed", totals.failed);
    w.field("cost_unknown", totals.unknown)
        .field("cost_microusd", static_cast<int64_t>(totals.cost_microusd))
        .field("over_budget", totals.over_budget)
        .end_object();
    print(out + "\n");
  } else {
    show_warm(context, totals, flags.budget_usd);
  }
  if (totals.over_budget) return exit_code(ErrorCode::kResourceExhausted);
  return totals.failed > 0 ? exit_code(ErrorCode::kUpstream) : 0;
}

Result<int> run_export(const Context& context, const CacheFlags& flags) {
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  const bool to_screen = flags.what.empty() || flags.what == "-";
  std::string body;
  JsonWriter w(body);
  w.begin_object();
  write_filter(w, flags);
  w.end_object();
  // Whole or not at all: written beside and moved into place.
  const fs::path file = flags.what;
  const fs::path beside = file.string() + ".part";
  std::ofstream out;
  if (!to_screen) {
    out.open(beside, std::ios::binary | std::ios::trunc);
    if (!out) return Error(ErrorCode::kPermissionDenied, beside.string() + " cannot be written");
  }
  int64_t count = 0;
  const InterruptGuard interrupts;
  auto exported = api->stream(
      "/api/v1/cache/export", std::move(body),
      [&](const JsonValue& line) {
        ++count;
        if (to_screen) {
          print(line.dump() + "\n");
        } else {
          out << line.dump() << '\n';
        }
      },
      &InterruptGuard::flag());
  std::error_code error;
  if (!to_screen) {
    out.close();
    if (!exported.ok() || !out) {
      fs::remove(beside, error);
      SM_CHECK_OK(std::move(exported));
      return Error(ErrorCode::kResourceExhausted, beside.string() + " could not be written whole",
                   "is the disk full?");
    }
    fs::permissions(beside, fs::perms::owner_read | fs::perms::owner_write, error);
    fs::rename(beside, file, error);
    if (error) return errno_error(error.value(), file.string());
  }
  SM_CHECK_OK(std::move(exported));
  if (!to_screen && flags.json) print("{\"exported\":" + std::to_string(count) + "}\n");
  if (!to_screen && !flags.json)
    print(counted(count, "answer", "answers") + " written to " + printable(file.string()) + "\n");
  return 0;
}

Result<int> run_import(const Context& context, const CacheFlags& flags) {
  if (flags.what.empty())
    return Error(ErrorCode::kInvalidArgument, "which file?", "samplemind cache import FILE");
  SM_TRY(const auto file, LineFile::open(flags.what));
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kWrite));
  int64_t imported = 0, expired = 0, refused = 0;
  size_t lines = 0;
  for (std::string text = file->next(lines); !text.empty(); text = file->next(lines)) {
    SM_TRY(const JsonValue done, api->post("/api/v1/cache/import", std::move(text)));
    imported += done["imported"].integer_or(0);
    expired += done["expired"].integer_or(0);
    refused += done["refused"].integer_or(0);
    for (const JsonValue& problem : done["problems"].items())
      print_error_text("  " + printable(problem.string_or("")) + "\n");
  }
  if (flags.json) {
    std::string out;
    JsonWriter w(out);
    w.begin_object().field("imported", imported).field("expired", expired);
    w.field("refused", refused).end_object();
    print(out + "\n");
  } else {
    std::string text = counted(imported, "answer", "answers") + " taken in";
    if (expired > 0) text += ", " + human_count(expired) + " had expired";
    if (refused > 0) text += ", " + human_count(refused) + " damaged or no answers";
    print(text + "\n");
  }
  return refused > 0 ? exit_code(ErrorCode::kDataLoss) : 0;
}

Result<int> run_cache(const Context& context, const CacheFlags& flags) {
  const std::vector<std::pair<std::string, Result<int> (*)(const Context&, const CacheFlags&)>>
      actions{{"stats", run_stats},  {"ls", run_ls},     {"show", run_show},
              {"clear", run_clear},  {"warm", run_warm}, {"export", run_export},
              {"import", run_import}};
  std::vector<std::string> names;
  for (const auto& [name, run] : actions) {
    if (flags.action == name) return run(context, flags);
    names.push_back(name);
  }
  const auto close = nearest(flags.action, names);
  return Error(ErrorCode::kInvalidArgument, "'samplemind cache' cannot '" + flags.action + "'",
               close ? "did you mean 'samplemind cache " + *close + "'?"
                     : std::string("it can: ") + kActions);
}

}  // namespace

Run add_cache(Arguments command, Context& context) {
  auto flags = std::make_shared<CacheFlags>();
  command
      .add_option("ACTION", flags->action,
                  "stats: hits, savings, sizes; ls: the answers; show KEY: one of them; clear: "
                  "remove those that fit; warm FILE: ask ahead of time; export, import FILE: move "
                  "answers between machines")
      .required();
  command.add_option(
      "WHAT", flags->what,
      "show: a key or its first digits. warm: JSON Lines of requests, or a text "
      "with a prompt a line. export, import: a file, - for standard output or input");
  command.add_option("--key", flags->key, "ls, clear, export: the key or its first digits")
      .type_name("KEY");
  command
      .add_option("--model", flags->model,
                  "ls, clear, export: that gave the answer; warm: that plain prompts go to")
      .type_name("NAME");
  command.add_option("--provider", flags->provider, "ls, clear, export: such as openai")
      .type_name("NAME");
  command.add_option("--tenant", flags->tenant, "whose answer it is; warm: 'local' without it")
      .type_name("NAME");
  command
      .add_option("--older-than", flags->older_than,
                  "ls, clear, export: stored longer ago, 12h or 7d")
      .type_name("TIME");
  command.add_flag("--all", flags->all, "clear: everything");
  command.add_option("--limit", flags->limit, "ls: at most so many (20)")
      .range(1, 1000000)
      .type_name("N");
  command.add_option("--concurrency", flags->concurrency, "warm: requests at once (4)")
      .range(1, 64)
      .type_name("N");
  command.add_option("--budget", flags->budget_usd, "warm: dollars it may spend")
      .range(0.0, 1e6)
      .type_name("USD");
  command.add_flag("--json", flags->json, "One object a line");
  return [flags, &context] { return run_cache(context, *flags); };
}

}  // namespace samplemind::cli
