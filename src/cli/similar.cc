// samplemind similar, samplemind duplicates
#include <charconv>
#include <cstdio>
#include <memory>
#include <optional>

#include "base/files.h"
#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"

namespace samplemind::cli {

namespace {

struct SimilarFlags {
  std::string what;
  std::string kind, aspect, filter;
  std::optional<double> from, to;
  int limit = 20;
  bool json = false;
};

std::string percent(const JsonValue& share) {
  char text[16];
  std::snprintf(text, sizeof text, "%.0f", 100 * share.number_or(0));
  return text;
}

// A number is an id unless a file is called so.
std::optional<int64_t> as_id(const std::string& what) {
  int64_t id = 0;
  const auto [end, error] = std::from_chars(what.data(), what.data() + what.size(), id);
  std::error_code ignored;
  if (error != std::errc() || end != what.data() + what.size() || fs::exists(what, ignored))
    return std::nullopt;
  return id;
}

Result<int> run_similar(const Context& context, const SimilarFlags& f) {
  std::string body;
  JsonWriter w(body);
  w.begin_object();
  if (const auto id = as_id(f.what)) {
    w.field("id", *id);
  } else {
    const fs::path path = fs::absolute(f.what).lexically_normal();
    std::error_code ignored;
    if (!fs::exists(path, ignored))
      return Error(ErrorCode::kNotFound, path.string() + " does not exist",
                   "give a sound file, or an id of 'samplemind search --json'");
    w.field("path", path_to_text(path));
  }
  if (f.from) w.field("from_s", *f.from);
  if (f.to) w.field("to_s", *f.to);
  if (!f.aspect.empty()) w.field("aspects", f.aspect);
  std::string query = f.filter;
  if (!f.kind.empty()) query += (query.empty() ? "kind:" : " kind:") + f.kind;
  w.field("query", query).field("limit", f.limit).end_object();
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  SM_TRY(const JsonValue found, api->send("POST", "/api/v1/similar", std::move(body)));
  const auto& list = found["samples"].items();
  if (f.json) {
    std::string lines;
    for (const JsonValue& s : list) lines += s.dump() + "\n";
    print(lines);
    return 0;
  }
  if (list.empty()) {
    print("Nothing to compare with. samplemind scan ~/Samples fills the library.\n");
    return 0;
  }
  Table table({{.header = "%", .right = true},
               {.header = "name", .shrink_to = 16},
               {.header = "kind", .shrink_to = 6, .optional = true},
               {.header = "timbre", .right = true},
               {.header = "pitch", .right = true},
               {.header = "rhythm", .right = true},
               {.header = "envelope", .right = true},
               {.header = "folder", .shrink_to = 12, .optional = true, .from_left = true}});
  for (const JsonValue& s : list) {
    const JsonValue& sample = s["sample"];
    const JsonValue& aspects = s["aspects"];
    table.add({percent(s["similarity"]), sample["name"].string_or(""), sample["kind"].string_or(""),
               percent(aspects["timbre"]), percent(aspects["pitch"]), percent(aspects["rhythm"]),
               percent(aspects["envelope"]), sample["folder"].string_or("")});
    table.style(7, Style::kDim);
  }
  print(table.render(context.out, context.out.width()));
  return 0;
}

Result<int> run_duplicates(const Context& context, bool near, bool json) {
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  SM_TRY(const JsonValue found,
         api->get(std::string("/api/v1/duplicates?near=") + (near ? "true" : "false")));
  std::string text;
  for (const JsonValue& g : found["groups"].items()) {
    if (json) {
      text += g.dump() + "\n";
      continue;
    }
    const std::string how = g["how"].string_or("");
    text += styled(context.out, Style::kBold,
                   how == "bytes"   ? "The same file"
                   : how == "audio" ? "The same sound in other files"
                                    : "The same to the ear") +
            "\n";
    for (const JsonValue& s : g["samples"].items())
      text += "  " + printable(s["path"].string_or("")) + "\n";
  }
  print(!text.empty() || json ? text
        : near                ? "No sound is there twice.\n"
               : "No sound is there twice; --near looks for re-encoded and trimmed ones too.\n");
  return 0;
}

}  // namespace

Run add_similar(Arguments command, Context& context) {
  auto f = std::make_shared<SimilarFlags>();
  command.add_option("SOUND", f->what, "A sound file, in the library or not, or an id").required();
  command.add_option("--kind", f->kind, "Only of this kind: kick, snare, hat, ...")
      .type_name("KIND");
  command
      .add_option("--aspect", f->aspect,
                  "What counts and how much: timbre=1,pitch=0.2,rhythm=0,envelope=0.5; those not "
                  "named do not")
      .type_name("A=N,...");
  command.add_option("--filter", f->filter, "Only among these, as in 'samplemind search'")
      .type_name("QUERY");
  command.add_option("--from", f->from, "Only the stretch from this second ...").type_name("S");
  command.add_option("--to", f->to, "... to this one").type_name("S");
  command.add_option("--limit", f->limit, "How many at most (20)").type_name("N").range(1, 1000);
  command.add_flag("--json", f->json, "One object a line: similarity, by aspect, and the sample");
  return [f, &context] { return run_similar(context, *f); };
}

Run add_duplicates(Arguments command, Context& context) {
  struct Flags {
    bool near = false, json = false;
  };
  auto f = std::make_shared<Flags>();
  command.add_flag("--near", f->near, "Also re-encoded, slightly trimmed and louder copies");
  command.add_flag("--json", f->json, "One group a line");
  return [f, &context] { return run_duplicates(context, f->near, f->json); };
}

}  // namespace samplemind::cli
