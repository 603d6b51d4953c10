#include "server/routes.h"

#include <algorithm>
#include <condition_variable>
#include <set>

#include "server/test_support.h"

namespace samplemind::server::test {
namespace {

TEST(Routes, OpenApiListsExactlyTheRoutersRoutes) {
  Rig rig;
  const Answer a = rig.get("/openapi.json");
  ASSERT_EQ(a.status, 200);
  const JsonValue api = a.json();
  EXPECT_EQ(api["openapi"].string_or(""), "3.1.0");
  std::vector<std::string> listed;
  std::set<std::string> operations;
  for (const auto& [path, methods] : api["paths"].members()) {
    for (const auto& [method, operation] : methods.members()) {
      std::string upper = method;
      for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      listed.push_back(upper + " " + path);
      EXPECT_TRUE(operations.insert(operation["operationId"].string_or("")).second) << path;
      EXPECT_TRUE(operation["responses"]["200"].is_object()) << path;
      // Every {name} of the path is a parameter.
      const auto named = std::count(path.begin(), path.end(), '{');
      const auto& parameters = operation["parameters"].items();
      EXPECT_EQ(std::count_if(parameters.begin(), parameters.end(),
                              [](const JsonValue& p) { return p["in"].string_or("") == "path"; }),
                named);
    }
  }
  std::vector<std::string> routed = route_list();
  std::sort(listed.begin(), listed.end());
  std::sort(routed.begin(), routed.end());
  EXPECT_EQ(listed, routed);
}

TEST(Routes, EverySchemaThatIsNamedExists) {
  Rig rig;
  const Answer a = rig.get("/openapi.json");
  const JsonValue api = a.json();
  constexpr std::string_view kRef = "\"#/components/schemas/";
  size_t found = 0;
  for (size_t at = a.body.find(kRef); at != std::string::npos; at = a.body.find(kRef, at + 1)) {
    const size_t begin = at + kRef.size();
    const std::string name = a.body.substr(begin, a.body.find('"', begin) - begin);
    EXPECT_TRUE(api["components"]["schemas"][name].is_object()) << name;
    ++found;
  }
  EXPECT_GT(found, 20u);
}

// What the search parameters are called stands in two places: the parser and the description.
TEST(Routes, EverySearchParameterOfTheDescriptionIsTaken) {
  Rig rig;
  const JsonValue api = rig.get("/openapi.json").json();
  const std::vector<std::pair<std::string, std::string>> examples{
      {"q", "kick"},      {"bpm", "120-128"},  {"key", "Am"},    {"length", "%3C2s"},
      {"kind", "kick"},   {"content", "loop"}, {"folder", "/x"}, {"state", "broken"},
      {"sort", "-tempo"}, {"limit", "7"},      {"offset", "3"}};
  std::set<std::string> described;
  for (const JsonValue& p : api["paths"]["/api/v1/samples"]["get"]["parameters"].items())
    described.insert(p["name"].string_or(""));
  EXPECT_EQ(described.size(), examples.size());
  for (const auto& [name, value] : examples) {
    EXPECT_TRUE(described.contains(name)) << name;
    EXPECT_EQ(rig.get("/api/v1/samples?" + name + "=" + value).status, 200) << name;
  }
}

TEST(Routes, ProblemsAreProblemDetails) {
  Rig rig;
  struct Case {
    const char *method, *target, *body;
    int status;
    const char* words;
  };
  for (const Case& c : {
           Case{"GET", "/api/v1/nothing", "", 404, "/openapi.json"},
           Case{"GET", "/api/v1/samples/77", "", 404, "no sample 77"},
           Case{"GET", "/api/v1/samples/x1", "", 400, "x1"},
           Case{"GET", "/api/v1/samples?lenght=3", "", 400, "lenght"},
           Case{"GET", "/api/v1/samples?bpm=fast", "", 400, "bpm"},
           Case{"GET", "/api/v1/samples?limit=0", "", 400, "limit"},
           Case{"GET", "/api/v1/samples?q=%zz", "", 400, ""},
           Case{"POST", "/api/v1/samples", "{}", 405, "GET"},
           Case{"DELETE", "/api/v1/samples/1", "{}", 405, "GET"},
           Case{"GET", "/api/v1/samples?q=clor:red", "", 400, "at character 1"},
           Case{"PATCH", "/api/v1/samples/1", "{}", 400, "at least one field"},
           Case{"PATCH", "/api/v1/samples/1", "{\"rating\":9}", 400, "rating"},
           Case{"PATCH", "/api/v1/samples/77", "{\"rating\":1}", 404, "77"},
           Case{"POST", "/api/v1/edits", "{\"change\":{\"rating\":1}}", 400, "which sounds"},
           Case{"POST", "/api/v1/edits", "[]", 400, "object"},
           Case{"POST", "/api/v1/collections", "{}", 400, "name"},
           Case{"DELETE", "/api/v1/collections/none", "{}", 404, "none"},
           Case{"POST", "/api/v1/collections/none/samples", "{\"add\":[1]}", 404, "none"},
           Case{"POST", "/api/v1/journal/undo", "{}", 404, "no change"},
           Case{"POST", "/api/v1/library/relocate", "{\"from\":\"x\",\"to\":\"/y\"}", 400,
                "absolute"},
           Case{"POST", "/api/v1/library/backup", "{\"path\":\"x\"}", 400, "absolute"},
           Case{"POST", "/api/v1/scan", "{", 400, ""},
           Case{"POST", "/api/v1/scan", "{\"paths\":[]}", 400, "paths"},
           Case{"POST", "/api/v1/scan", "{\"paths\":[\"relative\"]}", 400, "absolute"},
           Case{"POST", "/api/v1/ask", "{}", 400, "question"},
           Case{"POST", "/api/v1/ask", "[1,", 400, ""},
           Case{"POST", "/api/v1/ask", "{\"question\":\"x\",\"sample_ids\":[9]}", 404, "9"},
       }) {
    const Answer a = rig.ask(c.method, c.target, c.body);
    EXPECT_EQ(a.status, c.status) << c.method << " " << c.target << " " << c.body << a.body;
    EXPECT_EQ(a.header("content-type"), "application/problem+json") << c.target;
    const JsonValue p = a.json();
    EXPECT_EQ(p["status"].integer_or(0), c.status);
    EXPECT_FALSE(p["title"].string_or("").empty());
    EXPECT_EQ(p["type"].string_or(""), "about:blank");
    EXPECT_NE(a.body.find(c.words), std::string::npos) << a.body;
  }
  EXPECT_EQ(rig.ask("POST", "/api/v1/samples", "{}").header("allow"), "GET");
}

TEST(Routes, BelowV1ErrorsHaveOpenAisShape) {
  Rig rig;
  for (const Answer& a :
       {rig.get("/v1/nothing"), rig.ask("POST", "/v1/models", "{}"), rig.get("/v1/models/nobody"),
        rig.post("/v1/chat/completions", "{broken"),
        rig.post("/v1/chat/completions", "{}", {{"content-type", "text/plain"}}),
        rig.post("/v1/chat/completions", "{}", {{"origin", "http://evil.example"}})}) {
    EXPECT_GE(a.status, 400);
    EXPECT_LT(a.status, 500);
    EXPECT_EQ(a.header("content-type"), "application/json");
    EXPECT_FALSE(a.json()["error"]["message"].string_or("").empty()) << a.body;
    EXPECT_FALSE(a.json()["error"]["type"].string_or("").empty()) << a.body;
  }
}

TEST(Routes, SecurityStandsBeforeEveryRoute) {
  Rig rig(SecurityPolicy{"the-service-key", {}});
  for (const std::string& route : route_list()) {
    const size_t space = route.find(' ');
    const std::string method = route.substr(0, space);
    std::string path = route.substr(space + 1);
    if (const size_t at = path.find("{id}"); at != std::string::npos) path.replace(at, 4, "1");
    const std::string body = method == "POST" ? "{}" : "";
    EXPECT_TRUE(rig.status_line(method, path, "evil.example").starts_with("HTTP/1.1 421")) << route;
    const std::set<std::string> open{"/",
                                     "/healthz",
                                     "/readyz",
                                     "/static/page.css",
                                     "/static/page.js",
                                     "/static/choice.js",
                                     "/static/map.js",
                                     "/static/sound.js"};
    const Answer stranger = rig.ask(method, path, body);
    EXPECT_EQ(stranger.status, open.contains(path) ? 200 : 401) << route;
    EXPECT_FALSE(stranger.headers.has("access-control-allow-origin")) << route;
    if (method == "GET") continue;
    const Answer form = rig.ask(method, path, body,
                                {{"x-api-key", "the-service-key"}, {"content-type", "text/plain"}});
    EXPECT_EQ(form.status, 415) << route;
    const Answer foreign = rig.ask(
        method, path, body, {{"x-api-key", "the-service-key"}, {"origin", "http://evil.example"}});
    EXPECT_EQ(foreign.status, 403) << route;
  }
  EXPECT_EQ(rig.get("/api/v1/status", {{"authorization", "Bearer the-service-key"}}).status, 200);
  EXPECT_EQ(rig.get("/metrics").header("www-authenticate"), "Bearer");
}

TEST(Routes, SamplesAreListedAndShown) {
  Rig rig;
  rig.fill(3);
  const JsonValue page = rig.get("/api/v1/samples?limit=2&sort=name").json();
  EXPECT_EQ(page["total"].integer_or(0), 3);
  ASSERT_EQ(page["samples"].size(), 2u);
  const std::string id = std::to_string(page["samples"][0]["id"].integer_or(0));
  const JsonValue one = rig.get("/api/v1/samples/" + id).json();
  EXPECT_EQ(one["name"].string_or("?"), page["samples"][0]["name"].string_or("!"));
  EXPECT_GT(one["duration_s"].number_or(0), 0);
  const JsonValue rest = rig.get("/api/v1/samples?limit=2&offset=2&sort=name").json();
  EXPECT_EQ(rest["samples"].size(), 1u);
}

TEST(Routes, WhatTheUserSaysIsKeptFoundAndTakenBack) {
  Rig rig;
  rig.fill(3);
  const JsonValue first = rig.get("/api/v1/samples?sort=name").json()["samples"][0];
  const std::string path = "/api/v1/samples/" + std::to_string(first["id"].integer_or(0));
  const Answer patched =
      rig.ask("PATCH", path, R"({"favourite":true,"tags_add":["dusty"],"tempo_bpm":96.5})");
  ASSERT_EQ(patched.status, 200) << patched.body;
  EXPECT_TRUE(patched.json()["favourite"].bool_or(false));
  EXPECT_EQ(patched.json()["tempo_source"].string_or(""), "user");
  EXPECT_EQ(rig.get("/api/v1/samples?q=is:favourite%20tag:dusty%20bpm:96-97")
                .json()["total"]
                .integer_or(0),
            1);
  EXPECT_EQ(rig.get("/api/v1/tags").json()["tags"][0]["samples"].integer_or(0), 1);
  const Answer bulk = rig.post("/api/v1/edits", R"({"query":"tone","change":{"rating":3}})");
  EXPECT_EQ(bulk.json()["changed"].integer_or(0), 3) << bulk.body;
  EXPECT_EQ(rig.post(path + "/played", "{}").status, 200);
  EXPECT_EQ(rig.get("/api/v1/samples?q=is:played").json()["total"].integer_or(0), 1);

  ASSERT_EQ(rig.post("/api/v1/collections", R"({"name":"My Kit/1"})").status, 200);
  const Answer added =
      rig.post("/api/v1/collections/My%20Kit%2F1/samples", R"({"add_query":"rating:3"})");
  EXPECT_EQ(added.json()["changed"].integer_or(0), 3) << added.body;
  EXPECT_EQ(rig.get("/api/v1/samples?q=in:%22my%20kit%2F1%22").json()["total"].integer_or(0), 3);
  ASSERT_EQ(rig.post("/api/v1/collections", R"({"name":"smart","query":"is:favourite"})").status,
            200);
  const JsonValue collections = rig.get("/api/v1/collections").json()["collections"];
  ASSERT_EQ(collections.size(), 2u);
  EXPECT_EQ(collections[1]["samples"].integer_or(0), 1);
  EXPECT_EQ(rig.ask("DELETE", "/api/v1/collections/smart", "{}").status, 200);

  EXPECT_EQ(rig.get("/api/v1/journal").json()["changes"].size(), 6u);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(rig.post("/api/v1/journal/undo", "{}").status, 200) << i;
  EXPECT_EQ(rig.get("/api/v1/collections").json()["collections"].size(), 0u);
  EXPECT_FALSE(rig.get(path).json()["favourite"].bool_or(true));
  EXPECT_EQ(rig.get("/api/v1/samples?q=rating:3").json()["total"].integer_or(9), 0);

  const std::string copy = (rig.home.path() / "copy.db").string();
  EXPECT_EQ(rig.post("/api/v1/library/backup", "{\"path\":\"" + copy + "\"}").status, 200);
  EXPECT_TRUE(std::filesystem::exists(copy));
  EXPECT_TRUE(rig.post("/api/v1/library/check", R"({"repair":true})").json()["ok"].bool_or(false));
  std::filesystem::remove(first["path"].string_or(""));
  rig.post("/api/v1/scan", "{\"paths\":[\"" + rig.folder().string() + "\"]}");
  EXPECT_EQ(rig.post("/api/v1/library/purge", "{}").json()["changed"].integer_or(0), 1);
  EXPECT_EQ(rig.get(path).status, 404);
  EXPECT_EQ(rig.post("/api/v1/journal/undo", "{}").status, 200);
  EXPECT_EQ(rig.get(path).json()["state"].string_or(""), "missing");
}

TEST(Routes, SoundsAreServedByIdInParts) {
  Rig rig;
  rig.fill(1);
  const JsonValue s = rig.get("/api/v1/samples").json()["samples"][0];
  const std::string path = "/api/v1/samples/" + std::to_string(s["id"].integer_or(0)) + "/audio";
  const auto size = static_cast<size_t>(s["size_bytes"].integer_or(0));
  const Answer all = rig.get(path);
  ASSERT_EQ(all.status, 200);
  EXPECT_EQ(all.header("content-type"), "audio/wav");
  EXPECT_EQ(all.header("x-content-type-options"), "nosniff");
  ASSERT_EQ(all.body.size(), size);
  EXPECT_EQ(all.body.substr(0, 4), "RIFF");

  const Answer part = rig.get(path, {{"range", "bytes=4-11"}});
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, all.body.substr(4, 8));
  EXPECT_EQ(part.header("content-range"), "bytes 4-11/" + std::to_string(size));
  EXPECT_EQ(rig.get(path, {{"range", "bytes=-8"}}).body, all.body.substr(size - 8));

  const Answer beyond = rig.get(path, {{"range", "bytes=" + std::to_string(size) + "-"}});
  EXPECT_EQ(beyond.status, 416);
  EXPECT_EQ(beyond.header("content-range"), "bytes */" + std::to_string(size));

  const std::string etag = all.header("etag");
  EXPECT_FALSE(etag.empty());
  const Answer unchanged = rig.get(path, {{"if-none-match", etag}});
  EXPECT_EQ(unchanged.status, 304);
  EXPECT_TRUE(unchanged.body.empty());
  EXPECT_EQ(rig.get(path, {{"range", "bytes=0-3"}, {"if-range", etag}}).status, 206);
  EXPECT_EQ(rig.get(path, {{"range", "bytes=0-3"}, {"if-range", "\"old\""}}).status, 200);
  const Answer head = rig.ask("HEAD", path);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("content-length"), std::to_string(size));
  EXPECT_TRUE(head.body.empty());

  // The file changes: what a client has of it is no longer valid.
  std::filesystem::resize_file(s["path"].string_or(""), size - 100);
  EXPECT_NE(rig.get(path).header("etag"), etag);
  std::filesystem::remove(s["path"].string_or(""));
  EXPECT_EQ(rig.get(path).status, 404);
}

TEST(Routes, ScanStreamsProgressAndAReport) {
  Rig rig;
  rig.write_sounds(6);
  const std::string body = "{\"paths\":[\"" + rig.folder().string() + "\"]}";
  const Answer a = rig.post("/api/v1/scan", body);
  ASSERT_EQ(a.status, 200) << a.body;
  EXPECT_EQ(a.header("content-type"), "application/x-ndjson");
  const auto all = lines(a.body);
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all.back()["type"].string_or(""), "report");
  const int64_t measured = all.back()["measured"].integer_or(0);
  EXPECT_EQ(measured, 6);
  for (size_t i = 0; i + 1 < all.size(); ++i) EXPECT_EQ(all[i]["type"].string_or(""), "progress");
  EXPECT_EQ(rig.get("/api/v1/status").json()["library"]["samples"].integer_or(0), measured);
  const auto again = lines(rig.post("/api/v1/scan", body).body);
  EXPECT_EQ(again.back()["measured"].integer_or(-1), 0);
  EXPECT_EQ(again.back()["unchanged"].integer_or(-1), measured);

  const auto missing = lines(rig.post("/api/v1/scan", "{\"paths\":[\"/no/such/folder\"]}").body);
  EXPECT_EQ(missing.back()["type"].string_or(""), "error");
  EXPECT_EQ(missing.back()["code"].string_or(""), "not-found");
}

TEST(Routes, OnlyOneScanAtATime) {
  Rig rig;
  std::mutex mutex;
  std::condition_variable changed;
  bool may_end = false;
  ASSERT_TRUE(rig.engine->scan.start(
      [&](const std::atomic<bool>&) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return may_end; });
        return std::string();
      },
      [](std::string) {}));
  const Answer a = rig.post("/api/v1/scan", "{\"paths\":[\"/tmp\"]}");
  EXPECT_EQ(a.status, 409);
  EXPECT_NE(a.body.find("running"), std::string::npos);
  EXPECT_TRUE(rig.get("/api/v1/status").json()["scanning"].bool_or(false));
  {
    const std::lock_guard lock(mutex);
    may_end = true;
  }
  changed.notify_one();
}

TEST(Routes, ChatIsAnsweredAndCached) {
  Rig rig;
  const std::string body =
      R"({"model":"openai/tiny","messages":[{"role":"user","content":"hi"}],"temperature":0})";
  const Answer first = rig.post("/v1/chat/completions", body);
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.header("x-samplemind-cache"), "miss");
  const Answer second = rig.post("/v1/chat/completions", body);
  EXPECT_EQ(second.header("x-samplemind-cache"), "hit-memory");
  EXPECT_EQ(second.json()["choices"][0]["message"]["content"].string_or(""), "Hello there");
  EXPECT_EQ(rig.calls, 1);
  const JsonValue models = rig.get("/v1/models").json();
  EXPECT_EQ(models["data"][0]["id"].string_or(""), "openai/tiny");
  EXPECT_EQ(rig.get("/v1/models/openai/tiny").status, 200);
}

TEST(Routes, AskStreamsAndRepeatsFromTheCache) {
  Rig rig;
  rig.fill(1);
  const std::string id =
      std::to_string(rig.get("/api/v1/samples").json()["samples"][0]["id"].integer_or(0));
  const std::string body = "{\"question\":\"What is it?\",\"sample_ids\":[" + id + "]}";
  const Answer a = rig.post("/api/v1/ask", body);
  ASSERT_EQ(a.status, 200) << a.body;
  const auto all = lines(a.body);
  std::string text;
  for (const JsonValue& line : all) {
    if (line["type"].string_or("") == "text") text += line["text"].string_or("");
  }
  EXPECT_EQ(text, "Hello there");
  const JsonValue& last = all.back();
  EXPECT_EQ(last["type"].string_or(""), "answer");
  EXPECT_EQ(last["answer"].string_or(""), "Hello there");
  EXPECT_EQ(last["provider"].string_or(""), "openai");
  EXPECT_EQ(last["cache"].string_or(""), "miss");
  EXPECT_EQ(last["usage"]["prompt_tokens"].integer_or(0), 7);

  const Answer again = rig.post("/api/v1/ask", body, {{"accept", "application/json"}});
  EXPECT_EQ(again.header("content-type"), "application/json");
  EXPECT_EQ(again.json()["answer"].string_or(""), "Hello there");
  EXPECT_EQ(again.json()["cache"].string_or(""), "hit-memory");
  EXPECT_EQ(rig.calls, 1);
  const Answer fresh = rig.post("/api/v1/ask", "{\"fresh\":true," + body.substr(1));
  EXPECT_EQ(lines(fresh.body).back()["cache"].string_or(""), "miss");
  EXPECT_EQ(rig.calls, 2);
}

TEST(Routes, TheCommandLinesExchangeRunsTheSameHandler) {
  Rig rig;
  rig.fill(2);
  net::Loop loop;
  EngineShard shard(*rig.engine, loop);
  const net::Handler handler = make_handler(shard, {});
  std::string body;
  LocalExchange search("GET", "/api/v1/samples?limit=1", "",
                       [&body](std::string_view piece) { body += piece; });
  loop.run_until_done(handler(search));
  EXPECT_EQ(search.status(), 200);
  EXPECT_TRUE(search.finished());
  EXPECT_EQ(JsonValue::parse(body).value()["total"].integer_or(0), 2);

  std::string streamed;
  LocalExchange ask("POST", "/api/v1/ask", "{\"question\":\"Which is the loudest?\"}",
                    [&streamed](std::string_view piece) { streamed += piece; });
  loop.run_until_done(handler(ask));
  EXPECT_TRUE(ask.finished());
  EXPECT_EQ(lines(streamed).back()["answer"].string_or(""), "Hello there");
}

TEST(Routes, SecretsAreMasked) {
  Rig rig;
  const Answer a = rig.get("/api/v1/config");
  EXPECT_EQ(a.status, 200);
  EXPECT_EQ(a.body.find("sk-upstream-secret-0001"), std::string::npos);
  EXPECT_NE(a.body.find("ai.openai.api_key"), std::string::npos);
}

TEST(Routes, ThePageMayNotBeFramedOrRunForeignCode) {
  Rig rig;
  for (const char* path : {"/", "/static/page.css", "/static/page.js", "/static/map.js",
                           "/static/choice.js", "/static/sound.js"}) {
    const Answer a = rig.get(path);
    EXPECT_EQ(a.status, 200) << path;
    EXPECT_NE(a.header("content-security-policy").find("default-src 'self'"), std::string::npos);
    EXPECT_NE(a.header("content-security-policy").find("frame-ancestors 'none'"),
              std::string::npos);
    EXPECT_EQ(a.header("content-security-policy").find("unsafe"), std::string::npos);
    EXPECT_EQ(a.header("x-content-type-options"), "nosniff");
    EXPECT_EQ(a.header("referrer-policy"), "no-referrer");
    EXPECT_EQ(rig.get(path, {{"if-none-match", a.header("etag")}}).status, 304) << path;
  }
  // The policy forbids inline code; the page must not need it.
  const std::string page = rig.get("/").body;
  EXPECT_EQ(page.find("style=\""), std::string::npos);
  EXPECT_EQ(page.find("onclick="), std::string::npos);
}

TEST(Routes, HealthMetricsProfile) {
  Rig rig;
  EXPECT_EQ(rig.get("/healthz").json()["status"].string_or(""), "ok");
  EXPECT_EQ(rig.get("/readyz").status, 200);
  rig.engine->ready = false;
  EXPECT_EQ(rig.get("/readyz").status, 503);
  const Answer metrics = rig.get("/metrics");
  EXPECT_TRUE(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
  EXPECT_NE(metrics.body.find("samplemind_http_request_seconds_count"), std::string::npos);
  EXPECT_NE(metrics.body.find("samplemind_cache_misses_total 0"), std::string::npos);
  const JsonValue profile = rig.get("/api/v1/profile").json();
  EXPECT_GT(profile["rss_bytes"].integer_or(0), 1 << 20);
  EXPECT_GE(profile["connections"].integer_or(0), 1);
  EXPECT_EQ(profile["requests_running"].integer_or(0), 1);
}

}  // namespace
}  // namespace samplemind::server::test
