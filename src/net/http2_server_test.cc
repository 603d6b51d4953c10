// The server's HTTP/2 against raw frames: what it answers, and what it refuses.
#include <gtest/gtest.h>

#include "net/http2_test_support.h"
#include "net/server_test_support.h"

namespace samplemind::net {
namespace {

using std::chrono::milliseconds;
using namespace test;  // NOLINT: the frames' names

constexpr uint32_t kCalm = static_cast<uint32_t>(Http2Code::kEnhanceYourCalm);

class Http2ServerTest : public ServerTest {
 protected:
  // One request on a connection of its own: its answer's fields, or the code of its reset.
  std::string outcome(const std::string& fields, const std::string& body = {}) {
    auto socket = dial();
    Http2Peer peer(*socket);
    peer.greet();
    const int end = body.empty() ? kEndStream : 0;
    peer.send(kHeaders, kEndHeaders | end, 1, fields);
    if (!body.empty()) peer.send(kData, kEndStream, 1, body);
    for (;;) {
      const Frame f = peer.next();
      if (f.type < 0) return "closed";
      if (f.type == kRstStream) return "reset " + std::to_string(number(f.payload));
      if (f.type == kGoaway)
        return "goaway " + std::to_string(number(std::string_view(f.payload).substr(4)));
      if (f.type == kHeaders && f.stream == 1) {
        const size_t at = f.payload.find_first_of("\x88\x8c\x8d\x8e");  // 200, 400, 404, 500
        return at == 0 && f.payload[0] == '\x88' ? "200" : "refused";
      }
    }
  }
};

TEST_F(Http2ServerTest, IsSpokenByPriorKnowledgeAtEverySplitOfThePreface) {
  serve();
  const std::string bytes =
      std::string(kHttp2Preface) + frame(kSettings, 0, 0) +
      frame(kHeaders, kEndHeaders, 1, request_fields("/echo", {{"content-length", "4"}}, "POST")) +
      frame(kData, kEndStream, 1, "body");
  for (size_t split = 1; split < bytes.size(); split += split < 30 ? 1 : 7) {
    auto socket = dial();
    Http2Peer peer(*socket);
    socket->send(std::string_view(bytes).substr(0, split));
    std::this_thread::sleep_for(std::chrono::microseconds(300));
    socket->send(std::string_view(bytes).substr(split));
    uint32_t stream = 0;
    auto fields = peer.head(stream);
    EXPECT_EQ(fields[":status"], "200") << split;
    EXPECT_EQ(fields["content-length"], "15");
    EXPECT_TRUE(fields.contains("date"));
    EXPECT_EQ(peer.next(kData).payload, "POST /echo body") << split;
  }
}

TEST_F(Http2ServerTest, WhatOnlyBeginsLikeThePrefaceIsHttp1) {
  serve();
  EXPECT_NE(ask("PRI * HTTP/1.1\r\nHost: h\r\n\r\n").find("HTTP/1.1 4"), std::string::npos);
  EXPECT_NE(ask("PRINT /a HTTP/1.1\r\nHost: h\r\n\r\n").find("HTTP/1.1 200"), std::string::npos);
}

TEST_F(Http2ServerTest, ServesManyStreamsAtOnceAndBodiesBothWays) {
  serve();
  auto socket = dial();
  Http2Peer peer(*socket);
  peer.greet();
  peer.send(kHeaders, kEndHeaders, 1, request_fields("/mirror", {}, "POST"));
  peer.send(kHeaders, kEndHeaders | kEndStream, 3, request_fields("/a"));
  uint32_t stream = 0;
  std::map<uint32_t, std::string> bodies;
  peer.head(stream);
  peer.head(stream);  // both have been answered while the first one's body is still to come
  peer.send(kData, 0, 1, "one ");
  peer.send(kData, kEndStream, 1, "two");
  for (int ended = 0; ended < 2;) {
    const Frame f = peer.next(kData);
    ASSERT_EQ(f.type, kData);
    bodies[f.stream] += f.payload;
    if ((f.flags & kEndStream) != 0) ++ended;
  }
  EXPECT_EQ(bodies[1], "one two");
  EXPECT_EQ(bodies[3], "GET /a ");
}

TEST_F(Http2ServerTest, RefusesWhatTwoReadersCouldUnderstandDifferently) {
  serve();
  using Fields = std::vector<std::pair<std::string, std::string>>;
  for (const Fields& more :
       {Fields{{"transfer-encoding", "chunked"}}, Fields{{"connection", "close"}},
        Fields{{"te", "gzip"}}, Fields{{"Upper", "x"}}, Fields{{"a", "x\r\nb: y"}},
        Fields{{"a b", "x"}}, Fields{{"content-length", "1"}, {"content-length", "1"}},
        Fields{{"content-length", "-1"}}, Fields{{"host", "other"}},
        Fields{{"host", "a"}, {"host", "127.0.0.1"}}, Fields{{":path", "/twice"}},
        Fields{{"expect", "magic"}}}) {
    EXPECT_NE(outcome(request_fields("/a", more)), "200")
        << more[0].first << ": " << more[0].second;
  }
  EXPECT_EQ(outcome(request_fields("/a", {{"content-length", "5"}}, "POST"), "1234"), "reset 1");
  EXPECT_EQ(outcome(request_fields("/a", {{"content-length", "3"}}, "POST"), "1234"), "reset 1");
  for (const char* path : {"", "a", "http://x/", "/a b", "*", "/a#b"})
    EXPECT_NE(outcome(request_fields(path)), "200") << path;
  EXPECT_NE(outcome(hpack({{":method", "CONNECT"}, {":authority", "x:1"}})), "200");
  EXPECT_NE(outcome(hpack({{":method", "GET"}, {":scheme", "http"}, {":path", "/"}})), "200");
  EXPECT_LE(seen_.calls, 2);  // at most the two whose bodies turned out wrong
  EXPECT_EQ(outcome(request_fields("/a", {{"te", "trailers"}, {"host", "127.0.0.1"}})), "200");
}

TEST_F(Http2ServerTest, LimitsHeadersAndBodies) {
  ServerOptions options;
  options.limits.header_bytes_max = 4096;
  options.limits.body_bytes_max = 1000;
  serve(options);
  {
    auto socket = dial();
    Http2Peer peer(*socket);
    peer.greet();
    peer.send(kHeaders, kEndHeaders | kEndStream, 1,
              request_fields("/a", {{"long", std::string(5000, 'x')}}));
    uint32_t stream = 0;
    EXPECT_EQ(peer.head(stream)[":status"], "431");
    peer.send(kHeaders, kEndHeaders, 3, request_fields("/a", {{"content-length", "1001"}}, "POST"));
    EXPECT_EQ(peer.head(stream)[":status"], "413");
    peer.send(kHeaders, kEndHeaders, 5, request_fields("/echo", {}, "POST"));
    peer.send(kData, kEndStream, 5, std::string(1001, 'x'));
    EXPECT_EQ(peer.head(stream)[":status"], "413");
    peer.send(kHeaders, kEndHeaders | kEndStream, 7, request_fields("/a"));
    EXPECT_EQ(peer.head(stream)[":status"], "200");  // the connection goes on
  }
  auto socket = dial();  // far over the limit: not worth decoding on
  Http2Peer peer(*socket);
  peer.greet();
  peer.send(kHeaders, kEndStream, 1, request_fields("/a", {{"a", std::string(15000, 'x')}}));
  peer.send(kContinuation, kEndHeaders, 1, hpack({{"b", std::string(15000, 'x')}}));
  EXPECT_EQ(peer.goaway(), kCalm);
}

TEST_F(Http2ServerTest, FloodsEndTheConnection) {
  serve();
  const std::string request = request_fields("/cancel");
  const std::map<std::string, std::function<std::string(uint32_t)>> floods = {
      {"rapid reset",
       [&](uint32_t i) {
         return frame(kHeaders, kEndHeaders | kEndStream, 2 * i + 1, request) +
                frame(kRstStream, 0, 2 * i + 1, big_endian(8, 4));
       }},
      {"ping", [](uint32_t) { return frame(kPing, 0, 0, "12345678"); }},
      {"settings", [](uint32_t i) { return frame(kSettings, 0, 0, setting(4, 1000 + i)); }},
      {"priority", [](uint32_t i) { return frame(kPriority, 0, 2 * i + 1, std::string(5, '\0')); }},
      {"continuation",
       [&](uint32_t i) {
         return i == 0 ? frame(kHeaders, 0, 1, request) : frame(kContinuation, 0, 1, "");
       }},
      {"empty data", [&](uint32_t i) {
         return i == 0 ? frame(kHeaders, kEndHeaders, 1, request_fields("/cancel", {}, "POST"))
                       : frame(kData, 0, 1, "");
       }}};
  for (const auto& [name, make] : floods) {
    auto socket = dial();
    Http2Peer peer(*socket);
    peer.greet();
    std::thread sender([&] {
      for (uint32_t i = 0; i < 3000; ++i) peer.raw(make(i));
    });
    const std::optional<uint32_t> code = peer.goaway();
    socket->end_sending();
    sender.join();
    ASSERT_TRUE(code.has_value()) << name;
    EXPECT_EQ(*code, kCalm) << name;
  }
  EXPECT_TRUE(eventually([&] { return server_->active_exchanges() == 0; }));
  EXPECT_EQ(seen_.cancelled, seen_.waiting ? seen_.calls.load() : 0);
  EXPECT_NE(ask("GET /a HTTP/1.1\r\nHost: h\r\n\r\n").find("200"), std::string::npos);
}

TEST_F(Http2ServerTest, SlowHeadsAndSilenceEndTheConnection) {
  ServerOptions options;
  options.limits.header_timeout = milliseconds(100);
  options.limits.idle_timeout = milliseconds(150);
  serve(options);
  const std::string head = frame(kHeaders, kEndHeaders, 1, request_fields("/a"));
  for (const std::string& begun :
       {std::string(kHttp2Preface.substr(0, 10)), std::string(kHttp2Preface),
        std::string(kHttp2Preface) + frame(kSettings, 0, 0),
        std::string(kHttp2Preface) + frame(kSettings, 0, 0) + head.substr(0, head.size() / 2),
        std::string(kHttp2Preface) + frame(kSettings, 0, 0) +
            frame(kHeaders, 0, 1, request_fields("/a"))}) {
    auto socket = dial();
    socket->send(begun);
    const auto from = std::chrono::steady_clock::now();
    socket->receive_all();
    EXPECT_FALSE(socket->timed_out()) << begun.size();
    EXPECT_LT(std::chrono::steady_clock::now() - from, milliseconds(4000)) << begun.size();
  }
  EXPECT_EQ(seen_.calls, 0);
}

TEST_F(Http2ServerTest, AResetCancelsItsExchangeWithin100Ms) {
  serve();
  auto socket = dial();
  Http2Peer peer(*socket);
  peer.greet();
  peer.send(kHeaders, kEndHeaders | kEndStream, 1, request_fields("/cancel"));
  ASSERT_TRUE(eventually([&] { return seen_.waiting.load(); }));
  const auto from = std::chrono::steady_clock::now();
  peer.send(kRstStream, 0, 1, big_endian(8, 4));
  ASSERT_TRUE(eventually([&] { return seen_.cancelled == 1; }));
  EXPECT_LT(std::chrono::steady_clock::now() - from, milliseconds(100));
  // Its neighbours live on; the connection's end cancels them, too.
  peer.send(kHeaders, kEndHeaders | kEndStream, 3, request_fields("/a"));
  uint32_t stream = 0;
  EXPECT_EQ(peer.head(stream)[":status"], "200");
  peer.send(kHeaders, kEndHeaders | kEndStream, 5, request_fields("/cancel"));
  ASSERT_TRUE(eventually([&] { return server_->active_exchanges() == 1; }));
  socket->close();
  EXPECT_TRUE(eventually([&] { return seen_.cancelled == 2; }));
}

TEST_F(Http2ServerTest, ACutAnswerIsResetAfterWhatWasWritten) {
  serve();
  for (const auto& [path, data] :
       {std::pair("/half", "half"), std::pair("/short", "123"), std::pair("/long", "")}) {
    auto socket = dial();
    Http2Peer peer(*socket);
    peer.greet();
    peer.send(kHeaders, kEndHeaders | kEndStream, 1, request_fields(path));
    std::string body;
    Frame f;
    do {
      f = peer.next();
      if (f.type == kData) body += f.payload;
      EXPECT_FALSE(f.type == kData && (f.flags & kEndStream) != 0) << path;
    } while (f.type >= 0 && f.type != kRstStream);
    EXPECT_EQ(f.type, kRstStream) << path;
    EXPECT_EQ(body, data) << path;
  }
}

TEST_F(Http2ServerTest, AWindowThatStaysShutHoldsItsWriterAndNobodyElse) {
  ServerOptions options;
  options.limits.write_timeout = milliseconds(300);
  serve(options);
  auto socket = dial();
  Http2Peer peer(*socket);
  peer.greet(setting(4, 1000));
  peer.send(kWindowUpdate, 0, 0, big_endian(1 << 20, 4));
  peer.send(kHeaders, kEndHeaders | kEndStream, 1, request_fields("/flood"));
  EXPECT_EQ(peer.next(kData).payload.size(), 1000u);
  peer.send(kHeaders, kEndHeaders | kEndStream, 3, request_fields("/a"));
  EXPECT_EQ(peer.next(kData).stream, 3u);
  const Frame reset = peer.next(kRstStream);  // it took nothing for too long
  EXPECT_EQ(reset.stream, 1u);
  EXPECT_TRUE(eventually([&] { return seen_.failed_writes == 1; }));
  EXPECT_LE(seen_.written, 64u << 10);
  // Answers that nobody waits for any more end as well.
  peer.send(kSettings, 0, 0, setting(4, 0));
  peer.send(kHeaders, kEndHeaders | kEndStream, 5, request_fields("/a"));
  EXPECT_EQ(peer.next(kRstStream).stream, 5u);
}

TEST_F(Http2ServerTest, ReadsNoMoreThanTheHandlerTakes) {
  ServerOptions options;
  options.limits.stream_window = 70000;
  serve(options);
  auto socket = dial();
  Http2Peer peer(*socket);
  peer.greet();
  peer.send(kHeaders, kEndHeaders, 1, request_fields("/hold", {}, "POST"));
  for (int i = 0; i < 7; ++i) peer.send(kData, 0, 1, std::string(10000, 'x'));
  ASSERT_TRUE(eventually([&] { return seen_.waiting.load(); }));
  peer.send(kPing, 0, 0, "abcdefgh");
  Frame f;
  do {  // the connection's window opens, the stream's does not
    f = peer.next();
    EXPECT_FALSE(f.type == kWindowUpdate && f.stream == 1);
  } while (f.type != kPing && f.type >= 0);
  peer.send(kData, 0, 1, "x");  // one byte more than was allowed
  f = peer.next(kRstStream);
  EXPECT_EQ(f.stream, 1u);
  EXPECT_EQ(number(f.payload), 3u);  // FLOW_CONTROL_ERROR
}

TEST_F(Http2ServerTest, RequestsAboveTheStreamLimitAreRefused) {
  ServerOptions options;
  options.limits.streams_max = 3;
  serve(options);
  auto socket = dial();
  Http2Peer peer(*socket);
  socket->send(kHttp2Preface);  // who has not acknowledged the limit may not know it yet
  peer.send(kSettings, 0, 0);
  for (uint32_t id = 1; id <= 7; id += 2)
    peer.send(kHeaders, kEndHeaders | kEndStream, id, request_fields("/hold"));
  const Frame f = peer.next(kRstStream);
  EXPECT_EQ(f.stream, 7u);
  EXPECT_EQ(number(f.payload), static_cast<uint32_t>(Http2Code::kRefusedStream));
  seen_.release = true;
  uint32_t stream = 0;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(peer.head(stream)[":status"], "200");
}

TEST_F(Http2ServerTest, StopSaysGoawayAndLetsRunningExchangesFinish) {
  serve();
  auto busy = dial();
  auto idle = dial();
  Http2Peer peer(*busy);
  Http2Peer other(*idle);
  peer.greet();
  other.greet();
  peer.send(kHeaders, kEndHeaders | kEndStream, 1, request_fields("/hold"));
  other.send(kHeaders, kEndHeaders | kEndStream, 1, request_fields("/a"));
  uint32_t stream = 0;
  EXPECT_EQ(other.head(stream)[":status"], "200");
  ASSERT_TRUE(eventually([&] { return seen_.waiting.load(); }));
  std::thread stopper([&] { server_->stop(milliseconds(5000)); });
  EXPECT_EQ(other.goaway(), 0u);
  EXPECT_EQ(peer.goaway(), 0u);  // the notice, then the last stream's number
  const Frame last = peer.next(kGoaway);
  EXPECT_EQ(number(last.payload), 1u);
  idle->close();
  seen_.release = true;
  EXPECT_EQ(peer.head(stream)[":status"], "200");
  EXPECT_EQ(peer.next(kData).payload, "released");
  EXPECT_TRUE(peer.ended());
  busy->close();
  stopper.join();
}

TEST_F(Http2ServerTest, StopCancelsWhatDoesNotFinishInTime) {
  serve();
  auto socket = dial();
  Http2Peer peer(*socket);
  peer.greet();
  peer.send(kHeaders, kEndHeaders | kEndStream, 1, request_fields("/hold"));
  ASSERT_TRUE(eventually([&] { return seen_.waiting.load(); }));
  server_->stop(milliseconds(50));
  EXPECT_EQ(seen_.cancelled, 1);
}

TEST_F(Http2ServerTest, ContinueHeadBodylessAndTrailers) {
  serve();
  auto socket = dial();
  Http2Peer peer(*socket);
  peer.greet();
  uint32_t stream = 0;
  bool ended = false;
  peer.send(kHeaders, kEndHeaders, 1,
            request_fields("/echo", {{"expect", "100-continue"}}, "POST"));
  EXPECT_EQ(peer.head(stream)[":status"], "100");
  peer.send(kData, 0, 1, "x");
  peer.send(kHeaders, kEndHeaders | kEndStream, 1, hpack({{"x-trailer", "1"}}));
  EXPECT_EQ(peer.head(stream, &ended)[":status"], "200");
  EXPECT_EQ(peer.next(kData).payload, "POST /echo x");
  peer.send(kHeaders, kEndHeaders | kEndStream, 3, request_fields("/ignore", {}, "HEAD"));
  auto fields = peer.head(stream, &ended);
  EXPECT_EQ(fields["content-length"], "7");
  EXPECT_TRUE(ended);
  peer.send(kHeaders, kEndHeaders | kEndStream, 5, request_fields("/204"));
  fields = peer.head(stream, &ended);
  EXPECT_EQ(fields[":status"], "204");
  EXPECT_FALSE(fields.contains("content-length"));
  EXPECT_TRUE(ended);
  // Answered without the whole body: the answer first, then the client may stop sending.
  peer.send(kHeaders, kEndHeaders, 7, request_fields("/ignore", {}, "POST"));
  EXPECT_EQ(peer.next(kData).payload, "ignored");
  const Frame f = peer.next(kRstStream);
  EXPECT_EQ(number(f.payload), 0u);
}

TEST_F(Http2ServerTest, RandomFramesNeverBreakIt) {
  serve();
  uint64_t state = 11;
  auto random = [&](size_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>(state >> 33) % below;
  };
  for (int round = 0; round < 200; ++round) {
    auto socket = dial();
    std::string bytes = std::string(kHttp2Preface) + frame(kSettings, 0, 0);
    for (size_t i = 0; i < 20; ++i) {
      std::string payload = random(2) != 0 ? request_fields("/a") : std::string(random(40), '\0');
      for (size_t n = random(3); n > 0 && !payload.empty(); --n)
        payload[random(payload.size())] = static_cast<char>(random(256));
      bytes += frame(static_cast<int>(random(11)), static_cast<int>(random(48)),
                     static_cast<uint32_t>(random(9)), payload);
    }
    socket->send(bytes);
    socket->end_sending();
    socket->receive_all();
    EXPECT_FALSE(socket->timed_out()) << round;
  }
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
  EXPECT_EQ(server_->active_exchanges(), 0u);
}

}  // namespace
}  // namespace samplemind::net
