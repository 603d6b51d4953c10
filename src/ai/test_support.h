// For the tests of ai: an upstream whose every answer the test decides, a sink that keeps what it
// is given, and a gateway over both.
#pragma once

#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ai/config_keys.h"
#include "ai/gateway.h"
#include "base/config.h"
#include "net/test_support.h"

namespace samplemind::ai::test {

// A folder of its own that goes with the test.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "sm_ai_test_XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct Seen {
  std::string path;  // "/v1/chat/completions"
  std::string head;  // request line and fields, lower case
  std::string body;
};

struct Reply {
  int status = 200;
  std::string type = "application/json";
  std::vector<std::string> fields;  // more fields, "Retry-After: 1"
  std::vector<std::string> pieces;  // the body, sent chunked, one piece a chunk
  enum class End { kProper, kCut, kReset, kStall } end = End::kProper;
  std::shared_future<void> wait_before;       // before anything is sent
  std::shared_future<void> wait_after_first;  // after the first piece
  bool nothing = false;                       // no byte at all: `end` says what happens instead
};

inline Reply json_reply(std::string body, int status = 200) {
  Reply r;
  r.status = status;
  r.pieces = {std::move(body)};
  return r;
}
inline Reply sse_reply(std::vector<std::string> data, bool done = true) {
  Reply r;
  r.type = "text/event-stream";
  for (std::string& each : data) r.pieces.push_back("data: " + each + "\n\n");
  if (done) r.pieces.push_back("data: [DONE]\n\n");
  return r;
}
inline Reply failing(Reply::End end) {
  Reply r;
  r.nothing = true;
  r.end = end;
  return r;
}

// Keep the connections of its clients shorter than itself: declare it before the gateway.
class FakeUpstream {
 public:
  using Handler = std::function<Reply(const Seen&, int number)>;  // number of the chat call, from 0
  explicit FakeUpstream(Handler handler)
      : handler_(std::move(handler)),
        server_([this](net::test::RawSocket& socket, int) { serve(socket); }) {}

  std::string url(std::string_view path) const { return server_.url(path); }
  uint16_t port() const { return server_.port(); }
  int chats() const { return chats_; }
  int others() const { return others_; }
  int connections() const { return connections_; }  // accepted so far
  std::vector<Seen> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  void serve(net::test::RawSocket& socket) {
    ++connections_;
    const int on = 1;
    setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (;;) {
      const std::string request = socket.receive_request();
      const size_t end = request.find("\r\n\r\n");
      if (end == std::string::npos) return;
      Seen seen;
      const size_t from = request.find(' ') + 1;
      seen.path = request.substr(from, request.find(' ', from) - from);
      seen.head = request.substr(0, end);
      seen.body = request.substr(end + 4);
      const bool chat = seen.path.ends_with("/chat") || seen.path.ends_with("/completions");
      const int number = chat ? chats_++ : (++others_, -1);
      {
        const std::lock_guard lock(mutex_);
        seen_.push_back(seen);
      }
      if (!answer(socket, handler_(seen, number))) return;
    }
  }
  bool answer(net::test::RawSocket& socket, const Reply& r) {
    if (r.wait_before.valid()) r.wait_before.wait();
    if (!r.nothing) {
      std::string head = "HTTP/1.1 " + std::to_string(r.status) + " X\r\ncontent-type: " + r.type +
                         "\r\ntransfer-encoding: chunked\r\n";
      for (const std::string& field : r.fields) head += field + "\r\n";
      socket.send(head + "\r\n");
      bool first = true;
      for (const std::string& piece : r.pieces) {
        char size[16];
        std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
        socket.send(size + piece + "\r\n");
        if (std::exchange(first, false) && r.wait_after_first.valid()) r.wait_after_first.wait();
      }
    }
    switch (r.end) {
      case Reply::End::kProper:
        if (!r.nothing) socket.send("0\r\n\r\n");
        return !r.nothing;
      case Reply::End::kCut:
        socket.close();
        return false;
      case Reply::End::kReset:
        socket.close_reset();
        return false;
      case Reply::End::kStall:
        // Until the client gives up.
        socket.receive();
        return false;
    }
    return false;
  }

  Handler handler_;
  mutable std::mutex mutex_;
  std::vector<Seen> seen_;
  std::atomic<int> chats_{0}, others_{0}, connections_{0};
  net::test::ScriptedServer server_;
};

class MemorySink final : public ResponseSink {
 public:
  net::Task<Result<void>> respond(int s, net::Headers h, std::string_view b) override {
    status = s;
    headers = std::move(h);
    body = b;
    finished = true;
    co_return ok();
  }
  net::Task<Result<void>> start(int s, net::Headers h) override {
    status = s;
    headers = std::move(h);
    started = true;
    co_return ok();
  }
  net::Task<Result<void>> write(std::string_view piece) override {
    body += piece;
    ++writes;
    if (on_write) on_write();
    co_return ok();
  }
  net::Task<Result<void>> finish() override {
    finished = true;
    co_return ok();
  }
  void abort() override { aborted = true; }

  std::string header(std::string_view name) const {
    return std::string(headers.get(name).value_or(""));
  }
  std::string cache() const { return header("x-samplemind-cache"); }

  int status = 0;
  net::Headers headers;
  std::string body;
  int writes = 0;
  bool started = false, finished = false, aborted = false;
  std::function<void()> on_write;
};

using Flags = std::vector<std::pair<std::string, std::string>>;

// A gateway whose OpenAI-compatible provider is `upstream` (and whose Ollama is, when asked, too).
class Rig {
 public:
  explicit Rig(const FakeUpstream& upstream, Flags flags = {},
               const std::filesystem::path& cache_folder = {}, bool as_ollama = false,
               const Clock* real_clock = nullptr) {
    Flags all{{"ai.backoff", "1ms"}, {"ai.openai.api_key", "sk-test-0123456789"}};
    all.emplace_back("ai.openai.base_url",
                     as_ollama ? "http://127.0.0.1:1/v1" : upstream.url("/v1"));
    all.emplace_back("ai.ollama.host",
                     as_ollama ? "127.0.0.1:" + std::to_string(upstream.port()) : "127.0.0.1:1");
    all.insert(all.end(), flags.begin(), flags.end());
    auto config = Config::load(config_keys(), "/nonexistent/config.toml", false, all);
    EXPECT_TRUE(config.ok()) << (config.ok() ? "" : config.error().message());
    auto made = Gateway::create(*config, cache_folder, metrics,
                                real_clock != nullptr ? *real_clock : clock);
    EXPECT_TRUE(made.ok());
    gateway = *made;
    shard = GatewayShard::create(gateway, loop);
  }
  ~Rig() {
    loop.destroy_tasks();
    shard.reset();
  }

  MemorySink chat(std::string body,
                  const std::vector<std::pair<std::string, std::string>>& fields = {},
                  std::string_view tenant = "local") {
    MemorySink sink;
    net::Headers headers;
    for (const auto& [name, value] : fields) headers.add(name, value);
    CallContext context;
    context.tenant = tenant;
    context.headers = &headers;
    loop.run_until_done(shard->openai_chat(context, body, sink));
    return sink;
  }

  FakeClock clock;
  Metrics metrics;
  net::Loop loop;
  std::shared_ptr<Gateway> gateway;
  std::unique_ptr<GatewayShard> shard;
};

// Requests and answers in OpenAI's dialect.
inline std::string ask_body(std::string_view text, bool stream = false,
                            std::string_view more = {}) {
  return R"({"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":")" +
         std::string(text) + "\"}]" + (stream ? ",\"stream\":true" : "") + std::string(more) + "}";
}
inline std::string answer_body(std::string_view text, std::string_view finish = "stop") {
  return R"({"id":"chatcmpl-1","object":"chat.completion","created":1700000000,)"
         R"("model":"gpt-4o-mini-2024-07-18","system_fingerprint":"fp_1","choices":[{"index":0,)"
         R"("message":{"role":"assistant","content":")" +
         std::string(text) + R"("},"logprobs":null,"finish_reason":")" + std::string(finish) +
         R"("}],"usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}})";
}
inline std::string chunk(std::string_view delta, std::string_view finish = {}) {
  return R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,)"
         R"("model":"gpt-4o-mini-2024-07-18","system_fingerprint":"fp_1",)"
         R"("choices":[{"index":0,"delta":)" +
         std::string(delta) +
         ",\"finish_reason\":" + (finish.empty() ? "null" : "\"" + std::string(finish) + "\"") +
         "}]}";
}
inline std::string usage_chunk() {
  return R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,)"
         R"("model":"gpt-4o-mini-2024-07-18","choices":[],)"
         R"("usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}})";
}
inline std::vector<std::string> good_stream() {
  return {chunk(R"({"role":"assistant","content":""})"), chunk(R"({"content":"Hel"})"),
          chunk(R"({"content":"lo"})"), chunk("{}", "stop"), usage_chunk()};
}

}  // namespace samplemind::ai::test
