#include "server/test_support.h"

namespace samplemind::server {
namespace {

using test::Answer;
using test::Rig;

std::string chat(std::string_view text, std::string_view model = "openai/tiny") {
  return R"({"model":")" + std::string(model) + R"(","messages":[{"role":"user","content":")" +
         std::string(text) + R"("}]})";
}

std::vector<JsonValue> lines_of(const Answer& a) {
  std::vector<JsonValue> out;
  for (std::string_view rest = a.body; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    auto v = JsonValue::parse(rest.substr(0, end));
    EXPECT_TRUE(v.ok()) << rest.substr(0, end);
    if (v.ok()) out.push_back(std::move(*v));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

TEST(CacheRoutes, ListShowAndClear) {
  Rig rig;
  for (const char* text : {"one", "two", "three"})
    EXPECT_EQ(rig.post("/v1/chat/completions", chat(text)).status, 200);
  const Answer again = rig.post("/v1/chat/completions", chat("one"));
  EXPECT_EQ(again.header("x-samplemind-cache"), "hit-memory");
  const std::string key = again.header("x-samplemind-cache-key");

  const JsonValue stats = rig.get("/api/v1/cache/stats").json();
  EXPECT_EQ(stats["hits_memory"].integer(), 1);
  EXPECT_EQ(stats["misses"].integer(), 3);
  EXPECT_EQ(stats["hit_ratio"].number(), 0.25);
  EXPECT_EQ(stats["memory_entries"].integer(), 3);

  // Page after page, each once.
  std::vector<std::string> keys;
  std::string cursor;
  for (int pages = 0; pages < 5; ++pages) {
    const JsonValue page =
        rig.get("/api/v1/cache/entries?limit=2" + (cursor.empty() ? "" : "&cursor=" + cursor))
            .json();
    for (const JsonValue& e : page["entries"].items()) {
      keys.push_back(e["key"].string_or(""));
      EXPECT_EQ(e["model"].string(), "openai/tiny");
      EXPECT_EQ(e["begins"].string(), "Hello there");
    }
    cursor = page["cursor"].string_or("");
    if (cursor.empty()) break;
  }
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(keys.size(), 3u);
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
  EXPECT_EQ(rig.get("/api/v1/cache/entries?model=other").json()["entries"].size(), 0u);
  EXPECT_EQ(rig.get("/api/v1/cache/entries?provider=openai").json()["entries"].size(), 3u);

  for (const std::string& name : {key, key.substr(0, 12)}) {
    const JsonValue shown = rig.get("/api/v1/cache/entries/" + name).json();
    EXPECT_EQ(shown["key"].string(), key);
    EXPECT_EQ(shown["answer"]["choices"][0]["message"]["content"].string(), "Hello there");
  }
  EXPECT_EQ(rig.get("/api/v1/cache/entries/" + std::string(64, '0')).status, 404);
  EXPECT_EQ(rig.get("/api/v1/cache/entries/xyz").status, 400);

  EXPECT_EQ(rig.post("/api/v1/cache/clear", "{}").status, 400) << "never all by accident";
  EXPECT_EQ(rig.post("/api/v1/cache/clear", R"({"all":true,"model":"x"})").status, 400);
  EXPECT_EQ(rig.post("/api/v1/cache/clear", R"({"modle":"x"})").status, 400);
  EXPECT_EQ(rig.post("/api/v1/cache/clear", R"({"older_than":"soon"})").status, 400);
  EXPECT_EQ(rig.post("/api/v1/cache/clear", R"({"older_than":"1h"})").json()["cleared"].integer(),
            0);
  EXPECT_EQ(
      rig.post("/api/v1/cache/clear", R"({"key":")" + key + "\"}").json()["cleared"].integer(), 1);
  EXPECT_EQ(rig.post("/v1/chat/completions", chat("one")).header("x-samplemind-cache"), "miss");
  EXPECT_EQ(
      rig.post("/api/v1/cache/clear", R"({"model":"openai/tiny"})").json()["cleared"].integer(), 3);
  EXPECT_EQ(rig.post("/v1/chat/completions", chat("two")).header("x-samplemind-cache"), "miss");
  EXPECT_EQ(rig.post("/api/v1/cache/clear", R"({"all":true})").json()["cleared"].integer(), 1);
}

TEST(CacheRoutes, ExportAndImport) {
  Rig rig;
  rig.post("/v1/chat/completions", chat("one"));
  rig.post("/v1/chat/completions", chat("two"));
  const Answer exported = rig.post("/api/v1/cache/export", "{}");
  EXPECT_EQ(lines_of(exported).size(), 2u);
  rig.post("/api/v1/cache/clear", R"({"all":true})");
  EXPECT_EQ(rig.get("/api/v1/cache/stats").json()["memory_entries"].integer(), 0);
  // A line of the export damaged in its middle, and one that is none.
  std::string damaged = exported.body.substr(0, exported.body.find('\n'));
  const size_t at = damaged.find("\"record\":\"") + 40;
  damaged[at] = damaged[at] == 'A' ? 'B' : 'A';
  const JsonValue report =
      rig.post("/api/v1/cache/import", exported.body + damaged + "\n{}\nnonsense\n").json();
  EXPECT_EQ(report["imported"].integer(), 2);
  EXPECT_EQ(report["refused"].integer(), 3);
  EXPECT_EQ(report["problems"].size(), 3u);
  EXPECT_EQ(rig.post("/v1/chat/completions", chat("one")).header("x-samplemind-cache"),
            "hit-memory");
  EXPECT_EQ(rig.calls, 2);
}

TEST(CacheRoutes, WarmAsksWhatIsNotThere) {
  Rig rig;
  rig.post("/v1/chat/completions", chat("two"));
  const std::string list =
      R"({"text":"# common prompts\none\ntwo\n\nthree\n","model":"openai/tiny"})";
  auto lines = lines_of(rig.post("/api/v1/cache/warm", list));
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines.back()["type"].string(), "report");
  EXPECT_EQ(lines.back()["total"].integer(), 3);
  EXPECT_EQ(lines.back()["cached"].integer(), 1);
  EXPECT_EQ(lines.back()["answered"].integer(), 2);
  EXPECT_EQ(rig.calls, 3);
  EXPECT_EQ(rig.post("/v1/chat/completions", chat("three")).header("x-samplemind-cache"),
            "hit-memory");
  // Again: nothing is left to do, which is how a stopped run goes on.
  lines = lines_of(rig.post("/api/v1/cache/warm", list));
  EXPECT_EQ(lines.back()["cached"].integer(), 3);
  EXPECT_EQ(rig.calls, 3);
  // Requests, one in the form of a batch; the stream flag does not matter.
  const std::string requests =
      R"({"text":"{\"model\":\"openai/tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"one\"}],\"stream\":true}\n)"
      R"({\"custom_id\":\"x\",\"body\":{\"messages\":[{\"role\":\"user\",\"content\":\"four\"}]}}\n","model":"openai/tiny"})";
  lines = lines_of(rig.post("/api/v1/cache/warm", requests));
  EXPECT_EQ(lines.back()["cached"].integer(), 1);
  EXPECT_EQ(lines.back()["answered"].integer(), 1);
  // Failures are told with their line.
  lines = lines_of(rig.post("/api/v1/cache/warm", R"({"text":"five","model":"openai2/none"})"));
  EXPECT_EQ(lines.front()["type"].string(), "problem");
  EXPECT_EQ(lines.front()["line"].integer(), 1);
  EXPECT_EQ(lines.back()["failed"].integer(), 1);
}

// "tiny" has no known price: with a budget it could cost anything.
TEST(CacheRoutes, WarmWithABudgetStopsAtAModelWithoutAPrice) {
  Rig rig;
  const auto lines = lines_of(rig.post(
      "/api/v1/cache/warm",
      R"({"text":"a\nb\nc\nd\ne\nf\n","model":"openai/tiny","budget_usd":5,"concurrency":8})"));
  EXPECT_EQ(lines.back()["over_budget"].boolean(), true);
  EXPECT_EQ(lines.back()["cost_unknown"].integer(), 1);
  EXPECT_EQ(rig.calls, 1) << "the first call goes alone";
}

TEST(CacheRoutes, WarmRefusesWhatItCannotRead) {
  Rig rig;
  for (const char* bad :
       {R"({})", R"({"text":"x","concurrency":0})", R"({"text":"x","budget_usd":-1})",
        R"({"text":"{\"a\":1}"})", R"({"text":"{\"messages\":[]}\nnonsense"})",
        R"({"text":"x","nonsense":1})"})
    EXPECT_EQ(rig.post("/api/v1/cache/warm", bad).status, 400) << bad;
  EXPECT_EQ(rig.calls, 0);
}

}  // namespace
}  // namespace samplemind::server
