// For the tests of server: a whole service on a free port, with a scripted upstream.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "base/json.h"
#include "library/scanner.h"
#include "net/client.h"
#include "net/server.h"
#include "server/engine.h"
#include "server/local_exchange.h"
#include "server/routes.h"

namespace samplemind::server::test {

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sm-server-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Speaks just enough of OpenAI's API: one model, one answer, streamed or whole.
inline net::Task<void> answer_as_openai(net::Exchange& exchange, std::atomic<int>& calls) {
  const auto body = co_await exchange.read_body(1 << 20);
  net::ResponseHead head;
  head.headers.add("content-type", "application/json");
  if (exchange.request().path() == "/v1/models") {
    (void)(co_await exchange.respond(
               std::move(head),
               R"({"object":"list","data":[{"id":"tiny","object":"model","owned_by":"test"}]})"))
        .ok();
    co_return;
  }
  ++calls;
  const auto request = JsonValue::parse(body.ok() ? *body : std::string_view("null"));
  if (!request.ok() || !(*request)["stream"].bool_or(false)) {
    (void)(co_await exchange.respond(
               std::move(head),
               R"({"id":"c1","object":"chat.completion","created":1,"model":"tiny","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}})"))
        .ok();
    co_return;
  }
  head.headers.set("content-type", "text/event-stream");
  (void)(co_await exchange.start(std::move(head))).ok();
  for (
      const char* piece :
      {R"({"id":"c1","object":"chat.completion.chunk","created":1,"model":"tiny","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello "},"finish_reason":null}]})",
       R"({"id":"c1","object":"chat.completion.chunk","created":1,"model":"tiny","choices":[{"index":0,"delta":{"content":"there"},"finish_reason":null}]})",
       R"({"id":"c1","object":"chat.completion.chunk","created":1,"model":"tiny","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})",
       R"({"id":"c1","object":"chat.completion.chunk","created":1,"model":"tiny","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}})",
       "[DONE]"}) {
    const std::string event = "data: " + std::string(piece) + "\n\n";
    (void)(co_await exchange.write(event)).ok();
  }
  (void)(co_await exchange.finish()).ok();
}

struct Answer {
  int status = 0;
  net::Headers headers;
  std::string body;
  std::string header(std::string_view name) const {
    return std::string(headers.get(name).value_or(""));
  }
  JsonValue json() const {
    auto v = JsonValue::parse(body);
    EXPECT_TRUE(v.ok()) << body;
    return v.ok() ? std::move(*v) : JsonValue();
  }
};

class Rig {
 public:
  explicit Rig(SecurityPolicy policy = {},
               std::vector<std::pair<std::string, std::string>> flags = {}) {
    net::Server::HandlerFactory scripted = [this](net::Loop&, size_t) -> net::Handler {
      return [this](net::Exchange& exchange) { return answer_as_openai(exchange, calls); };
    };
    upstream_ = net::Server::bind(net::ServerOptions(), std::move(scripted)).value();
    upstream_->start();
    flags.emplace_back("ai.openai.base_url",
                       "http://127.0.0.1:" + std::to_string(upstream_->port()) + "/v1");
    flags.emplace_back("ai.openai.api_key", "sk-upstream-secret-0001");
    flags.emplace_back("ai.openai.default_model", "tiny");
    flags.emplace_back("ai.ollama.host", "127.0.0.1:1");
    auto config = Config::load(all_config_keys(), "", false, flags);
    EXPECT_TRUE(config.ok()) << (config.ok() ? "" : config.error().message());
    engine =
        Engine::open(std::move(*config), home.path() / "home", library::Catalogue::Access::kWrite)
            .value();
    net::Server::HandlerFactory factory = [this, policy](net::Loop& loop, size_t) -> net::Handler {
      auto shard = std::make_shared<EngineShard>(*engine, loop);
      net::Handler inner = make_handler(*shard, policy);
      return [shard, inner = std::move(inner)](net::Exchange& exchange) { return inner(exchange); };
    };
    server = net::Server::bind(net::ServerOptions(), std::move(factory)).value();
    engine->server = server.get();
    engine->ready = true;
    server->start();
  }
  ~Rig() {
    engine->scan.cancel();
    server->stop(std::chrono::milliseconds(0));
    engine->server = nullptr;
    upstream_->stop(std::chrono::milliseconds(0));
  }

  // Writes that many short sounds below `folder()` and scans them.
  void fill(size_t sounds = 3) {
    write_sounds(sounds);
    library::ScanOptions options;
    options.paths = {folder()};
    const auto report = library::scan(*engine->catalogue, options);
    ASSERT_TRUE(report.ok()) << report.error().message();
    ASSERT_EQ(report->measured, static_cast<int64_t>(sounds));
  }
  std::filesystem::path folder() const { return home.path() / "sounds"; }
  void write_sounds(size_t sounds) {
    std::filesystem::create_directories(folder());
    for (size_t i = 0; i < sounds; ++i) {
      std::ofstream out(folder() / ("Tone_" + std::to_string(i) + ".wav"), std::ios::binary);
      out << tone(220.0 * static_cast<double>(i + 1));
    }
  }
  // Half a second of a fading sine as 16-bit WAV at 44,100 Hz.
  static std::string tone(double hertz) {
    constexpr uint32_t kFrames = 22050;
    std::string wav = "RIFF";
    const auto u32 = [&wav](uint32_t v) { wav.append(reinterpret_cast<const char*>(&v), 4); };
    const auto u16 = [&wav](uint16_t v) { wav.append(reinterpret_cast<const char*>(&v), 2); };
    u32(36 + kFrames * 2);
    wav += "WAVEfmt ";
    u32(16);
    u16(1);
    u16(1);
    u32(44100);
    u32(88200);
    u16(2);
    u16(16);
    wav += "data";
    u32(kFrames * 2);
    for (uint32_t i = 0; i < kFrames; ++i) {
      const double fade = 1.0 - static_cast<double>(i) / kFrames;
      u16(static_cast<uint16_t>(
          static_cast<int16_t>(20000 * fade * std::sin(2 * 3.14159265 * hertz * i / 44100))));
    }
    return wav;
  }

  Answer ask(std::string method, std::string target, std::string body = {},
             std::vector<net::Headers::Field> fields = {}) {
    net::Loop loop;
    const auto client = net::Client::create(loop);
    auto url = net::Url::parse("http://127.0.0.1:" + std::to_string(server->port()) + target);
    net::ClientRequest request(std::move(method), std::move(*url));
    if (!body.empty()) request.headers.set("content-type", "application/json");
    request.body = std::move(body);
    for (const auto& [name, value] : fields) request.headers.set(name, value);
    return loop.run_until_done(run(*client, std::move(request)));
  }
  Answer get(std::string target, std::vector<net::Headers::Field> fields = {}) {
    return ask("GET", std::move(target), {}, std::move(fields));
  }
  Answer post(std::string target, std::string body, std::vector<net::Headers::Field> fields = {}) {
    return ask("POST", std::move(target), std::move(body), std::move(fields));
  }

  // The first line of the answer to a request under a name of the caller's choice.
  std::string status_line(const std::string& method, const std::string& target,
                          const std::string& host) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const std::string request = method + " " + target + " HTTP/1.1\r\nHost: " + host +
                                "\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    EXPECT_EQ(::send(fd, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    std::string answer;
    char piece[4096];
    for (ssize_t n; (n = ::recv(fd, piece, sizeof piece, 0)) > 0;)
      answer.append(piece, static_cast<size_t>(n));
    ::close(fd);
    return answer.substr(0, answer.find('\r'));
  }

  TempDir home;
  std::atomic<int> calls{0};  // of the upstream's chat
  std::unique_ptr<Engine> engine;
  std::unique_ptr<net::Server> server;

 private:
  static net::Task<Answer> run(net::Client& client, net::ClientRequest request) {
    Answer a;
    auto response = co_await client.send(std::move(request));
    if (!response.ok()) {
      a.body = response.error().message();
      co_return a;
    }
    a.status = (*response)->status();
    a.headers = (*response)->head().headers;
    auto body = co_await (*response)->read_all(64 << 20);
    if (body.ok()) {
      a.body = std::move(*body);
    } else {
      a.status = -1;
      a.body = body.error().message();
    }
    co_return a;
  }
  std::unique_ptr<net::Server> upstream_;
};

inline std::vector<JsonValue> lines(const std::string& text) {
  std::vector<JsonValue> out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    auto v = JsonValue::parse(std::string_view(text).substr(at, end - at));
    EXPECT_TRUE(v.ok()) << text;
    if (v.ok()) out.push_back(std::move(*v));
    at = end + 1;
  }
  return out;
}

}  // namespace samplemind::server::test
