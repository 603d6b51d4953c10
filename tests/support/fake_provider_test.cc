// The fake itself: its answers are well formed and belong to their requests, its faults happen.
#include "support/fake_provider.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <chrono>
#include <thread>

#include <cerrno>

#include "base/json.h"

namespace samplemind::testing {
namespace {

struct Answer {
  std::string bytes;
  bool reset = false;
  int status() const { return bytes.size() > 12 ? std::atoi(bytes.c_str() + 9) : 0; }
  std::string body() const {
    const size_t at = bytes.find("\r\n\r\n");
    return at == std::string::npos ? "" : bytes.substr(at + 4);
  }
  bool has(const std::string& text) const { return bytes.find(text) != std::string::npos; }
};

// One request; reads up to the end of the connection or of the body.
Answer ask(const FakeProvider& p, const std::string& path, const std::string& body) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const timeval limit{5, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(p.port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const std::string out = (body.empty() ? "GET " : "POST ") + path +
                          " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
                          "\r\n\r\n" + body;
  EXPECT_EQ(send(fd, out.data(), out.size(), MSG_NOSIGNAL), static_cast<ssize_t>(out.size()));
  Answer a;
  char buffer[4096];
  while (true) {
    const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n < 0) a.reset = errno == ECONNRESET;
    if (n <= 0) break;
    a.bytes.append(buffer, static_cast<size_t>(n));
    if (a.bytes.ends_with("\r\n0\r\n\r\n")) break;
    const size_t length = a.bytes.find("Content-Length: ");
    if (length != std::string::npos && a.bytes.find("\r\n\r\n") != std::string::npos &&
        a.body().size() >= static_cast<size_t>(std::atoi(a.bytes.c_str() + length + 16)))
      break;
  }
  close(fd);
  return a;
}

std::string chat(const std::string& model, const std::string& text, const std::string& more = "") {
  return "{\"model\":\"" + model + "\",\"messages\":[{\"role\":\"user\",\"content\":\"" + text +
         "\"}]" + more + "}";
}
constexpr const char* kOpenAi = "/v1/chat/completions";
constexpr const char* kStream = ",\"stream\":true,\"stream_options\":{\"include_usage\":true}";

// The log, once its last call is over: the client has its answer a moment before the provider notes
// how it ended.
std::vector<FakeCall> settled_log(const FakeProvider& p) {
  for (int i = 0; i < 5000 && p.log().back().outcome == "open"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return p.log();
}

TEST(FakeProvider, SpeaksAnthropicAndGemini) {
  FakeProvider p;
  const std::string token = FakeProvider::token_of("hello");
  const Answer whole = ask(p, "/v1/messages", chat("fake-small", "hello", ",\"max_tokens\":200"));
  const auto message = JsonValue::parse(whole.body());
  ASSERT_TRUE(message.ok()) << whole.bytes;
  EXPECT_EQ((*message)["content"][0]["text"].string_or("").substr(0, 21), "echo:" + token);
  EXPECT_EQ((*message)["usage"]["output_tokens"].integer(), 60);
  const Answer streamed =
      ask(p, "/v1/messages", chat("fake-small", "hello", ",\"max_tokens\":2,\"stream\":true"));
  EXPECT_TRUE(streamed.has("event: message_start")) << streamed.bytes;
  EXPECT_TRUE(streamed.has("\"stop_reason\":\"max_tokens\""));
  EXPECT_TRUE(streamed.has("event: message_stop"));

  const std::string contents = R"({"contents":[{"parts":[{"text":"hello"}]}]})";
  const Answer gemini = ask(p, "/v1beta/models/fake-small:generateContent", contents);
  EXPECT_TRUE(gemini.has("\"finishReason\":\"STOP\"")) << gemini.bytes;
  EXPECT_TRUE(gemini.has("echo:" + token));
  const Answer pieces = ask(p, "/v1beta/models/fake-small:streamGenerateContent", contents);
  EXPECT_TRUE(pieces.has("data: {")) << pieces.bytes;
  EXPECT_EQ(p.log().back().model, "fake-small");
  const Answer missing = ask(p, "/v1beta/models/no-such-model:generateContent", contents);
  EXPECT_TRUE(missing.has("\"status\":\"NOT_FOUND\"")) << missing.bytes;
}

TEST(FakeProvider, AnswersASchema) {
  FakeProvider p;
  const Answer a = ask(
      p, kOpenAi,
      chat(
          "fake-small", "as JSON",
          R"(,"response_format":{"type":"json_schema","json_schema":{"schema":{"type":"object",)"
          R"("properties":{"x":{"type":"integer"},"y":{"type":"array","items":{"type":"string"}}}}}})"));
  EXPECT_TRUE(a.has(R"({\"x\":7,\"y\":[\")")) << a.bytes;
}

TEST(FakeProvider, AnswersBelongToTheirRequests) {
  FakeProvider p;
  for (const std::string text : {"one", "two"}) {
    const auto json = JsonValue::parse(ask(p, kOpenAi, chat("m", text)).body());
    ASSERT_TRUE(json.ok());
    const std::string content = (*json)["choices"][0]["message"]["content"].string_or("");
    EXPECT_TRUE(content.starts_with("echo:" + FakeProvider::token_of(text) + " t1")) << content;
    EXPECT_EQ((*json)["usage"]["completion_tokens"].integer_or(0), 60);
  }
  ASSERT_EQ(p.log().size(), 2u);
  EXPECT_EQ(settled_log(p)[1].digest, FakeProvider::token_of("two"));
  EXPECT_EQ(settled_log(p)[1].outcome, "ok");
}

TEST(FakeProvider, StreamsWithUsageAndMarker) {
  FakeProvider p;
  const Answer a = ask(p, kOpenAi, chat("m", "hi", kStream));
  EXPECT_TRUE(a.has("data: [DONE]"));
  EXPECT_TRUE(a.has("\"usage\":{\"prompt_tokens\""));
  EXPECT_TRUE(a.has("\"finish_reason\":\"stop\""));
  const Answer o = ask(p, "/api/chat", chat("m", "hi"));
  EXPECT_TRUE(o.has("\"done\":true"));
  EXPECT_TRUE(o.has("\"eval_count\":60"));
}

TEST(FakeProvider, ToolCalls) {
  FakeProvider p;
  const std::string tools =
      R"(,"tool_choice":"required","tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}])";
  const auto json = JsonValue::parse(ask(p, kOpenAi, chat("m", "hi", tools)).body());
  ASSERT_TRUE(json.ok());
  const JsonValue& calls = (*json)["choices"][0]["message"]["tool_calls"];
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[1]["function"]["name"].string_or(""), "g");
  EXPECT_EQ((*json)["choices"][0]["finish_reason"].string_or(""), "tool_calls");
}

TEST(FakeProvider, FaultsBeforeTheAnswer) {
  FakeProvider p;
  const Answer limited = ask(p, kOpenAi, chat("fault-s01", "hi"));
  EXPECT_EQ(limited.status(), 429);
  EXPECT_TRUE(limited.has("Retry-After: 2"));
  EXPECT_EQ(ask(p, kOpenAi, chat("fault-s01", "hi")).status(), 200);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(p, kOpenAi, chat("fault-s02", "hi")).status(), 429);
  EXPECT_EQ(ask(p, kOpenAi, chat("fault-s03", "hi")).status(), 500);
  EXPECT_EQ(ask(p, kOpenAi, chat("fault-s03", "hi")).status(), 200);
  EXPECT_EQ(ask(p, kOpenAi, chat("fault-s04", "hi")).status(), 503);
  EXPECT_TRUE(ask(p, kOpenAi, chat("fault-s05", "hi")).reset);
  EXPECT_EQ(ask(p, kOpenAi, chat("fault-s06-ms1", "hi")).bytes, "");
  EXPECT_EQ(ask(p, kOpenAi, chat("fault-s07-ms1", "hi")).status(), 200);
  EXPECT_TRUE(ask(p, kOpenAi, chat("fault-s12", "hi")).has("context_length_exceeded"));
  EXPECT_TRUE(ask(p, kOpenAi, chat("fault-s13", "hi")).has("content_filter"));
  EXPECT_EQ(ask(p, kOpenAi, chat("fault-s14", "hi")).status(), 200);
  EXPECT_EQ(
      ask(p, kOpenAi, R"({"model":"fault-s14","messages":[{"role":"assistant","content":"x"}]})")
          .status(),
      400);
  EXPECT_EQ(ask(p, kOpenAi, chat("fault-s15-ms60000", "hi")).status(), 503);
  EXPECT_EQ(ask(p, kOpenAi, chat("fault-s15-ms0", "hi")).status(), 200);
  EXPECT_EQ(ask(p, kOpenAi, chat("fault-401", "hi")).status(), 401);
}

TEST(FakeProvider, FaultsWithinTheStream) {
  FakeProvider p;
  for (const char* path : {kOpenAi, "/api/chat"}) {
    const Answer cut = ask(p, path, chat("fault-s08", "hi", kStream));
    EXPECT_TRUE(cut.has(" t39\"") && !cut.has(" t40\"")) << path;
    EXPECT_FALSE(cut.has("[DONE]") || cut.has("\"done\":true") || cut.has("\r\n0\r\n\r\n"));
    EXPECT_EQ(settled_log(p).back().outcome, "cut");
    const Answer stalled = ask(p, path, chat("fault-s09-ms5", "hi", kStream));
    EXPECT_TRUE(stalled.has(" t59\""));
    const Answer bad = ask(p, path, chat("fault-s10", "hi", kStream));
    EXPECT_TRUE(bad.has(" t8\"") && !bad.has(" t9\"") && bad.has(" t10\"")) << path;
    const Answer open = ask(p, path, chat("fault-s11", "hi", kStream));
    EXPECT_TRUE(open.has(" t59\"") && open.bytes.ends_with("\r\n0\r\n\r\n"));
    EXPECT_FALSE(open.has("[DONE]") || open.has("\"done\":true"));
  }
}

TEST(FakeProvider, ScriptsAreUsedUpInOrder) {
  FakeProvider p;
  p.script({.path = kOpenAi, .fault = "S03", .times = 2});
  p.script({.model = "other", .fault = "401"});
  EXPECT_EQ(ask(p, kOpenAi, chat("m", "a")).status(), 500);
  EXPECT_EQ(ask(p, kOpenAi, chat("m", "a")).status(), 500);
  EXPECT_EQ(ask(p, kOpenAi, chat("m", "a")).status(), 200);
  EXPECT_EQ(ask(p, kOpenAi, chat("other", "a")).status(), 401);
  EXPECT_EQ(p.count(kOpenAi), 4u);
  EXPECT_EQ(ask(p, "/__script", R"([{"path":"/v1/models","scenario":"S04"}])").status(), 200);
  EXPECT_EQ(ask(p, "/v1/models", "").status(), 503);
  EXPECT_TRUE(ask(p, "/__count?path=/v1/models", "").has("{\"count\":1}"));
  EXPECT_TRUE(ask(p, "/__log", "").has("\"fault\":\"401\""));
  EXPECT_EQ(ask(p, "/__reset", "{}").status(), 200);
  EXPECT_EQ(ask(p, "/v1/models", "").status(), 200);
  EXPECT_EQ(p.count(), 1u);
}

TEST(FakeProvider, APullGoesOnWhereItWasCut) {
  FakeProvider p;
  p.script({.path = "/api/pull", .fault = "s08", .times = 1, .at = 50});
  const Answer cut = ask(p, "/api/pull", R"({"model":"llama3.2:1b"})");
  EXPECT_TRUE(cut.has("\"completed\":400000}") && !cut.has("success"));
  const Answer rest = ask(p, "/api/pull", R"({"model":"llama3.2:1b"})");
  EXPECT_TRUE(rest.has("\"completed\":400000}") && rest.has("success"));
  EXPECT_FALSE(rest.has("\"completed\":300000}"));
}

}  // namespace
}  // namespace samplemind::testing
