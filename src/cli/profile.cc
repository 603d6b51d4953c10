// samplemind profile
#include <memory>

#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"

namespace samplemind::cli {

namespace {

Result<int> run_profile(const Context& context, bool json) {
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kService));
  SM_TRY(const JsonValue profile, api->get("/api/v1/profile"));
  if (json) {
    print(profile.dump() + "\n");
    return 0;
  }
  const double rss = profile["rss_bytes"].number_or(0);
  Table table({{.header = "memory"},
               {.header = "size", .right = true},
               {.header = "share", .right = true},
               {.header = "", .shrink_to = 10, .optional = true}});
  const auto add = [&](const JsonValue& c, bool share) {
    const double bytes = c["bytes"].number_or(0);
    table.add(
        {c["name"].string_or("?"), human_bytes(bytes),
         share && rss > 0 ? std::to_string(static_cast<int>(bytes / rss * 100 + 0.5)) + "%" : "",
         c["what"].string_or("")});
    table.style(3, Style::kDim);
  };
  table.add({"whole process", human_bytes(rss), "100%", "resident, as the kernel counts"});
  table.style(0, Style::kBold);
  for (const JsonValue& c : profile["components"].items()) add(c, true);
  print(table.render(context.out, context.out.width()) + "\n");
  Table disk({{.header = "disk"},
              {.header = "size", .right = true},
              {.header = "", .shrink_to = 10, .optional = true}});
  for (const JsonValue& c : profile["disk"].items())
    disk.add(
        {c["name"].string_or("?"), human_bytes(c["bytes"].number_or(0)), c["what"].string_or("")});
  if (!disk.empty()) print(disk.render(context.out, context.out.width()));
  return 0;
}

}  // namespace

Run add_profile(Arguments command, Context& context) {
  auto json = std::make_shared<bool>(false);
  command.add_flag("--json", *json, "One object");
  return [json, &context] { return run_profile(context, *json); };
}

}  // namespace samplemind::cli
