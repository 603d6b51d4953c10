// The client against scripted raw servers: every way an answer can go wrong.
#include "net/client.h"

#include <gtest/gtest.h>

#include <future>
#include <zlib.h>

#include <fcntl.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>

#include "net/test_support.h"

namespace samplemind::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Answer;
using test::fetch;
using test::make_request;
using test::RawSocket;
using test::ScriptedServer;

Result<Answer> get(Loop& loop, Client& client, const std::string& url) {
  return loop.run_until_done(fetch(client, make_request("GET", url)));
}

// A server that gives the same bytes to every request of every connection, and then ends the
// connection if `close`.
ScriptedServer::Script always(std::string bytes, bool close = true) {
  return [bytes, close](RawSocket& socket, int) {
    while (!socket.receive_request().empty()) {
      socket.send(bytes);
      if (close) return;
    }
  };
}

TEST(Client, SendsWhatWasAskedAndReadsEachFraming) {
  std::string seen;
  ScriptedServer server([&](RawSocket& socket, int) {
    seen = socket.receive_request();
    socket.send(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n "
        "world\r\n0\r\nX: y\r\n\r\n");
    socket.receive_request();
    socket.send(
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not "
        "Found\r\nContent-Length: 4\r\n\r\nnope");
    socket.receive_request();
    socket.send("HTTP/1.1 204 No Content\r\n\r\n");
    socket.receive_request();
    socket.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    socket.receive_request();
    socket.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
  });
  Loop loop;
  auto client = Client::create(loop);
  ClientRequest request = make_request("POST", server.url("/p?q=1"), "body");
  request.headers.add("X-Key", "secret");
  request.headers.add("Content-Length", "99");
  request.headers.add("Host", "evil");
  auto answer = loop.run_until_done(fetch(*client, std::move(request)));
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_EQ(answer->body, "hello world");
  const std::string port = std::to_string(server.port());
  EXPECT_EQ(seen, "POST /p?q=1 HTTP/1.1\r\nhost: 127.0.0.1:" + port +
                      "\r\nX-Key: secret\r\ncontent-length: 4\r\n\r\nbody");
  answer = get(loop, *client, server.url());
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 404);
  EXPECT_EQ(answer->body, "nope");
  answer = get(loop, *client, server.url());
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 204);
  answer = loop.run_until_done(fetch(*client, make_request("HEAD", server.url())));
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->body, "");
  answer = get(loop, *client, server.url());
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->body, "until the end");
  EXPECT_EQ(client->connections(), 0u);
}

TEST(Client, ACutOrBrokenAnswerIsAnErrorNeverAnEnd) {
  for (const char* bytes : {
           "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
           "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
           "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
           "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
           "HTTP/1.1 200 OK\r\nX",
           "HTTP/1.1 101 Switching Protocols\r\n\r\n",
           "220 smtp ready\r\n\r\n",
       }) {
    ScriptedServer server(always(bytes));
    Loop loop;
    auto client = Client::create(loop);
    auto answer = get(loop, *client, server.url());
    ASSERT_FALSE(answer.ok()) << bytes;
    EXPECT_EQ(answer.error().code(), ErrorCode::kUpstream) << bytes << answer.error().message();
    EXPECT_EQ(client->connections(), 0u);
  }
}

TEST(Client, AResetIsAnErrorAlsoWhereTheLengthIsUnknown) {
  for (const char* bytes :
       {"HTTP/1.1 200 OK\r\n\r\nsome", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nsome"}) {
    ScriptedServer server([&](RawSocket& socket, int) {
      socket.receive_request();
      socket.send(bytes);
      std::this_thread::sleep_for(milliseconds(20));
      socket.close_reset();
    });
    Loop loop;
    auto client = Client::create(loop);
    auto answer = get(loop, *client, server.url());
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code(), ErrorCode::kUpstream) << answer.error().message();
  }
  ScriptedServer before_the_head([](RawSocket& socket, int) {
    socket.receive_request();
    socket.close_reset();
  });
  Loop loop;
  auto client = Client::create(loop);
  auto answer = get(loop, *client, before_the_head.url());
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), ErrorCode::kUnavailable) << answer.error().message();
}

TEST(Client, KeepsAConnectionOnlyAfterAProperEnd) {
  std::atomic<int> connections{0};
  auto count = [&](ScriptedServer::Script script) {
    return [&connections, script](RawSocket& socket, int number) {
      ++connections;
      script(socket, number);
    };
  };
  {
    ScriptedServer server(count(always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false)));
    Loop loop;
    auto client = Client::create(loop);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(get(loop, *client, server.url()).ok());
    EXPECT_EQ(connections, 1);
    EXPECT_EQ(client->connections(), 1u);
  }
  for (const char* bytes :
       {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokLEFT", "HTTP/1.1 204 No Content\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 "
        "OK\r\n"}) {
    connections = 0;
    ScriptedServer server(count(always(bytes, false)));
    Loop loop;
    auto client = Client::create(loop);
    for (int i = 0; i < 2; ++i) {
      auto answer = get(loop, *client, server.url());
      ASSERT_TRUE(answer.ok()) << answer.error().message();
      EXPECT_NE(answer->body, "body");
    }
    EXPECT_EQ(connections, 2) << bytes;
    EXPECT_EQ(client->connections(), 0u);
  }
}

TEST(Client, ResendsOnceWhenAKeptConnectionTurnsOutClosed) {
  std::atomic<int> requests{0};
  ScriptedServer server([&](RawSocket& socket, int) {
    // One answer a connection, and the end only when the second request has come: the client cannot
    // know before.
    if (socket.receive_request().empty()) return;
    ++requests;
    socket.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    if (!socket.receive_request().empty()) ++requests;
  });
  Loop loop;
  auto client = Client::create(loop);
  ASSERT_TRUE(get(loop, *client, server.url()).ok());
  auto answer = loop.run_until_done(fetch(*client, make_request("POST", server.url(), "again")));
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_EQ(requests, 3);
  // On a fresh connection the same failure is reported.
  ScriptedServer silent([](RawSocket& socket, int) { socket.receive_request(); });
  answer = get(loop, *client, silent.url());
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), ErrorCode::kUnavailable);
  // And never once a byte has come back.
  std::atomic<int> second{0};
  ScriptedServer half([&](RawSocket& socket, int) {
    socket.receive_request();
    socket.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    if (!socket.receive_request().empty()) ++second;
    socket.send("HTTP/1.1");
  });
  ASSERT_TRUE(get(loop, *client, half.url()).ok());
  answer = get(loop, *client, half.url());
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(second, 1);
}

TEST(Client, AnEarlyRefusalIsReadAlthoughTheRequestWasNotTaken) {
  ScriptedServer server([](RawSocket& socket, int) {
    socket.receive_until("\r\n\r\n");
    socket.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    socket.end_sending();
    socket.receive_all();
  });
  Loop loop;
  auto client = Client::create(loop);
  auto answer = loop.run_until_done(
      fetch(*client, make_request("POST", server.url(), std::string(8 << 20, 'x'))));
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_EQ(answer->status, 413);
}

TEST(Client, AnEarlyAnswerEndsTheSendingThatNobodyTakes) {
  std::promise<void> answered;
  ScriptedServer server([&](RawSocket& socket, int) {
    socket.receive_until("\r\n\r\n");
    socket.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
    // Open, but taking nothing, until the answer was taken.
    EXPECT_EQ(answered.get_future().wait_for(seconds(30)), std::future_status::ready);
    socket.close_reset();
  });
  Loop loop;
  auto client = Client::create(loop);
  auto answer = loop.run_until_done(
      fetch(*client, make_request("POST", server.url(), std::string(32 << 20, 'x'))));
  answered.set_value();
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_EQ(answer->status, 401);
  EXPECT_EQ(client->connections(), 0u);
}

TEST(Client, ConnectionsAreNotInheritedByChildren) {
  ScriptedServer server(always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false));
  Loop loop;
  auto client = Client::create(loop);
  ASSERT_TRUE(get(loop, *client, server.url()).ok());
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int fd = std::stoi(entry.path().filename().string());
    int type = 0;
    socklen_t size = sizeof type;
    if (fd > 2 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM) {
      const int flags = fcntl(fd, F_GETFD);
      // The scripted server's accepted sockets are the test's own.
      sockaddr_in local{};
      size = sizeof local;
      getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size);
      EXPECT_TRUE(ntohs(local.sin_port) == server.port() || (flags & FD_CLOEXEC) != 0) << fd;
    }
  }
}

TEST(Client, TimeLimitsAreKept) {
  ScriptedServer silent([](RawSocket& socket, int) { socket.receive_all(); });
  ScriptedServer stalls([](RawSocket& socket, int) {
    socket.receive_request();
    socket.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123");
    socket.receive_all();
  });
  ScriptedServer drips([](RawSocket& socket, int) {
    socket.receive_request();
    socket.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    for (int i = 0; i < 200; ++i) {
      socket.send("x");
      std::this_thread::sleep_for(milliseconds(5));
    }
  });
  Loop loop;
  auto client = Client::create(loop);
  auto expect_late = [&](const ScriptedServer& server, auto set) {
    ClientRequest request = make_request("GET", server.url());
    set(request);
    const auto from = std::chrono::steady_clock::now();
    auto answer = loop.run_until_done(fetch(*client, std::move(request)));
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code(), ErrorCode::kDeadlineExceeded) << answer.error().message();
    EXPECT_LT(std::chrono::steady_clock::now() - from, seconds(2));
    EXPECT_EQ(client->connections(), 0u);
  };
  expect_late(silent,
              [](ClientRequest& request) { request.first_byte_timeout = milliseconds(80); });
  expect_late(silent, [](ClientRequest& request) { request.total_timeout = milliseconds(80); });
  expect_late(stalls, [](ClientRequest& request) { request.idle_timeout = milliseconds(80); });
  expect_late(drips, [](ClientRequest& request) { request.total_timeout = milliseconds(150); });
}

Task<Result<Answer>> fetch_and_note(Client& client, ClientRequest request, CancelToken cancel,
                                    bool& ended) {
  Result<Answer> answer = co_await fetch(client, std::move(request), cancel);
  ended = true;
  co_return answer;
}

TEST(Client, CancelClosesTheConnectionAtOnceAtEveryStage) {
  std::atomic<int> ended{0};
  ScriptedServer before([&](RawSocket& socket, int) {
    socket.receive_request();
    socket.receive();  // the end
    ++ended;
  });
  ScriptedServer inside([&](RawSocket& socket, int) {
    socket.receive_request();
    socket.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx");
    socket.receive();
    ++ended;
  });
  Loop loop;
  auto client = Client::create(loop);
  int expected = 0;
  for (const ScriptedServer* server : {&before, &inside}) {
    CancelToken cancel = CancelToken::create();
    Loop::Timer timer = loop.after(milliseconds(50), [cancel] { cancel.cancel(); });
    bool done = false;
    const auto from = std::chrono::steady_clock::now();
    auto answer = loop.run_until_done(
        fetch_and_note(*client, make_request("GET", server->url()), cancel, done));
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code(), ErrorCode::kCancelled);
    ++expected;
    while (ended < expected && std::chrono::steady_clock::now() - from < seconds(5))
      std::this_thread::yield();
    EXPECT_EQ(ended, expected);
    EXPECT_EQ(client->connections(), 0u);
  }
  // Before anything began.
  CancelToken cancel = CancelToken::create();
  cancel.cancel();
  auto answer = loop.run_until_done(fetch(*client, make_request("GET", before.url()), cancel));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), ErrorCode::kCancelled);
}

Task<bool> open_and_drop(Client& client, ClientRequest request) {
  auto sent = co_await client.send(std::move(request));
  co_return sent.ok();
}

TEST(Client, DroppingAnAnswerClosesItsConnectionAndTheClientMayDieFirst) {
  std::atomic<int> ended{0};
  ScriptedServer server([&](RawSocket& socket, int) {
    socket.receive_request();
    socket.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx");
    socket.receive();
    ++ended;
  });
  Loop loop;
  auto client = Client::create(loop);
  EXPECT_TRUE(loop.run_until_done(open_and_drop(*client, make_request("GET", server.url()))));
  EXPECT_EQ(client->connections(), 0u);
  auto sent = loop.run_until_done(client->send(make_request("GET", server.url())));
  ASSERT_TRUE(sent.ok());
  client.reset();
  auto response = std::move(sent).value();
  auto piece = loop.run_until_done(response->read_some());
  ASSERT_TRUE(piece.ok());
  EXPECT_EQ(*piece, "x");
  response.reset();
  while (ended < 2) std::this_thread::yield();
}

TEST(Client, FramesMayDieInTheMiddle) {
  ScriptedServer server([](RawSocket& socket, int) {
    socket.receive_request();
    socket.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx");
    socket.receive_all();
  });
  for (int turns = 0; turns < 12; ++turns) {
    Loop loop;
    auto client = Client::create(loop);
    auto task = fetch(*client, make_request("GET", server.url()));
    bool ended = false;
    CancelToken none;
    {
      auto wrapped = fetch_and_note(*client, make_request("GET", server.url()), none, ended);
      auto outer = [](Task<Result<Answer>> inner) -> Task<void> {
        auto ignored = co_await inner;
        EXPECT_FALSE(ignored.ok());
      };
      loop.spawn(outer(std::move(wrapped)));
      for (int i = 0; i < turns; ++i)
        loop.run_until_done(loop.sleep_for(std::chrono::microseconds(100)));
      loop.destroy_tasks();
    }
    loop.run_until_done(loop.sleep_for(milliseconds(1)));
    EXPECT_FALSE(ended);
    EXPECT_EQ(client->connections(), 0u);
  }
}

Task<void> fetch_into(Client& client, ClientRequest request, std::vector<Result<Answer>>& answers) {
  Result<Answer> answer = co_await fetch(client, std::move(request));
  answers.push_back(std::move(answer));
}

TEST(Client, ThePoolIsBoundedAndWaitingEndsInOrderOrInTime) {
  std::atomic<int> open{0};
  std::atomic<int> most{0};
  std::array<std::atomic<int>, 64> total{};
  ScriptedServer server([&](RawSocket& socket, int number) {
    const int now_open = ++open;
    for (int seen = most; now_open > seen && !most.compare_exchange_weak(seen, now_open);) {
    }
    int served = 0;
    while (!socket.receive_request().empty()) {
      ++served;
      std::this_thread::sleep_for(milliseconds(5));
      socket.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      total[number] = served;
    }
    --open;
  });
  {
    Loop loop;
    ClientOptions options;
    options.connections_per_host_max = 3;
    auto client = Client::create(loop, options);
    std::vector<Result<Answer>> answers;
    for (int i = 0; i < 30; ++i)
      loop.spawn(fetch_into(*client, make_request("GET", server.url()), answers));
    while (answers.size() < 30) loop.run_until_done(loop.sleep_for(milliseconds(1)));
    for (auto& answer : answers) EXPECT_TRUE(answer.ok()) << answer.error().message();
    EXPECT_EQ(most, 3);
    EXPECT_EQ(client->connections(), 3u);
    // All three were used to the end: one waiter woken for several freed connections would leave
    // some idle.
    EXPECT_GT(std::min({total[0].load(), total[1].load(), total[2].load()}), 4);
  }
  Loop loop;
  ClientOptions options;
  options.connections_per_host_max = 1;
  options.pool_timeout = milliseconds(50);
  auto client = Client::create(loop, options);
  ScriptedServer stuck([](RawSocket& socket, int) { socket.receive_all(); });
  std::vector<Result<Answer>> answers;
  loop.spawn(fetch_into(*client, make_request("GET", stuck.url()), answers));
  loop.run_until_done(loop.sleep_for(milliseconds(10)));
  auto refused = get(loop, *client, stuck.url());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(refused.error().message().find("busy"), std::string::npos);
  loop.destroy_tasks();
}

TEST(Client, IdleConnectionsAreClosedInTimeAndWhenTheServerEndsThem) {
  ScriptedServer server(always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false));
  ScriptedServer closing(always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true));
  Loop loop;
  ClientOptions options;
  options.keep_timeout = milliseconds(50);
  auto client = Client::create(loop, options);
  ASSERT_TRUE(get(loop, *client, server.url()).ok());
  EXPECT_EQ(client->connections(), 1u);
  loop.run_until_done(loop.sleep_for(milliseconds(120)));
  EXPECT_EQ(client->connections(), 0u);
  ClientOptions patient;
  auto other = Client::create(loop, patient);
  ASSERT_TRUE(get(loop, *other, closing.url()).ok());
  for (int i = 0; i < 1000 && other->connections() > 0; ++i)
    loop.run_until_done(loop.sleep_for(milliseconds(1)));
  EXPECT_EQ(other->connections(), 0u);
}

// More at once than are kept for long: in the next moment they serve again, and then they go.
TEST(Client, SpareConnectionsAreKeptForAMoment) {
  std::atomic<int> opened = 0;
  ScriptedServer server([&opened](RawSocket& socket, int) {
    ++opened;
    while (!socket.receive_request().empty())
      socket.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  Loop loop;
  ClientOptions options;
  options.kept_per_host_max = 2;
  auto client = Client::create(loop, options);
  const auto begin = std::chrono::steady_clock::now();
  for (int round = 0; round < 3; ++round) {
    std::vector<Result<Answer>> answers;
    for (int i = 0; i < 6; ++i)
      loop.spawn(fetch_into(*client, make_request("GET", server.url()), answers));
    while (answers.size() < 6) loop.run_until_done(loop.sleep_for(milliseconds(1)));
  }
  // On a machine that stands still for a second they may go sooner.
  if (std::chrono::steady_clock::now() - begin < milliseconds(900)) {
    EXPECT_EQ(opened, 6);
  }
  for (int i = 0; i < 5000 && client->connections() > 2; ++i)
    loop.run_until_done(loop.sleep_for(milliseconds(1)));
  EXPECT_EQ(client->connections(), 2u);
}

TEST(Client, UnreachableHostsAreNamed) {
  Loop loop;
  auto client = Client::create(loop);
  uint16_t port = 0;
  {
    ScriptedServer gone([](RawSocket&, int) {});
    port = gone.port();
  }
  for (const char* host : {"127.0.0.1", "localhost"}) {
    auto answer =
        get(loop, *client, "http://" + std::string(host) + ":" + std::to_string(port) + "/");
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code(), ErrorCode::kUnavailable);
    EXPECT_NE(answer.error().message().find(std::string(host) + ":" + std::to_string(port)),
              std::string::npos)
        << answer.error().message();
  }
  ClientOptions options;
  options.connect_timeout = milliseconds(2000);
  options.proxy_from_environment = false;
  auto direct = Client::create(loop, options);
  auto answer = get(loop, *direct, "http://no-such-host.invalid/");
  ASSERT_FALSE(answer.ok());
  EXPECT_TRUE(answer.error().code() == ErrorCode::kUnavailable ||
              answer.error().code() == ErrorCode::kDeadlineExceeded);
  EXPECT_NE(answer.error().message().find("no-such-host.invalid"), std::string::npos)
      << answer.error().message();
}

TEST(Client, RefusesHeadersThatWouldSplitTheRequest) {
  ScriptedServer server(always("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  Loop loop;
  auto client = Client::create(loop);
  for (const auto& [name, value] : {std::pair("X", "a\r\nY: b"), std::pair("X\r\nY", "a"),
                                    std::pair("X Y", "a"), std::pair("", "a")}) {
    ClientRequest request = make_request("GET", server.url());
    request.headers.add(name, value);
    auto answer = loop.run_until_done(fetch(*client, std::move(request)));
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code(), ErrorCode::kInvalidArgument);
  }
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(text.size() + 1000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(Client, DecodesGzipOnlyWhereItWasAskedForAndWhole) {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += std::to_string(i);
  const std::string packed = gzip(text);
  for (const bool cut : {false, true}) {
    const std::string data = cut ? packed.substr(0, packed.size() - 5) : packed;
    ScriptedServer server(always("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " +
                                     std::to_string(data.size()) + "\r\n\r\n" + data,
                                 false));
    Loop loop;
    auto client = Client::create(loop);
    ClientRequest request = make_request("GET", server.url());
    request.headers.add("Accept-Encoding", "gzip");
    auto answer = loop.run_until_done(fetch(*client, std::move(request)));
    if (cut) {
      ASSERT_FALSE(answer.ok());
      EXPECT_EQ(answer.error().code(), ErrorCode::kUpstream);
    } else {
      ASSERT_TRUE(answer.ok()) << answer.error().message();
      EXPECT_TRUE(answer->body == text);
      EXPECT_FALSE(answer->headers.has("content-encoding"));
    }
    EXPECT_FALSE(get(loop, *client, server.url()).ok());
  }
}

TEST(Client, AnAnswerNobodyReadsStopsAtItsBound) {
  std::atomic<size_t> sent{0};
  ScriptedServer server([&](RawSocket& socket, int) {
    socket.receive_request();
    socket.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    const timeval limit{0, 300000};
    setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const std::string block(100000, 'x');
    for (int i = 0; i < 1000; ++i) {
      const ssize_t took = ::send(socket.fd(), block.data(), block.size(), MSG_NOSIGNAL);
      if (took <= 0) return;
      sent += static_cast<size_t>(took);
    }
  });
  Loop loop;
  auto client = Client::create(loop);
  auto response = loop.run_until_done(client->send(make_request("GET", server.url())));
  ASSERT_TRUE(response.ok());
  loop.run_until_done(loop.sleep_for(milliseconds(500)));
  EXPECT_LT(sent, size_t{20} << 20);
}

class ProxyTest : public ::testing::Test {
 protected:
  void TearDown() override {
    for (const char* name : {"http_proxy", "https_proxy", "no_proxy"}) unsetenv(name);
  }
};

TEST_F(ProxyTest, TakesWholeUrlsAndCredentialsAndHonoursNoProxy) {
  std::string seen;
  ScriptedServer proxy([&](RawSocket& socket, int) {
    seen = socket.receive_request();
    socket.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  ScriptedServer direct(always("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ndirect"));
  setenv("http_proxy", ("http://user:p%40ss@127.0.0.1:" + std::to_string(proxy.port())).c_str(), 1);
  Loop loop;
  auto client = Client::create(loop);
  auto answer = get(loop, *client, "http://upstream.invalid/path?q");
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_EQ(answer->body, "ok");
  EXPECT_TRUE(
      seen.starts_with("GET http://upstream.invalid/path?q HTTP/1.1\r\nhost: upstream.invalid\r\n"))
      << seen;
  EXPECT_NE(seen.find("proxy-authorization: Basic dXNlcjpwQHNz\r\n"), std::string::npos) << seen;
  answer = get(loop, *client, direct.url());  // loopback never goes through a proxy
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->body, "direct");
  setenv("no_proxy", "other.example, .invalid", 1);
  seen.clear();
  EXPECT_FALSE(get(loop, *client, "http://upstream.invalid/").ok());
  EXPECT_EQ(seen, "");
}

TEST_F(ProxyTest, ReportsARefusedTunnel) {
  std::string seen;
  ScriptedServer proxy([&](RawSocket& socket, int) {
    seen = socket.receive_request();
    socket.send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
  });
  setenv("https_proxy", ("127.0.0.1:" + std::to_string(proxy.port())).c_str(), 1);
  Loop loop;
  auto client = Client::create(loop);
  auto answer = get(loop, *client, "https://upstream.invalid/");
  ASSERT_FALSE(answer.ok());
  EXPECT_NE(answer.error().message().find("407"), std::string::npos) << answer.error().message();
  EXPECT_TRUE(seen.starts_with("CONNECT upstream.invalid:443 HTTP/1.1\r\n")) << seen;
}

}  // namespace
}  // namespace samplemind::net
