// The server against raw sockets.
#include "net/server.h"

#include <gtest/gtest.h>

#include <fstream>
#include <mutex>

#include "net/server_test_support.h"

namespace samplemind::net {
namespace {

using std::chrono::milliseconds;
using test::RawSocket;
using test::ServerTest;

int status_of(std::string_view answer) {
  return answer.size() > 12 && answer.starts_with("HTTP/1.1 ")
             ? std::stoi(std::string(answer.substr(9, 3)))
             : 0;
}

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

TEST_F(ServerTest, AnswersWithLengthDateAndKeepsTheConnection) {
  serve();
  auto socket = dial();
  for (int i = 0; i < 3; ++i) {
    socket->send(kGet);
    const std::string answer = socket->receive_until("GET /a ");
    EXPECT_EQ(status_of(answer), 200);
    EXPECT_NE(answer.find("\r\ncontent-length: 7\r\n"), std::string::npos);
    EXPECT_NE(answer.find("\r\ndate: "), std::string::npos);
    EXPECT_EQ(answer.find("connection:"), std::string::npos);
    EXPECT_TRUE(answer.ends_with("\r\n\r\nGET /a "));
  }
  EXPECT_EQ(server_->connections(), 1u);
}

TEST_F(ServerTest, ServesPipelinedRequestsInOrderAtEverySplit) {
  serve();
  std::string requests;
  for (int i = 0; i < 5; ++i) {
    requests += "POST /" + std::to_string(i) +
                " HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nb" + std::to_string(i) + "!";
    requests +=
        "POST /c" + std::to_string(i) +
        " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\n\r\n";
  }
  std::string expected;
  for (const size_t step : {requests.size(), size_t{1}, size_t{7}, size_t{64}}) {
    auto socket = dial();
    for (size_t i = 0; i < requests.size(); i += step)
      socket->send(std::string_view(requests).substr(i, step));
    socket->end_sending();
    const std::string all = socket->receive_all();
    size_t at = 0;
    for (int i = 0; i < 5; ++i) {
      for (const std::string& body : {"POST /" + std::to_string(i) + " b" + std::to_string(i) + "!",
                                      "POST /c" + std::to_string(i) + " xy"}) {
        at = all.find("\r\n\r\n" + body, at);
        ASSERT_NE(at, std::string::npos) << body << " with step " << step << " in " << all;
      }
    }
  }
  EXPECT_EQ(seen_.calls, 40);
}

TEST_F(ServerTest, ABlankLineBeforeARequestMayComeInPieces) {
  serve();
  auto socket = dial();
  for (const std::string_view piece :
       {"\r", "\n", "\r", "\n", "G", "ET /a HTTP/1.1\r\nHost: h\r", "\n\r", "\n"}) {
    socket->send(piece);
    std::this_thread::sleep_for(milliseconds(5));  // so that they are read one by one
  }
  EXPECT_EQ(status_of(socket->receive_until("GET /a ")), 200);
}

TEST_F(ServerTest, RefusesSmugglingAndClosesWithoutServingWhatFollows) {
  serve();
  const std::string line = "POST / HTTP/1.1\r\nHost: h\r\n";
  const std::string inner = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
  for (const std::string& head : {
           line + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           line + "Content-Length: 3\r\nContent-Length: 0\r\n\r\n",
           line + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
           line + "Transfer-Encoding: xchunked\r\n\r\n",
           line + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
           line + "X: a\r\n Content-Length: 5\r\n\r\n",
           line + "X: a\nTransfer-Encoding: chunked\r\n\r\n",
           line + "X: a\rTransfer-Encoding: chunked\r\n\r\n",
           line + std::string("X: a\0b\r\n\r\n", 10),
           std::string("GET / HTTP/1.1\r\n\r\n"),
           line + "Host: other\r\n\r\n",
           std::string("GET / HTTP/1.1\nHost: h\n\n"),
       }) {
    const std::string answer = ask(head + inner);
    EXPECT_EQ(status_of(answer), 400) << head << answer;
    EXPECT_NE(answer.find("connection: close"), std::string::npos);
    EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << "a second answer to " << head;
  }
  EXPECT_EQ(seen_.calls, 0);
  // Framing that breaks inside the body: the handler learns of it, nothing after it is served.
  for (const std::string_view body : {"x\r\n", "1\r\nab\r\n0\r\n\r\n", "1\na\n0\n\n",
                                      "0x1\r\na\r\n0\r\n\r\n", "fffffffffffffffff\r\n"}) {
    const std::string answer =
        ask(line + "Transfer-Encoding: chunked\r\n\r\n" + std::string(body) + inner);
    EXPECT_EQ(status_of(answer), 400) << body;
    EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << "a second answer to " << body;
  }
}

TEST_F(ServerTest, LimitsHeadersAndBodies) {
  ServerOptions options;
  options.limits.header_bytes_max = 2000;
  options.limits.body_bytes_max = 5000;
  serve(options);
  EXPECT_EQ(
      status_of(ask("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(3000, 'x') + "\r\n\r\n")),
      431);
  EXPECT_EQ(status_of(ask("GET /" + std::string(300000, 'x'))), 431);
  EXPECT_EQ(
      status_of(ask("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(1900, 'x') + "\r\n\r\n")),
      200);
  EXPECT_EQ(seen_.calls, 1);
  EXPECT_EQ(status_of(ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5001\r\n\r\n" +
                          std::string(5001, 'x'))),
            413);
  EXPECT_EQ(seen_.calls, 1);
  // A client that waits for leave gets the refusal in its place.
  const std::string refused =
      ask("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5001\r\n\r\n");
  EXPECT_EQ(status_of(refused), 413);
  EXPECT_EQ(status_of(ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n" +
                          std::string(5000, 'x'))),
            200);
  std::string chunks;
  for (int i = 0; i < 6; ++i) chunks += "3e8\r\n" + std::string(1000, 'x') + "\r\n";
  EXPECT_EQ(status_of(ask("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" +
                          chunks + "0\r\n\r\n")),
            413);
}

TEST_F(ServerTest, RefusalsTakeTheServicesForm) {
  ServerOptions options;
  options.limits.body_bytes_max = 5000;
  options.refusal = [](const RequestHead& request, std::string_view detail, ResponseHead& answer) {
    answer.headers.add("content-type", "text/x-own");
    return request.target + ": " + std::string(detail);
  };
  serve(options);
  const std::string refused = ask("POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5001\r\n\r\n");
  EXPECT_EQ(status_of(refused), 413);
  EXPECT_NE(refused.find("content-type: text/x-own\r\n"), std::string::npos) << refused;
  EXPECT_NE(refused.find("/v1/x: the body has 5001 bytes, the most taken is 5000"),
            std::string::npos)
      << refused;
  EXPECT_EQ(refused.find("problem"), std::string::npos) << refused;
}

TEST_F(ServerTest, SlowHeadersGet408AndIdleConnectionsEndSilently) {
  ServerOptions options;
  options.limits.header_timeout = milliseconds(150);
  options.limits.idle_timeout = milliseconds(100);
  options.limits.body_timeout = milliseconds(100);
  serve(options);
  auto slow = dial();
  slow->send("GET / HTTP/1.1\r\nHost:");
  EXPECT_EQ(status_of(slow->receive_all()), 408);
  auto idle = dial();
  EXPECT_EQ(idle->receive_all(), "");
  EXPECT_FALSE(idle->timed_out());
  auto kept = dial();
  kept->send(kGet);
  const std::string answer = kept->receive_all();
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos);
  // Drips do not extend the time for the head.
  auto drips = dial();
  std::thread dripper([&] {
    for (const char c :
         std::string("GET / HTTP/1.1\r\nHost: h\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n")) {
      drips->send(std::string_view(&c, 1));
      std::this_thread::sleep_for(milliseconds(10));
    }
  });
  EXPECT_EQ(status_of(drips->receive_all()), 408);
  dripper.join();
  auto stopped = dial();
  stopped->send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
  EXPECT_EQ(status_of(stopped->receive_all()), 504);
}

TEST_F(ServerTest, ContinueIsSentOnlyWhenTheBodyIsWanted) {
  serve();
  auto socket = dial();
  socket->send("POST /e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(socket->receive_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  socket->send("hello");
  EXPECT_TRUE(socket->receive_until("hello").ends_with("POST /e hello"));
  socket->send(
      "POST /ignore HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  const std::string answer = socket->receive_all();
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_NE(answer.find("connection: close"), std::string::npos);
}

TEST_F(ServerTest, SpeaksHttp10AndHeadAndBodylessStatus) {
  serve();
  std::string answer = ask("GET /x HTTP/1.0\r\n\r\n");
  EXPECT_NE(answer.find("connection: close"), std::string::npos);
  answer = ask("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /y HTTP/1.0\r\n\r\n");
  EXPECT_NE(answer.find("connection: keep-alive"), std::string::npos);
  EXPECT_NE(answer.find("GET /y"), std::string::npos);
  answer = ask("POST /mirror HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(answer.find("chunked"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("\r\n\r\nabc"));
  answer = ask("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n" + std::string(kGet));
  EXPECT_NE(answer.find("content-length: 8\r\n"), std::string::npos);
  EXPECT_NE(answer.find("\r\n\r\nHTTP/1.1 200"), std::string::npos);
  answer = ask("GET /204 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(answer.find("content-length"), std::string::npos);
}

TEST_F(ServerTest, StreamsWithLengthAndNeverPretendsThatACutAnswerEnded) {
  serve();
  std::string answer = ask("GET /sized HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("\r\n\r\n12345"));
  EXPECT_EQ(answer.find("chunked"), std::string::npos);
  for (const char* path : {"/short", "/long", "/half"}) {
    auto socket = dial();
    socket->send("GET " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_FALSE(socket->receive_all().ends_with("0\r\n\r\n")) << path;
    EXPECT_TRUE(socket->was_reset()) << path;
  }
  auto old = dial();
  old->send("GET /half HTTP/1.0\r\n\r\n");
  old->receive_all();
  EXPECT_TRUE(old->was_reset());
  EXPECT_EQ(status_of(ask("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n")), 500);
}

TEST_F(ServerTest, BodiesStreamBothWaysAtOnce) {
  serve();
  auto socket = dial();
  socket->send("POST /mirror HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_NE(socket->receive_until("\r\n\r\n").find("transfer-encoding: chunked"),
            std::string::npos);
  for (int i = 0; i < 5; ++i) {
    socket->send("5\r\nround\r\n");
    EXPECT_EQ(socket->receive_until("round\r\n"), "5\r\nround\r\n");
  }
  socket->send("0\r\n\r\n");
  EXPECT_EQ(socket->receive_until("0\r\n\r\n"), "0\r\n\r\n");
  socket->send(kGet);
  EXPECT_EQ(status_of(socket->receive_until("GET /a ")), 200);
}

TEST_F(ServerTest, UnreadBodiesAreSkippedOrEndTheConnection) {
  serve();
  auto socket = dial();
  socket->send("POST /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" +
               std::string(100000, 'x') + std::string(kGet));
  EXPECT_NE(socket->receive_until("GET /a ").find("ignored"), std::string::npos);
  auto large = dial();
  large->send("POST /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n");
  EXPECT_TRUE(large->receive_until("ignored").ends_with("ignored"));
  large->send(std::string(3000000, 'x'));
  EXPECT_EQ(large->receive_all(), "");
  EXPECT_EQ(seen_.calls, 3);
}

TEST_F(ServerTest, AClientThatLeavesCancelsItsExchangeWithin100Ms) {
  serve();
  for (const bool reset : {false, true}) {
    // The best of some tries: a busy machine may be late, the mechanism may not.
    auto best = std::chrono::steady_clock::duration::max();
    for (int n = 0; n < 20 && best >= milliseconds(100); ++n) {
      seen_.waiting = false;
      const int before = seen_.cancelled;
      auto socket = dial();
      socket->send("GET /cancel HTTP/1.1\r\nHost: h\r\n\r\n");
      ASSERT_TRUE(eventually([&] { return seen_.waiting.load(); }));
      const auto left = std::chrono::steady_clock::now();
      reset ? socket->close_reset() : socket->close();
      ASSERT_TRUE(eventually([&] { return seen_.cancelled == before + 1; }));
      best = std::min(best, std::chrono::steady_clock::now() - left);
    }
    EXPECT_LT(best, milliseconds(100));
  }
  // Also when it has sent more than the server reads ahead (and no more than the kernel holds: an
  // end behind bytes that nobody takes cannot be seen).
  seen_.waiting = false;
  const int before = seen_.cancelled;
  auto socket = dial();
  socket->send("POST /cancel HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" +
               std::string(100000, 'x'));
  ASSERT_TRUE(eventually([&] { return seen_.waiting.load(); }));
  std::this_thread::sleep_for(milliseconds(20));
  socket->close();
  ASSERT_TRUE(eventually([&] { return seen_.cancelled == before + 1; }));
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
  EXPECT_EQ(server_->active_exchanges(), 0u);
}

size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

TEST_F(ServerTest, AClientThatDoesNotReadHoldsTheWriterBackAndIsDropped) {
  ServerOptions options;
  options.limits.write_timeout = milliseconds(300);
  serve(options);
  const size_t before = resident_bytes();
  auto socket = RawSocket::connect(server_->port(), 16 << 10);
  socket->send("GET /flood HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return seen_.written > 0; }));
  ASSERT_TRUE(eventually([&] { return seen_.failed_writes == 1; }));
  EXPECT_LT(seen_.written, size_t{64} << 20);
  EXPECT_LT(resident_bytes(), before + (32 << 20));
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
}

TEST_F(ServerTest, ReadsNoMoreThanTheHandlerTakes) {
  serve();
  const size_t before = resident_bytes();
  auto socket = dial();
  const timeval limit{0, 200000};
  setsockopt(socket->fd(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  socket->send("POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 30000000\r\n\r\n");
  size_t sent = 0;
  const std::string block(100000, 'x');
  while (sent < 30000000) {
    const ssize_t took = ::send(socket->fd(), block.data(), block.size(), MSG_NOSIGNAL);
    if (took <= 0) break;
    sent += static_cast<size_t>(took);
  }
  EXPECT_LT(sent, 20000000u);
  EXPECT_LT(resident_bytes(), before + (16 << 20));
}

TEST_F(ServerTest, APortInUseIsNamed) {
  serve();
  ServerOptions options;
  options.port = server_->port();
  for (const size_t shards : {1, 2}) {
    options.shards = shards;
    auto factory = [](Loop&, size_t) -> Handler { return test::nothing; };
    auto second = Server::bind(options, factory);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().code(), ErrorCode::kAlreadyExists);
    EXPECT_NE(second.error().message().find("127.0.0.1:" + std::to_string(server_->port())),
              std::string::npos);
  }
  for (const char* host : {"example.com", "not a host", "", "203.0.113.1"}) {
    options.port = 0;
    options.host = host;
    auto factory = [](Loop&, size_t) -> Handler { return test::nothing; };
    auto wrong = Server::bind(options, factory);
    ASSERT_FALSE(wrong.ok()) << host;
    EXPECT_EQ(wrong.error().code(), ErrorCode::kInvalidArgument);
  }
}

TEST_F(ServerTest, SeveralShardsShareThePort) {
  ServerOptions options;
  options.shards = 3;
  serve(options);
  ServerOptions again;
  again.port = server_->port();
  again.shards = 3;
  auto factory = [](Loop&, size_t) -> Handler { return test::nothing; };
  EXPECT_FALSE(Server::bind(again, factory).ok());
  std::vector<std::unique_ptr<RawSocket>> sockets;
  for (int i = 0; i < 50; ++i) sockets.push_back(dial());
  for (auto& socket : sockets) socket->send(kGet);
  for (auto& socket : sockets) EXPECT_EQ(status_of(socket->receive_until("GET /a ")), 200);
  EXPECT_EQ(server_->connections(), 50u);
}

TEST_F(ServerTest, ConnectionsAreLimited) {
  ServerOptions options;
  options.limits.connections_max = 2;
  serve(options);
  auto one = dial();
  auto two = dial();
  ASSERT_TRUE(eventually([&] { return server_->connections() == 2; }));
  auto three = dial();
  EXPECT_EQ(three->receive_all(), "");
  EXPECT_FALSE(three->timed_out());
  one->close();
  ASSERT_TRUE(eventually([&] { return server_->connections() == 1; }));
  auto four = dial();
  four->send(kGet);
  EXPECT_EQ(status_of(four->receive_until("GET /a ")), 200);
}

TEST_F(ServerTest, StopLetsRunningExchangesFinishAndClosesIdleOnes) {
  serve();
  auto idle = dial();
  idle->send(kGet);
  idle->receive_until("GET /a ");
  auto busy = dial();
  busy->send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return seen_.waiting.load(); }));
  std::thread stopper([&] { server_->stop(std::chrono::seconds(10)); });
  EXPECT_EQ(idle->receive_all(), "");
  seen_.release = true;
  const std::string answer = busy->receive_all();
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_NE(answer.find("connection: close"), std::string::npos);
  busy->close();
  stopper.join();
  EXPECT_EQ(seen_.cancelled, 0);
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(ServerTest, StopCancelsWhatDoesNotFinishInTime) {
  serve();
  auto socket = dial();
  socket->send("GET /cancel HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return seen_.waiting.load(); }));
  const auto from = std::chrono::steady_clock::now();
  server_->stop(milliseconds(50));
  EXPECT_LT(std::chrono::steady_clock::now() - from, std::chrono::seconds(5));
  EXPECT_EQ(seen_.cancelled, 1);
  server_->stop(milliseconds(50));
}

TEST_F(ServerTest, RandomBytesNeverBreakIt) {
  serve();
  uint64_t state = 12345;
  auto random = [&] {
    return state = state * 6364136223846793005u + 1442695040888963407u,
           static_cast<uint32_t>(state >> 33);
  };
  const std::string seed =
      "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  for (int i = 0; i < 300; ++i) {
    std::string bytes = seed + seed;
    for (uint32_t n = random() % 4; n > 0; --n)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    const std::string answer = ask(bytes);
    EXPECT_TRUE(answer.empty() || status_of(answer) != 0) << bytes;
  }
  EXPECT_EQ(status_of(ask(kGet)), 200);
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
}

TEST_F(ServerTest, ServesIpv6) {
  ServerOptions options;
  options.host = "::1";
  serve(options);
  Loop loop;
  auto client = Client::create(loop);
  auto answer = loop.run_until_done(test::fetch(
      *client,
      test::make_request("GET", "http://[::1]:" + std::to_string(server_->port()) + "/six")));
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_EQ(answer->body, "GET /six ");
}

}  // namespace
}  // namespace samplemind::net
