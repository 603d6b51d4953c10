// samplemind keys: virtual keys are made, listed, rotated and revoked.
#include <memory>

#include "ai/keys.h"
#include "ai/money.h"
#include "base/clock.h"
#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "net/http.h"

namespace samplemind::cli {

namespace {

constexpr const char* kActions = "create, ls, rotate, revoke";

struct KeyFlags {
  std::string action;
  std::string name;
  std::string tenant, expires, grace, sampling;
  std::vector<std::string> models, budgets;
  int64_t rpm = 0, tpm = 0;
  bool local_only = false, library = false, all = false, json = false;
};

std::string joined(const JsonValue& list) {
  std::string text;
  for (const JsonValue& each : list.items())
    text += (text.empty() ? "" : ", ") + each.string_or("");
  return text;
}

std::string budgets_of(const JsonValue& key) {
  std::string text;
  for (const JsonValue& b : key["budgets"].items()) {
    const ai::Budget budget{
        b["microusd"].integer_or(0),
        ai::parse_period(b["period"].string_or("")).value_or(ai::Period::kTotal),
        b["model"].string_or("")};
    text += (text.empty() ? "" : ", ") + ai::to_string(budget);
  }
  return text;
}

std::string limits_of(const JsonValue& key) {
  std::string text;
  if (const int64_t n = key["requests_per_minute"].integer_or(0); n > 0)
    text += human_count(n) + " req/min";
  if (const int64_t n = key["tokens_per_minute"].integer_or(0); n > 0)
    text += (text.empty() ? "" : ", ") + human_count(n) + " tok/min";
  return text;
}

std::string day_of(int64_t ms) {
  if (ms == 0) return "never";
  return format_rfc3339(WallTime(std::chrono::milliseconds(ms))).substr(0, 10);
}

int show_issue(const Context& context, const JsonValue& issue, bool json) {
  if (json) {
    print(issue.dump() + "\n");
    return 0;
  }
  print(issue["secret"].string_or("") + "\n");
  print_note(context.err, "The key of '" + issue["key"]["name"].string_or("") +
                              "'. It is shown this once; only its hash is kept. Clients send it "
                              "as their API key.");
  return 0;
}

Result<int> run_create(const Context& context, const KeyFlags& f) {
  std::string body;
  JsonWriter w(body);
  w.begin_object().field("name", f.name);
  if (!f.tenant.empty()) w.field("tenant", f.tenant);
  if (!f.models.empty()) w.field("models", f.models);
  if (!f.budgets.empty()) w.field("budgets", f.budgets);
  if (f.rpm > 0) w.field("requests_per_minute", f.rpm);
  if (f.tpm > 0) w.field("tokens_per_minute", f.tpm);
  if (f.local_only) w.field("local_only", true);
  if (f.library) w.field("library", true);
  if (!f.sampling.empty()) w.field("sampling", f.sampling);
  if (!f.expires.empty()) {
    SM_TRY(const int64_t ms, parse_duration_ms(f.expires));
    if (ms < 1000)
      return Error(ErrorCode::kInvalidArgument, "--expires must be a second at least",
                   "write 12h, 30d or 365d");
    w.field("expires_in_s", ms / 1000);
  }
  w.end_object();
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kWrite));
  SM_TRY(const JsonValue issue, api->post("/api/v1/keys", std::move(body)));
  return show_issue(context, issue, f.json);
}

Result<int> run_ls(const Context& context, const KeyFlags& f) {
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  SM_TRY(const JsonValue list, api->get("/api/v1/keys"));
  if (f.json) {
    std::string lines;
    for (const JsonValue& k : list["keys"].items()) lines += k.dump() + "\n";
    print(lines);
    return 0;
  }
  Table table({{.header = "id"},
               {.header = "name", .shrink_to = 8},
               {.header = "tenant", .shrink_to = 6, .optional = true},
               {.header = "state"},
               {.header = "models", .shrink_to = 10},
               {.header = "budgets", .shrink_to = 12},
               {.header = "limits", .optional = true},
               {.header = "expires", .optional = true}});
  size_t hidden = 0;
  for (const JsonValue& k : list["keys"].items()) {
    const std::string state = k["state"].string_or("?");
    if (state != "active" && !f.all) {
      ++hidden;
      continue;
    }
    std::string models = joined(k["models"]);
    if (models.empty()) models = "all";
    if (k["local_only"].bool_or(false)) models += " (local only)";
    table.add({k["id"].string_or("?"), k["name"].string_or(""), k["tenant"].string_or(""), state,
               models, budgets_of(k), limits_of(k), day_of(k["expires_ms"].integer_or(0))});
    table.style(3, state == "active" ? Style::kGreen : Style::kDim);
  }
  if (table.empty()) {
    print("No virtual key is in use: on this machine none is needed.\n");
    print_note(context.err, "Make one: samplemind keys create NAME --budget 5/month");
  } else {
    print(table.render(context.out, context.out.width()));
  }
  if (hidden > 0)
    print_note(context.err, std::to_string(hidden) + " revoked or expired; --all shows them");
  return 0;
}

Result<int> run_rotate(const Context& context, const KeyFlags& f) {
  std::string body = "{}";
  if (!f.grace.empty()) {
    SM_TRY(const int64_t ms, parse_duration_ms(f.grace));
    body.clear();
    JsonWriter(body).begin_object().field("grace_s", ms / 1000).end_object();
  }
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kWrite));
  SM_TRY(const JsonValue issue,
         api->post("/api/v1/keys/" + net::percent_encode(f.name) + "/rotate", std::move(body)));
  return show_issue(context, issue, f.json);
}

Result<int> run_revoke(const Context& context, const KeyFlags& f) {
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kWrite));
  SM_TRY(const JsonValue done,
         api->post("/api/v1/keys/" + net::percent_encode(f.name) + "/revoke", "{}"));
  if (f.json) {
    print(done["key"].dump() + "\n");
  } else {
    print("'" + printable(done["key"]["name"].string_or("")) + "' (" +
          done["key"]["id"].string_or("") + ") opens nothing any more\n");
  }
  return 0;
}

}  // namespace

Run add_keys(Arguments command, Context& context) {
  auto f = std::make_shared<KeyFlags>();
  command.add_option("ACTION", f->action, std::string("What to do: ") + kActions).required();
  command.add_option("NAME", f->name, "The new key's name; for rotate and revoke its name or id");
  command
      .add_option("--models", f->models,
                  "Models it may ask: 'ollama/*', 'openai/gpt-4o*'; without it all")
      .type_name("PATTERN,...")
      .comma_separated();
  command
      .add_option("--budget", f->budgets,
                  "Dollars a day, a month or in all: 2.50/day, 10/month, 100; for some models: "
                  "5/day:openai/*. May be given several times")
      .type_name("AMOUNT")
      .repeated();
  command.add_option("--rpm", f->rpm, "Requests a minute").type_name("N").range(0, 1e12);
  command.add_option("--tpm", f->tpm, "Tokens a minute").type_name("N").range(0, 1e12);
  command.add_option("--expires", f->expires, "After so long: 12h, 30d").type_name("TIME");
  command
      .add_option("--tenant", f->tenant,
                  "Cached answers are shared within a tenant only; without it 'local'")
      .type_name("NAME");
  command.add_flag("--local-only", f->local_only, "Nothing asked with it leaves this machine");
  command.add_flag("--library", f->library, "It opens the library and the coach, too");
  command
      .add_option("--sampling", f->sampling,
                  "Its requests with a temperature above 0: 'cache' or 'bypass'; without it as "
                  "cache.sampling says")
      .type_name("HOW");
  command.add_option("--grace", f->grace, "rotate: the old key serves for so long more")
      .type_name("TIME");
  command.add_flag("--all", f->all, "ls: revoked and expired ones, too");
  command.add_flag("--json", f->json, "JSON: ls one object a line, else one object");
  return [f, &context]() -> Result<int> {
    if (f->action == "ls" || f->action == "list") return run_ls(context, *f);
    const bool known = f->action == "create" || f->action == "rotate" || f->action == "revoke";
    if (!known) {
      const auto close = nearest(f->action, {"create", "ls", "rotate", "revoke"});
      return Error(ErrorCode::kInvalidArgument, "'samplemind keys' cannot '" + f->action + "'",
                   close ? "did you mean '" + *close + "'?" : std::string("it can ") + kActions);
    }
    if (f->name.empty())
      return Error(ErrorCode::kInvalidArgument, "'samplemind keys " + f->action + "' needs a name",
                   "samplemind keys " + f->action + " ann");
    if (f->action == "create") return run_create(context, *f);
    return f->action == "rotate" ? run_rotate(context, *f) : run_revoke(context, *f);
  };
}

}  // namespace samplemind::cli
