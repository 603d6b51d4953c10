#include "net/http.h"

#include <gtest/gtest.h>

#include "net/http1_internal.h"

namespace samplemind::net {
namespace {

TEST(Headers, CompareWithoutCaseAndKeepDuplicatesAndOrder) {
  Headers headers;
  headers.add("Set-Cookie", "a");
  headers.add("X-Other", "1");
  headers.add("set-cookie", "b");
  EXPECT_EQ(headers.get("SET-COOKIE"), "a");
  EXPECT_EQ(headers.get_all("set-cookie"), (std::vector<std::string_view>{"a", "b"}));
  headers.set("Set-COOKIE", "c");
  EXPECT_EQ(headers.get_all("set-cookie"), (std::vector<std::string_view>{"c"}));
  EXPECT_EQ((*headers.fields().begin()).name, "X-Other");
  headers.remove("x-other");
  EXPECT_FALSE(headers.has("X-Other"));
  EXPECT_EQ(headers.fields().size(), 1u);
  // A value may come from the headers themselves, also where they must grow for it.
  headers.clear();
  headers.add("a", "begin");
  for (int i = 0; i < 12; ++i) {
    const std::string half(*headers.get("a"));
    headers.set("a", half + half);
  }
  Headers own;
  own.add("a", "begin");
  for (int i = 0; i < 200; ++i) own.add(*own.get("a"), *own.get("a"));
  for (int i = 0; i < 200; ++i) own.set("b", *own.get("a"));
  EXPECT_EQ(headers.get("a")->size(), 5u << 12);
  EXPECT_EQ(own.get_all("begin"), std::vector<std::string_view>(200, "begin"));
  EXPECT_EQ(own.get("b"), "begin");
  const Headers copy = own;
  own.clear();
  EXPECT_EQ(copy.get("b"), "begin");
}

TEST(Url, ParsesAndPrints) {
  struct Case {
    const char* text;
    const char* host;
    int port;
    const char* target;
    const char* authority;
  };
  for (const Case& each :
       {Case{"http://Example.COM", "example.com", 80, "/", "example.com"},
        Case{"https://a.b/c?d=e#f", "a.b", 443, "/c?d=e", "a.b"},
        Case{"http://127.0.0.1:11434/api", "127.0.0.1", 11434, "/api", "127.0.0.1:11434"},
        Case{"http://[::1]:8000?x", "::1", 8000, "/?x", "[::1]:8000"},
        Case{"HTTPS://h:443/", "h", 443, "/", "h"}, Case{"http://h:", "h", 80, "/", "h"}}) {
    auto url = Url::parse(each.text);
    ASSERT_TRUE(url.ok()) << each.text;
    EXPECT_EQ(url->host, each.host);
    EXPECT_EQ(url->port, each.port);
    EXPECT_EQ(url->target, each.target);
    EXPECT_EQ(url->authority(), each.authority);
  }
  for (const char* bad :
       {"", "example.com", "ftp://a", "http://", "http://:80", "http://a:0", "http://a:65536",
        "http://a:8x", "http://u:p@a/", "http://[::1", "http://[::1]x", "http://a b/",
        "http://a/b c", "http://a/\r\nX: y", "http://a\\b/", "http:///path"}) {
    EXPECT_FALSE(Url::parse(bad).ok()) << bad;
  }
}

TEST(Percent, RoundTripsAndRefusesBrokenEscapes) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(*percent_decode(percent_encode(all)), all);
  EXPECT_EQ(percent_encode("a b/c~"), "a%20b%2Fc~");
  EXPECT_EQ(*percent_decode("a+b%2b%2B"), "a+b++");
  for (const char* bad : {"%", "%1", "a%", "%zz", "%1g", "%%20"})
    EXPECT_FALSE(percent_decode(bad).ok()) << bad;
}

TEST(Query, KeepsOrderAndDuplicates) {
  auto pairs = parse_query("a=1&b=x%20y+z&a&&=v&c=d=e");
  ASSERT_TRUE(pairs.ok());
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"a", "1"}, {"b", "x y z"}, {"a", ""}, {"", "v"}, {"c", "d=e"}};
  EXPECT_EQ(*pairs, expected);
  EXPECT_FALSE(parse_query("a=%").ok());
  EXPECT_TRUE(parse_query("")->empty());
}

TEST(MediaType, DropsParametersAndCase) {
  EXPECT_EQ(media_type("Application/JSON; charset=utf-8"), "application/json");
  EXPECT_EQ(media_type(" text/plain "), "text/plain");
  EXPECT_EQ(media_type(""), "");
}

HeadFault parse(std::string_view head, RequestHead& out, Framing& framing) {
  HeadScanner scanner;
  if (scanner.scan(head) != Parse::kDone || scanner.size() != head.size())
    return {400, "not one head"};
  return parse_request_head(head, out, framing);
}

TEST(RequestHead, ReadsWhatIsRight) {
  RequestHead head;
  Framing framing;
  ASSERT_EQ(parse("POST /v1/x?q=1 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 12\r\nX-Y:\t v w "
                  "\t\r\nX-Empty:\r\n"
                  "Expect: 100-Continue\r\n\r\n",
                  head, framing)
                .status,
            0);
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.path(), "/v1/x");
  EXPECT_EQ(head.query(), "q=1");
  EXPECT_EQ(head.authority, "a:80");
  EXPECT_EQ(head.headers.get("x-y"), "v w");
  EXPECT_EQ(head.headers.get("x-empty"), "");
  EXPECT_EQ(framing.length, 12u);
  EXPECT_TRUE(framing.keep_alive);
  EXPECT_TRUE(framing.expect_continue);

  ASSERT_EQ(parse("GET http://b.c/d HTTP/1.1\r\nHost: other\r\nConnection: x, Close\r\n\r\n", head,
                  framing)
                .status,
            0);
  EXPECT_EQ(head.authority, "b.c");
  EXPECT_EQ(head.target, "/d");
  EXPECT_EQ(head.headers.get("host"), "b.c");
  EXPECT_FALSE(framing.keep_alive);
  EXPECT_EQ(framing.body, BodyKind::kNone);

  ASSERT_EQ(parse("GET http://b.c?x HTTP/1.1\r\nHost: b.c\r\n\r\n", head, framing).status, 0);
  EXPECT_EQ(head.target, "/?x");
  ASSERT_EQ(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", head, framing).status, 0);
  ASSERT_EQ(parse("GET / HTTP/1.0\r\n\r\n", head, framing).status, 0);
  EXPECT_FALSE(framing.keep_alive);
  ASSERT_EQ(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", head, framing).status, 0);
  EXPECT_TRUE(framing.keep_alive);
  ASSERT_EQ(parse("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", head, framing)
                .status,
            0);
  EXPECT_EQ(framing.body, BodyKind::kChunked);
}

TEST(RequestHead, RefusesWhatTwoPartiesCouldReadDifferently) {
  struct Case {
    int status;
    std::string head;
  };
  const std::string line = "GET / HTTP/1.1\r\nHost: a\r\n";
  const std::vector<Case> all = {
      {400, line + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, line + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"},
      {400, line + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"},
      {400, line + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
      {400, line + "Content-Length: 1, 1\r\n\r\n"},
      {400, line + "Content-Length: +1\r\n\r\n"},
      {400, line + "Content-Length: -1\r\n\r\n"},
      {400, line + "Content-Length: 0x1\r\n\r\n"},
      {400, line + "Content-Length: 1 1\r\n\r\n"},
      {400, line + "Content-Length:\r\n\r\n"},
      {400, line + "Content-Length: 99999999999999999999\r\n\r\n"},
      {400, line + "Transfer-Encoding: gzip\r\n\r\n"},
      {400, line + "Transfer-Encoding: gzip, chunked\r\n\r\n"},
      {400, line + "Transfer-Encoding: chunked, chunked\r\n\r\n"},
      {400, line + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, line + "Transfer-Encoding: xchunked\r\n\r\n"},
      {400, line + "Transfer-Encoding: \"chunked\"\r\n\r\n"},
      {400, line + "Transfer-Encoding:\x0b"
                   "chunked\r\n\r\n"},
      {400, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, line + "Transfer-Encoding : chunked\r\n\r\n"},
      {400, line + "Content-Length : 1\r\n\r\n"},
      {400, line + " X: folded\r\n\r\n"},
      {400, line + "X: a\r\n\tfolded\r\n\r\n"},
      {400, line + "X: a\rb\r\n\r\n"},
      {400, line + std::string("X: a\0b\r\n\r\n", 11)},
      {400, line + "X\r\n\r\n"},
      {400, line + ": a\r\n\r\n"},
      {400, line + "X Y: a\r\n\r\n"},
      {400, line + "X(: a\r\n\r\n"},
      {400, line + "X: a\x7f\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
      {400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "GET / x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "GET x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "GET /#f HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "GET http://u@h/x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, "GET /\r\nHost: a\r\n\r\n"},
      {400, "GET / http/1.1\r\nHost: a\r\n\r\n"},
      {400, "GET / HTTP/1.1x\r\nHost: a\r\n\r\n"},
      {505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
      {505, "PRI * HTTP/2.0\r\n\r\n"},
      {417, line + "Expect: something\r\n\r\n"},
      {501, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"},
  };
  for (const Case& each : all) {
    RequestHead head;
    Framing framing;
    EXPECT_EQ(parse(each.head, head, framing).status, each.status) << each.head;
  }
  std::string many = line;
  for (int i = 0; i < 300; ++i) many += "A: b\r\n";
  RequestHead head;
  Framing framing;
  EXPECT_EQ(parse(many + "\r\n", head, framing).status, 431);
}

TEST(HeadScanner, FindsTheEndAtEverySplitAndBareLineFeedsAtOnce) {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (size_t i = 0; i <= head.size(); ++i) {
    HeadScanner scanner;
    if (i < head.size()) {
      ASSERT_EQ(scanner.scan(std::string_view(head).substr(0, i)), Parse::kNeedMore);
    }
    ASSERT_EQ(scanner.scan(head + "GET"), Parse::kDone);
    EXPECT_EQ(scanner.size(), head.size());
  }
  HeadScanner bare;
  EXPECT_EQ(bare.scan("GET / HTTP/1.1\n"), Parse::kBad);
}

TEST(ResponseHead, ReadsRightOnesAndRefusesTheRest) {
  ResponseHead head;
  Framing framing;
  auto check = [&](std::string_view text, std::string_view method = "GET") {
    return parse_response_head(text, method, head, framing).status;
  };
  ASSERT_EQ(check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"), 0);
  EXPECT_EQ(framing.length, 5u);
  EXPECT_TRUE(framing.keep_alive);
  ASSERT_EQ(check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD"), 0);
  EXPECT_EQ(framing.body, BodyKind::kNone);
  ASSERT_EQ(check("HTTP/1.1 204\r\n\r\n"), 0);
  EXPECT_EQ(framing.body, BodyKind::kNone);
  ASSERT_EQ(check("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), 0);
  EXPECT_EQ(framing.body, BodyKind::kNone);
  ASSERT_EQ(check("HTTP/1.1 200 \r\n\r\n"), 0);
  EXPECT_EQ(framing.body, BodyKind::kUntilClose);
  EXPECT_FALSE(framing.keep_alive);
  ASSERT_EQ(check("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"), 0);
  EXPECT_FALSE(framing.keep_alive);
  ASSERT_EQ(check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), 0);
  EXPECT_EQ(framing.body, BodyKind::kChunked);
  for (const char* bad :
       {"HTTP/1.1 20 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 200x\r\n\r\n",
        "HTTP/1.1 099 X\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n"}) {
    EXPECT_EQ(check(bad), 502) << bad;
  }
}

struct Chunked {
  std::string body;
  std::string rest;
  bool ended = false;
  bool bad = false;
};

Chunked read_chunks(std::string_view text, size_t split_one, size_t split_two) {
  ChunkedReader reader;
  Chunked out;
  std::string pending;
  size_t at = 0;
  for (const size_t until : {split_one, split_two, text.size()}) {
    pending += text.substr(at, until - at);
    at = until;
    while (!out.ended && !out.bad) {
      size_t used = 0;
      std::string_view data;
      const auto step = reader.step(pending, used, data);
      out.body += data;
      pending.erase(0, used);
      if (step == ChunkedReader::Step::kNeedMore) break;
      out.ended = step == ChunkedReader::Step::kEnd;
      out.bad = step == ChunkedReader::Step::kBad;
    }
  }
  out.rest = pending;
  return out;
}

TEST(Chunked, ReadsTheSameAtEverySplit) {
  const std::string_view text =
      "5\r\nhello\r\n00a;name=\"v\";x\r\n, the rest\r\n1\r\n!\r\n0\r\nX-Trailer: y\r\n\r\nGET";
  for (size_t i = 0; i <= text.size(); ++i) {
    for (size_t j = i; j <= text.size(); ++j) {
      const Chunked out = read_chunks(text, i, j);
      ASSERT_EQ(out.body, "hello, the rest!") << i << " " << j;
      ASSERT_TRUE(out.ended);
      ASSERT_EQ(out.rest, "GET");
    }
  }
}

TEST(Chunked, RefusesBadFraming) {
  for (const char* bad : {"x\r\n", "\r\n", "-1\r\n", "+1\r\na\r\n", " 1\r\na\r\n", "1 \r\na\r\n",
                          "0x1\r\na\r\n", "1\na\n", "1\r\nab\r\n", "1\r\na\n", "1\r\na\rb",
                          "ffffffffffffffff\r\n", "1;a\nb\r\na\r\n", "1;\x01\r\n", "0\r\nX\r\n\r\n",
                          "0\r\nX : y\r\n\r\n", "0\r\n\n", "0\r\nX: y\n\r\n", "1\r\ra"}) {
    EXPECT_TRUE(read_chunks(bad, 0, 0).bad) << bad;
    EXPECT_TRUE(read_chunks(bad, 1, 1).bad) << bad;
  }
  EXPECT_TRUE(read_chunks("1;" + std::string(1000, 'x') + "\r\n", 0, 0).bad);
  EXPECT_TRUE(read_chunks("0\r\nX: " + std::string(10000, 'x') + "\r\n", 0, 0).bad);
  EXPECT_FALSE(read_chunks("5\r\nhel", 0, 0).ended);
}

TEST(AppendField, CannotBeSplit) {
  std::string out;
  append_field(out, "x", std::string_view("a\r\nInjected: b\0c", 16));
  EXPECT_EQ(out, "x: a  Injected: b c\r\n");
}

}  // namespace
}  // namespace samplemind::net
