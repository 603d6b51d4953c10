// The client's HTTP/2 against scripted servers: what it makes of their frames, faults and limits.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "net/http2_test_support.h"

namespace samplemind::net {
namespace {

using std::chrono::milliseconds;
using namespace test;  // NOLINT: the frames' names

ClientRequest ask(const std::string& url, std::string body = {}) {
  const std::string method = body.empty() ? "GET" : "POST";
  ClientRequest request = make_request(method, url, std::move(body));
  request.use = HttpUse::kHttp2;
  return request;
}

// A server whose every connection is a scripted HTTP/2 peer.
class Http2Script : public ScriptedServer {
 public:
  using PeerScript = std::function<void(Http2Peer&, int)>;
  explicit Http2Script(PeerScript script)
      : ScriptedServer([script = std::move(script)](RawSocket& socket, int number) {
          Http2Peer peer(socket);
          script(peer, number);
        }) {}
};

void answer(Http2Peer& peer, uint32_t stream, const std::string& body) {
  peer.send(kHeaders, kEndHeaders, stream, status_fields("200"));
  peer.send(kData, kEndStream, stream, body);
}

Task<void> fetch_into(Client& client, ClientRequest request, std::vector<Result<Answer>>& out,
                      CancelToken cancel = {}) {
  Result<Answer> got = co_await fetch(client, std::move(request), cancel);
  out.push_back(std::move(got));
}

struct Requests {
  explicit Requests(ClientOptions options = {})
      : client(Client::create(loop, std::move(options))) {}
  Result<Answer> get(const std::string& url, std::string body = {}) {
    return loop.run_until_done(fetch(*client, ask(url, std::move(body))));
  }
  void start(const std::string& url, std::string body = {}, CancelToken cancel = {}) {
    ++started;
    loop.spawn(fetch_into(*client, ask(url, std::move(body)), done, cancel));
  }
  void finish() { finish(started); }
  void finish(size_t count) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (done.size() < count && std::chrono::steady_clock::now() < until)
      loop.run_until_done(loop.sleep_for(milliseconds(1)));
    while (done.size() < count) done.emplace_back(Error(ErrorCode::kInternal, "never answered"));
  }
  Loop loop;
  std::vector<Result<Answer>> done;
  size_t started = 0;
  std::unique_ptr<Client> client;
};

TEST(Http2Client, SendsWhatWasAskedAndReadsTheAnswer) {
  Http2Script server([](Http2Peer& peer, int) {
    peer.accept();
    uint32_t stream = 0;
    auto head = peer.head(stream);
    EXPECT_EQ(head[":method"], "POST");
    EXPECT_EQ(head[":scheme"], "http");
    EXPECT_EQ(head[":path"], "/p?q=1");
    EXPECT_TRUE(head[":authority"].starts_with("127.0.0.1:"));
    EXPECT_EQ(head["content-length"], "4");
    EXPECT_EQ(head["x-key"], "v");
    EXPECT_FALSE(head.contains("connection"));
    EXPECT_FALSE(head.contains("host"));
    EXPECT_EQ(peer.next(kData).payload, "body");
    peer.send(kHeaders, kEndHeaders, stream, status_fields("103", {{"link", "x"}}));
    peer.send(kHeaders, kEndHeaders, stream, status_fields("201", {{"x-a", "b"}}));
    peer.send(kData, 0, stream, "one ");
    peer.send(kData, 0, stream, "two");
    peer.send(kHeaders, kEndHeaders | kEndStream, stream, hpack({{"x-trailer", "t"}}));
    peer.ended();
  });
  Requests run;
  ClientRequest request = ask(server.url("/p?q=1"), "body");
  request.headers.add("X-Key", "v");
  request.headers.add("Connection", "close");
  auto got = run.loop.run_until_done(fetch(*run.client, std::move(request)));
  ASSERT_TRUE(got.ok()) << got.error().message();
  EXPECT_EQ(got->status, 201);
  EXPECT_EQ(got->body, "one two");
  EXPECT_EQ(got->headers.get("x-a"), "b");
  EXPECT_FALSE(got->headers.has("link"));
  EXPECT_FALSE(got->headers.has("x-trailer"));
}

TEST(Http2Client, ACutOrBrokenAnswerIsAnErrorNeverAnEnd) {
  using Fault = std::function<void(Http2Peer&, uint32_t)>;
  const std::map<std::string, Fault> faults = {
      {"reset", [](Http2Peer& p, uint32_t s) { p.send(kRstStream, 0, s, big_endian(2, 4)); }},
      {"reset without error",
       [](Http2Peer& p, uint32_t s) { p.send(kRstStream, 0, s, big_endian(0, 4)); }},
      {"reset as if never looked at",
       [](Http2Peer& p, uint32_t s) { p.send(kRstStream, 0, s, big_endian(7, 4)); }},
      {"end of the connection", [](Http2Peer&, uint32_t) {}},
      {"goaway that leaves it out, then the end",
       [](Http2Peer& p, uint32_t) { p.send(kGoaway, 0, 0, big_endian(0, 8)); }},
      {"shorter than its length",
       [](Http2Peer& p, uint32_t s) { p.send(kData, kEndStream, s, "x"); }},
      {"longer than its length",
       [](Http2Peer& p, uint32_t s) { p.send(kData, kEndStream, s, std::string(100, 'x')); }},
      {"frame of a stream that is not there",
       [](Http2Peer& p, uint32_t) { p.send(kData, 0, 99, "x"); }},
      {"padding longer than the frame",
       [](Http2Peer& p, uint32_t s) { p.send(kData, 8, s, "\x7f"); }},
      {"bytes that are no frame", [](Http2Peer& p, uint32_t) { p.raw(std::string(50, '\xff')); }},
      {"a second head",
       [](Http2Peer& p, uint32_t s) { p.send(kHeaders, kEndHeaders, s, status_fields("200")); }}};
  for (const auto& [name, fault] : faults) {
    std::atomic<int> requests{0};
    Http2Script server([&, fault = fault](Http2Peer& peer, int) {
      peer.accept();
      uint32_t stream = 0;
      if (peer.head(stream).empty()) return;
      ++requests;
      peer.send(kHeaders, kEndHeaders, stream, status_fields("200", {{"content-length", "10"}}));
      peer.send(kData, 0, stream, "half ");
      fault(peer, stream);
      if (name.ends_with("end") || name.starts_with("end")) {
        peer.end();
      } else {
        peer.ended();
      }
    });
    Requests run;
    const Result<Answer> got = run.get(server.url());
    EXPECT_EQ(got.ok() ? ErrorCode::kInternal : got.error().code(), ErrorCode::kUpstream) << name;
    run.client.reset();
    EXPECT_EQ(requests, 1) << name;  // what has begun to answer is never asked again
  }
}

TEST(Http2Client, RequestsThatWereNotLookedAtGoToAnotherConnection) {
  std::atomic<int> connections{0};
  Http2Script server([&](Http2Peer& peer, int number) {
    ++connections;
    peer.accept();
    uint32_t first = 0, second = 0;
    if (number > 0) {
      if (peer.head(first).empty()) return;
      answer(peer, first, "again");
      peer.ended();
      return;
    }
    peer.head(first);
    peer.head(second);
    peer.send(kGoaway, 0, 0, big_endian(first, 4) + big_endian(0, 4));  // `second` stays out
    peer.send(kHeaders, kEndHeaders, first, status_fields("200"));
    std::this_thread::sleep_for(milliseconds(20));
    peer.send(kData, kEndStream, first, "served");  // what was begun is finished
    peer.ended();
  });
  Requests run;
  run.start(server.url("/1"), "body 1");
  run.start(server.url("/2"), "body 2");
  run.finish();
  ASSERT_EQ(run.done.size(), 2u);
  for (const auto& each : run.done) ASSERT_TRUE(each.ok()) << each.error().message();
  EXPECT_EQ(run.done[0]->body + run.done[1]->body == "servedagain" ||
                run.done[0]->body + run.done[1]->body == "againserved",
            true);
  EXPECT_EQ(connections, 2);
  run.client.reset();
}

TEST(Http2Client, ARefusedStreamIsSentAgainButNotForever) {
  std::atomic<int> requests{0};
  Http2Script server([&](Http2Peer& peer, int) {
    peer.accept();
    uint32_t stream = 0;
    while (!peer.head(stream).empty()) {
      ++requests;
      if (requests <= 2) {
        EXPECT_EQ(peer.next(kData).payload, "body");
        peer.send(kRstStream, 0, stream, big_endian(7, 4));
      } else if (requests == 3) {
        EXPECT_EQ(peer.next(kData).payload, "body");
        answer(peer, stream, "at last");
      } else {
        peer.send(kRstStream, 0, stream, big_endian(7, 4));
      }
    }
  });
  Requests run;
  Result<Answer> got = run.get(server.url(), "body");
  ASSERT_TRUE(got.ok()) << got.error().message();
  EXPECT_EQ(got->body, "at last");
  got = run.get(server.url());
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(requests, 3 + 4);
  run.client.reset();
}

TEST(Http2Client, AResetBeforeTheAnswerIsUnavailableAndNotSentAgain) {
  std::atomic<int> requests{0};
  Http2Script server([&](Http2Peer& peer, int) {
    peer.accept();
    uint32_t stream = 0;
    while (!peer.head(stream).empty()) {
      ++requests;
      peer.send(kRstStream, 0, stream, big_endian(2, 4));
    }
  });
  Requests run;
  Result<Answer> got = run.get(server.url());
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(got.error().message().find("INTERNAL_ERROR"), std::string::npos);
  EXPECT_EQ(requests, 1);
  EXPECT_EQ(run.client->connections(), 1u);  // the connection is as good as before
  run.client.reset();
}

TEST(Http2Client, WhyThePeerEndedTheConnectionIsTold) {
  Http2Script server([](Http2Peer& peer, int) {
    peer.accept();
    uint32_t stream = 0;
    if (peer.head(stream).empty()) return;
    peer.send(kGoaway, 0, 0, big_endian(stream, 4) + big_endian(11, 4));
    peer.end();
  });
  Requests run;
  const Result<Answer> got = run.get(server.url());
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(got.error().message().find("ENHANCE_YOUR_CALM"), std::string::npos)
      << got.error().message();
  run.client.reset();
}

TEST(Http2Client, AConnectionClosedWhileItWasIdleIsReplaced) {
  std::atomic<int> connections{0};
  Http2Script server([&](Http2Peer& peer, int number) {
    ++connections;
    peer.accept();
    uint32_t stream = 0;
    if (peer.head(stream).empty()) return;
    answer(peer, stream, "first of " + std::to_string(number));
    if (number == 0) {
      peer.head(stream);  // takes the second request and closes without a word
      return;
    }
    peer.ended();
  });
  Requests run;
  EXPECT_EQ(run.get(server.url())->body, "first of 0");
  const Result<Answer> second = run.get(server.url(), "body");
  ASSERT_TRUE(second.ok()) << second.error().message();
  EXPECT_EQ(second->body, "first of 1");
  run.client.reset();
}

TEST(Http2Client, StaysWithinThePeersStreamLimitAndSpreadsOverConnections) {
  std::atomic<int> open{0}, most{0}, total{0}, connections{0};
  Http2Script server([&](Http2Peer& peer, int) {
    ++connections;
    peer.accept(setting(3, 2));
    int mine = 0;
    std::vector<uint32_t> waiting;
    uint32_t stream = 0;
    while (!peer.head(stream).empty()) {
      most = std::max<int>(most, ++mine);
      ++open;
      ++total;
      waiting.push_back(stream);
      if (waiting.size() == 2 || total >= 11) {
        for (const uint32_t id : waiting) answer(peer, id, "ok");
        mine -= static_cast<int>(waiting.size());
        waiting.clear();
      }
    }
  });
  ClientOptions options;
  options.http2_connections_max = 3;
  options.pool_timeout = std::chrono::seconds(20);
  Requests run(options);
  run.start(server.url());  // teaches the limit
  run.start(server.url());
  run.finish();
  for (int i = 0; i < 10; ++i) run.start(server.url());
  run.finish();
  for (const auto& each : run.done) EXPECT_TRUE(each.ok());
  EXPECT_LE(most, 2);
  EXPECT_LE(connections, 3);
  EXPECT_GE(connections, 2);
  EXPECT_LE(run.client->connections(), 3u);
  run.client.reset();
}

TEST(Http2Client, ASlowReaderNeverStallsItsNeighboursAndItsMemoryIsBounded) {
  std::atomic<bool> reading{false};
  ClientOptions options;
  options.http2_window = 100000;
  // One stream is filled and left alone, many others come and go.
  Http2Script server([&](Http2Peer& peer, int) {
    peer.accept();
    uint32_t slow = 0, quick = 0;
    peer.head(slow);
    peer.send(kHeaders, kEndHeaders, slow, status_fields("200"));
    for (int i = 0; i < 10; ++i) peer.send(kData, 0, slow, std::string(10000, 's'));
    for (int i = 0; i < 300; ++i) {  // 30 MB: more than the connection's first window
      peer.head(quick);
      peer.send(kHeaders, kEndHeaders, quick, status_fields("200"));
      for (int n = 0; n < 10; ++n)
        peer.send(kData, n == 9 ? kEndStream : 0, quick, std::string(10000, 'q'));
    }
    Frame f;
    do {
      f = peer.next(kWindowUpdate);
      EXPECT_TRUE(f.stream != slow || reading) << "the window opened although nobody read";
    } while (f.stream != slow && f.type >= 0);
    peer.send(kData, kEndStream, slow, "end");
    peer.ended();
  });
  Requests run(options);
  auto stuck = run.loop.run_until_done(run.client->send(ask(server.url("/slow"))));
  ASSERT_TRUE(stuck.ok());
  for (int i = 0; i < 300; ++i) {
    const Result<Answer> other = run.get(server.url());
    ASSERT_TRUE(other.ok()) << i << other.error().message();
    ASSERT_EQ(other->body.size(), 100000u);
  }
  reading = true;
  auto all = run.loop.run_until_done((*stuck)->read_all(1 << 20));
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->size(), 100003u);
  stuck->reset();
  run.client.reset();
}

TEST(Http2Client, APeerThatTakesNoBodyEndsInTimeAndItsNeighboursGoOn) {
  Http2Script server([](Http2Peer& peer, int) {
    peer.accept(setting(4, 0));  // no window at all for bodies
    uint32_t stream = 0;
    peer.head(stream);
    answer(peer, stream, "");  // the window is known from now on
    peer.head(stream);         // the one with the body
    peer.head(stream);
    answer(peer, stream, "no body needed");
    EXPECT_EQ(peer.next(kRstStream).stream, 3u);
    peer.head(stream);
    answer(peer, stream, "after it");
    peer.ended();
  });
  ClientOptions options;
  options.write_timeout = milliseconds(200);
  Requests run(options);
  ASSERT_TRUE(run.get(server.url()).ok());
  run.start(server.url("/body"), "never taken");
  run.start(server.url("/"));
  run.finish();
  ASSERT_TRUE(run.done[0].ok());
  EXPECT_EQ(run.done[0]->body, "no body needed");
  ASSERT_FALSE(run.done[1].ok());
  EXPECT_EQ(run.done[1].error().code(), ErrorCode::kDeadlineExceeded);
  // The same connection goes on; and a client that ended now could end before its RST_STREAM was
  // written.
  const Result<Answer> after = run.get(server.url());
  ASSERT_TRUE(after.ok()) << after.error().message();
  EXPECT_EQ(after->body, "after it");
  EXPECT_EQ(run.client->connections(), 1u);
  run.client.reset();
}

TEST(Http2Client, WindowsThatOpenByteByByteAreFollowed) {
  std::string got;
  Http2Script server([&](Http2Peer& peer, int) {
    peer.accept(setting(4, 3));
    uint32_t stream = 0;
    peer.head(stream);
    answer(peer, stream, "");
    peer.head(stream);
    for (;;) {
      const Frame f = peer.next(kData);
      if (f.type < 0) return;
      got += f.payload;
      EXPECT_LE(f.payload.size(), 3u);
      if ((f.flags & kEndStream) != 0) break;
      peer.send(kWindowUpdate, 0, stream, big_endian(1, 4));
    }
    answer(peer, stream, "taken");
    peer.ended();
  });
  Requests run;
  ASSERT_TRUE(run.get(server.url()).ok());
  const Result<Answer> answered = run.get(server.url(), "a body of some bytes");
  ASSERT_TRUE(answered.ok()) << answered.error().message();
  EXPECT_EQ(got, "a body of some bytes");
  run.client.reset();
}

TEST(Http2Client, TimeLimitsAreKeptByResettingTheStreamAlone) {
  Http2Script server([](Http2Peer& peer, int) {
    peer.accept();
    uint32_t stream = 0;
    peer.head(stream);  // silent
    EXPECT_EQ(peer.next(kRstStream).stream, stream);
    peer.head(stream);  // stalls
    peer.send(kHeaders, kEndHeaders, stream, status_fields("200"));
    peer.send(kData, 0, stream, "some");
    EXPECT_EQ(peer.next(kRstStream).stream, stream);
    peer.head(stream);
    answer(peer, stream, "fine");
    peer.ended();
  });
  Requests run;
  ClientRequest silent = ask(server.url());
  silent.first_byte_timeout = milliseconds(50);
  auto got = run.loop.run_until_done(fetch(*run.client, std::move(silent)));
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), ErrorCode::kDeadlineExceeded);
  ClientRequest stalled = ask(server.url());
  stalled.idle_timeout = milliseconds(50);
  got = run.loop.run_until_done(fetch(*run.client, std::move(stalled)));
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(run.get(server.url())->body, "fine");
  EXPECT_EQ(run.client->connections(), 1u);
  run.client.reset();
}

TEST(Http2Client, ADeadConnectionIsFoundByItsPing) {
  Http2Script server([](Http2Peer& peer, int number) {
    peer.accept();
    uint32_t stream = 0;
    if (peer.head(stream).empty()) return;
    if (number == 1) {
      answer(peer, stream, "alive");
      peer.ended();
      return;
    }
    EXPECT_EQ(peer.next(kPing).type, kPing);
    peer.ended();  // no answer to it
  });
  ClientOptions options;
  options.http2_ping_after = milliseconds(50);
  options.http2_ping_timeout = milliseconds(100);
  Requests run(options);
  const Result<Answer> got = run.get(server.url());
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(got.error().message().find("PING"), std::string::npos) << got.error().message();
  EXPECT_EQ(run.get(server.url())->body, "alive");
  run.client.reset();
}

TEST(Http2Client, CancelResetsItsStreamAtOnceAndDroppingAnAnswerDoesToo) {
  std::atomic<int> resets{0};
  Http2Script server([&](Http2Peer& peer, int) {
    peer.accept();
    uint32_t stream = 0;
    peer.head(stream);
    Frame f = peer.next(kRstStream);
    EXPECT_EQ(number(f.payload), 8u);
    ++resets;
    peer.head(stream);
    peer.send(kHeaders, kEndHeaders, stream, status_fields("200"));
    f = peer.next(kRstStream);
    EXPECT_EQ(f.stream, stream);
    ++resets;
    peer.ended();
  });
  Requests run;
  const CancelToken cancel = CancelToken::create();
  run.start(server.url(), {}, cancel);
  run.loop.run_until_done(run.loop.sleep_for(milliseconds(50)));
  const auto from = std::chrono::steady_clock::now();
  cancel.cancel();
  run.finish();
  EXPECT_LT(std::chrono::steady_clock::now() - from, milliseconds(100));
  ASSERT_FALSE(run.done[0].ok());
  EXPECT_EQ(run.done[0].error().code(), ErrorCode::kCancelled);
  {
    auto response = run.loop.run_until_done(run.client->send(ask(server.url())));
    ASSERT_TRUE(response.ok());
  }
  for (int i = 0; i < 5000 && resets < 2; ++i)
    run.loop.run_until_done(run.loop.sleep_for(milliseconds(1)));
  EXPECT_EQ(resets, 2);
  EXPECT_EQ(run.client->connections(), 1u);
  run.client.reset();
}

TEST(Http2Client, LimitsHeadersAndRefusesWhatIsNoHttp2) {
  ClientOptions options;
  options.header_bytes_max = 2000;
  {
    Http2Script server([](Http2Peer& peer, int) {
      peer.accept();
      uint32_t stream = 0;
      peer.head(stream);
      peer.send(kHeaders, kEndHeaders | kEndStream, stream,
                status_fields("200", {{"a", std::string(3000, 'x')}}));
      peer.ended();
    });
    Requests run(options);
    const Result<Answer> got = run.get(server.url());
    ASSERT_FALSE(got.ok());
    EXPECT_EQ(got.error().code(), ErrorCode::kUpstream);
    run.client.reset();
  }
  ScriptedServer http1([](RawSocket& socket, int) {
    socket.receive();
    socket.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    socket.receive();
  });
  Requests run;
  const Result<Answer> got = run.get(http1.url());
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), ErrorCode::kUnavailable);
  run.client.reset();
}

TEST(Http2Client, FramesMayDieInTheMiddle) {
  Http2Script server([](Http2Peer& peer, int) {
    peer.accept();
    while (peer.next().type >= 0) {
    }
  });
  for (int pause : {0, 1, 20}) {
    Requests run;
    for (int i = 0; i < 5; ++i) run.start(server.url(), "body");
    run.loop.run_until_done(run.loop.sleep_for(milliseconds(pause)));
    if (pause == 1) run.client.reset();
    run.loop.destroy_tasks();
  }
}

TEST(Http2Client, ManyAtOnceShareOneConnectionFromTheFirst) {
  std::atomic<int> connections{0};
  Http2Script server([&](Http2Peer& peer, int) {
    ++connections;
    peer.accept();
    uint32_t stream = 0;
    while (!peer.head(stream).empty()) answer(peer, stream, std::to_string(stream));
  });
  Requests run;
  for (int i = 0; i < 100; ++i) run.start(server.url());
  run.finish();
  std::map<std::string, int> bodies;
  for (const auto& each : run.done) {
    ASSERT_TRUE(each.ok()) << each.error().message();
    ++bodies[each->body];
  }
  EXPECT_EQ(bodies.size(), 100u);
  EXPECT_EQ(connections, 1);
  run.client.reset();
}

}  // namespace
}  // namespace samplemind::net
