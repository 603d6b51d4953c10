// samplemind config
#include <memory>

#include "base/json.h"
#include "cli/commands.h"

namespace samplemind::cli {

namespace {

Result<int> run_config(const Context& context, const std::string& key, bool json) {
  SM_TRY(const Config config, context.load_config());
  std::vector<Config::Entry> entries = config.entries();
  if (!key.empty()) {
    // A whole group by its first words: "ai.ollama".
    std::vector<Config::Entry> chosen;
    std::vector<std::string> names;
    for (Config::Entry& e : entries) {
      names.push_back(e.name);
      if (e.name == key || e.name.starts_with(key + ".")) chosen.push_back(std::move(e));
    }
    if (chosen.empty()) {
      const auto close = nearest(key, names);
      return Error(ErrorCode::kNotFound, "there is no setting '" + key + "'",
                   close ? "did you mean '" + *close + "'?" : "'samplemind config' lists them");
    }
    entries = std::move(chosen);
  }
  const auto shown = [](const Config::Entry& e) {
    return e.secret && !e.value.empty() ? masked(e.value) : e.value;
  };
  if (json) {
    std::string lines;
    for (const Config::Entry& e : entries) {
      JsonWriter(lines)
          .begin_object()
          .field("name", e.name)
          .field("value", shown(e))
          .field("origin", e.origin)
          .field("description", e.description)
          .end_object();
      lines += "\n";
    }
    print(lines);
    return 0;
  }
  if (!key.empty() && entries.size() == 1 && !context.out.tty) {
    print(printable(shown(entries[0])) + "\n");  // the bare value, for scripts
    return 0;
  }
  Table table({{.header = "setting"},
               {.header = "value", .shrink_to = 16},
               {.header = "from", .shrink_to = 8, .from_left = true},
               {.header = "meaning", .shrink_to = 20, .optional = true}});
  for (const Config::Entry& e : entries) {
    table.add({e.name, shown(e), e.origin, e.description});
    table.style(1, e.source == ConfigSource::kDefault ? Style::kPlain : Style::kBold);
    table.style(2, e.source == ConfigSource::kDefault ? Style::kDim : Style::kCyan);
    table.style(3, Style::kDim);
  }
  print(table.render(context.out, context.out.width()));
  if (key.empty())
    print_note(context.err, "File: " + config.file().string() +
                                ". Any setting can come from the environment: server.port is "
                                "SAMPLEMIND_SERVER_PORT.");
  return 0;
}

}  // namespace

Run add_config(Arguments command, Context& context) {
  auto key = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  command.add_option("KEY", *key, "One setting, or the beginning of several: server");
  command.add_flag("--json", *json, "One object a line");
  return [key, json, &context] { return run_config(context, *key, *json); };
}

}  // namespace samplemind::cli
