// samplemind models, samplemind pull-models
#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "cli/samples_table.h"

namespace samplemind::cli {

namespace {

std::string price(const JsonValue& m) {
  if (m["provider"].text() == "ollama") return "free";
  const auto in = m["input_usd_per_million"].number();
  const auto out = m["output_usd_per_million"].number();
  if (!in || !out) return "unknown";
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "$%.2f / $%.2f", *in, *out);
  return buffer;
}

Result<int> run_models(const Context& context, bool json) {
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  SM_TRY(const JsonValue list, api->get("/api/v1/models"));
  if (json) {
    std::string lines;
    for (const JsonValue& m : list["models"].items()) lines += m.dump() + "\n";
    print(lines);
    return 0;
  }
  Table table({{.header = "model", .shrink_to = 20},
               {.header = "where"},
               {.header = "size", .right = true, .optional = true},
               {.header = "context", .right = true, .optional = true},
               {.header = "price in / out (1M tokens)", .right = true, .optional = true}});
  for (const JsonValue& m : list["models"].items()) {
    const bool local = m["local"].bool_or(false);
    const auto size = m["size_bytes"].number();
    const auto tokens = m["context_tokens"].integer();
    table.add({m["id"].string_or(m["name"].string_or("?")), local ? "this machine" : "hosted",
               size ? human_bytes(*size) : "", tokens ? human_count(*tokens) : "", price(m)});
    if (local) table.style(1, Style::kGreen);
  }
  if (!table.empty()) print(table.render(context.out, context.out.width()));
  SM_TRY(const JsonValue providers, api->get("/api/v1/providers"));
  if (table.empty()) print("No model can be asked yet.\n");
  const auto& states = providers["providers"].items();
  if (std::any_of(states.begin(), states.end(),
                  [](const JsonValue& p) { return !p["usable"].bool_or(false); }))
    print((table.empty() ? "" : "\n") + providers_table(providers["providers"], context.out));
  return 0;
}

Result<int> run_pull(const Context& context, const std::vector<std::string>& names, bool json) {
  std::string body;
  JsonWriter(body).begin_object().field("names", names).end_object();
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  const InterruptGuard interrupts;
  Progress progress(context.err);
  struct Rate {
    std::string name;
    double begun_bytes = 0;
    std::chrono::steady_clock::time_point begun;
  } rate;
  const auto on_line = [&](const JsonValue& line) {
    if (json) {
      print(line.dump() + "\n");
      return;
    }
    const std::string name = line["name"].string_or("?");
    if (line["type"].string_or("") == "pulled") {
      progress.clear();
      print(styled(context.out, Style::kGreen, context.out.unicode ? "✓ " : "+ ") +
            printable(name) + " is ready\n");
      return;
    }
    const double done = line["completed_bytes"].number_or(0);
    const double total = line["total_bytes"].number_or(0);
    const auto now = std::chrono::steady_clock::now();
    if (rate.name != name || done < rate.begun_bytes) rate = {name, done, now};
    const double seconds = std::chrono::duration<double>(now - rate.begun).count();
    std::string facts;
    if (total > 0) {
      facts = human_bytes(done) + " of " + human_bytes(total);
      if (seconds > 1 && done > rate.begun_bytes) {
        const double speed = (done - rate.begun_bytes) / seconds;
        facts +=
            "  " + human_bytes(speed) + "/s  " + human_duration((total - done) / speed) + " left";
      }
    }
    progress.show(name, total > 0 ? done / total : -1, facts, line["status"].string_or(""));
  };
  auto pulled =
      api->stream("/api/v1/models/pull", std::move(body), on_line, &InterruptGuard::flag());
  progress.clear();
  if (!pulled.ok() && pulled.error().code() == ErrorCode::kCancelled)
    return Error(ErrorCode::kCancelled, "stopped; what was fetched is kept",
                 "the same command goes on from here");
  SM_CHECK_OK(std::move(pulled));
  return 0;
}

Result<int> run_load(const Context& context, const std::string& name, bool json) {
  std::string body;
  JsonWriter(body).begin_object().field("name", name).end_object();
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  Progress progress(context.err);
  progress.show("loading " + printable(name), -1, "", "");
  auto loaded = api->post("/api/v1/models/load", std::move(body));
  progress.clear();
  SM_CHECK_OK(loaded);
  if (json) {
    print(loaded->dump() + "\n");
    return 0;
  }
  print(styled(context.out, Style::kGreen, context.out.unicode ? "✓ " : "+ ") + printable(name) +
        " is in memory (" + human_duration((*loaded)["seconds"].number_or(0)) + ")\n");
  return 0;
}

}  // namespace

Run add_models(Arguments command, Context& context) {
  auto load = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  command.add_option("--load", *load,
                     "Load this model of Ollama's into memory and wait until it is there");
  command.add_flag("--json", *json, "One object a line");
  return [load, json, &context] {
    return load->empty() ? run_models(context, *json) : run_load(context, *load, *json);
  };
}

Run add_pull_models(Arguments command, Context& context) {
  auto names = std::make_shared<std::vector<std::string>>();
  auto json = std::make_shared<bool>(false);
  command.add_option("NAME", *names,
                     "Models as Ollama names them; without any: ai.ollama.recommended_models");
  command.add_flag("--json", *json, "Progress as JSON lines");
  return [names, json, &context] { return run_pull(context, *names, *json); };
}

}  // namespace samplemind::cli
