// samplemind usage
#include <memory>

#include "ai/money.h"
#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "net/http.h"

namespace samplemind::cli {

namespace {

struct UsageFlags {
  std::string by = "model";
  int days = 30;
  bool json = false;
};

Result<int> run_usage(const Context& context, const UsageFlags& f) {
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  SM_TRY(const JsonValue usage, api->get("/api/v1/usage?by=" + net::percent_encode(f.by) +
                                         "&days=" + std::to_string(f.days)));
  if (f.json) {
    std::string lines;
    for (const JsonValue& row : usage["rows"].items()) lines += row.dump() + "\n";
    print(lines);
    return 0;
  }
  Table table({{.header = f.by, .shrink_to = 14},
               {.header = "requests", .right = true},
               {.header = "from cache", .right = true},
               {.header = "errors", .right = true, .optional = true},
               {.header = "tokens in", .right = true, .optional = true},
               {.header = "tokens out", .right = true, .optional = true},
               {.header = "cost", .right = true},
               {.header = "saved", .right = true}});
  int64_t unpriced = 0, estimated = 0, cost = 0, saved = 0, requests = 0, hits = 0;
  for (const JsonValue& row : usage["rows"].items()) {
    const auto n = [&row](const char* name) { return row[name].integer_or(0); };
    std::string group = row["group"].string_or("");
    if (f.by == "key") {
      const std::string name = row["name"].string_or("");
      group = group.empty() ? "no key" : name.empty() ? group : name + " (" + group + ")";
    }
    table.add({group, human_count(n("requests")), human_count(n("hits") + n("coalesced")),
               human_count(n("errors")), human_count(n("input_tokens")),
               human_count(n("output_tokens")), ai::dollars(n("cost_microusd")),
               ai::dollars(n("saved_microusd"))});
    unpriced += n("unpriced");
    estimated += n("estimated");
    cost += n("cost_microusd");
    saved += n("saved_microusd");
    requests += n("requests");
    hits += n("hits") + n("coalesced");
  }
  if (table.empty()) {
    print("No model was asked in the last " + std::to_string(f.days) + " days.\n");
  } else {
    print(table.render(context.out, context.out.width()));
    print("\n" + human_count(requests) + " requests, " + human_count(hits) +
          " of them from the cache; " + ai::dollars(cost) + " spent, " + ai::dollars(saved) +
          " saved.\n");
  }
  Table budgets({{.header = "budget", .shrink_to = 16},
                 {.header = "of", .shrink_to = 8},
                 {.header = "spent", .right = true},
                 {.header = "set aside", .right = true}});
  for (const JsonValue& b : usage["budgets"].items()) {
    const std::string name = b["name"].string_or("");
    budgets.add({b["budget"].string_or(""), b["key"].string_or("").empty() ? "everybody" : name,
                 ai::dollars(b["spent_microusd"].integer_or(0)),
                 ai::dollars(b["held_microusd"].integer_or(0))});
    if (b["spent_microusd"].integer_or(0) >= b["limit_microusd"].integer_or(0))
      budgets.style(2, Style::kRed);
  }
  if (!budgets.empty()) print("\n" + budgets.render(context.out, context.out.width()));
  if (unpriced > 0)
    print_note(context.err, human_count(unpriced) +
                                " answers have a price that nobody told: they are not in the cost. "
                                "Set [ai.prices.\"provider/model\"] input and output.");
  if (estimated > 0)
    print_note(context.err,
               human_count(estimated) +
                   " answers were cut or came without a count: theirs is an estimate.");
  if (cost > 0)
    print_note(context.err, "List prices of " + usage["prices_date"].string_or("?") +
                                "; your own in [ai.prices] win.");
  return 0;
}

}  // namespace

Run add_usage(Arguments command, Context& context) {
  auto f = std::make_shared<UsageFlags>();
  command.add_option("--by", f->by, "model (the default), key or day").type_name("WHAT");
  command.add_option("--days", f->days, "So many days back, today included (30)").type_name("N");
  command.add_flag("--json", f->json, "One object a line; costs in millionths of a dollar");
  return [f, &context] { return run_usage(context, *f); };
}

}  // namespace samplemind::cli
