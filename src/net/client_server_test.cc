// Server and client against each other, clear and over TLS with certificates made here.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <filesystem>

#include "net/test_support.h"

namespace samplemind::net {
namespace {

using std::chrono::milliseconds;
using test::Answer;
using test::fetch;
using test::make_request;

Task<void> echo(Exchange& exchange) {
  Result<std::string_view> body = co_await exchange.read_body(32 << 20);
  if (!body.ok()) co_return;
  ResponseHead head;
  head.headers.add("content-type", "text/plain");
  head.headers.add("x-secure", exchange.secure() ? "yes" : "no");
  head.headers.add("x-peer", exchange.peer_address());
  Result<void> sent = co_await exchange.respond(std::move(head), *body);
  EXPECT_TRUE(sent.ok() || sent.error().code() == ErrorCode::kCancelled);
}

Task<void> streamed(Exchange& exchange) {
  ResponseHead head;
  Result<void> done = co_await exchange.start(std::move(head));
  for (int i = 0; i < 1000 && done.ok(); ++i) {
    std::string piece(1000, static_cast<char>('a' + i % 26));
    done = co_await exchange.write(piece);
  }
  if (done.ok()) done = co_await exchange.finish();
}

Task<void> cut(Exchange& exchange) {
  ResponseHead head;
  Result<void> done = co_await exchange.start(std::move(head));
  if (done.ok()) done = co_await exchange.write("some");
}

struct Seen {
  std::atomic<int> waiting{0};
  std::atomic<int> cancelled{0};
  std::atomic<int> failed_writes{0};
  std::atomic<size_t> written{0};
};

Task<void> wait_for_cancel(Exchange& exchange, Loop& loop, Seen& seen) {
  ++seen.waiting;
  const bool slept = co_await loop.sleep_for(std::chrono::seconds(20), exchange.cancel());
  if (!slept) ++seen.cancelled;
}

Task<void> flood(Exchange& exchange, Seen& seen) {
  ResponseHead head;
  Result<void> done = co_await exchange.start(std::move(head));
  const std::string piece(64 << 10, 'x');
  for (int i = 0; i < 4096 && done.ok(); ++i) {  // 256 MB
    done = co_await exchange.write(piece);
    if (done.ok()) seen.written += piece.size();
  }
  if (!done.ok()) ++seen.failed_writes;
}

struct Way {
  Way(bool tls_, HttpUse use_) : tls(tls_), use(use_) {}
  bool tls;
  HttpUse use;  // kAuto over TLS is HTTP/2
};

class ClientServerTest : public ::testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() / ("net_test." + std::to_string(getpid()));
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }
  std::string file(const char* name) const { return (directory_ / name).string(); }

  // A self-signed certificate for `name` ("DNS:..." or "IP:...").
  void make_certificate(const std::string& name, const char* certificate_file,
                        const char* key_file) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("net_test"), -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    for (const auto& [nid, text] :
         {std::pair(NID_subject_alt_name, name),
          std::pair(NID_basic_constraints, std::string("critical,CA:TRUE"))}) {
      X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, text.c_str());
      X509_add_ext(certificate, extension, -1);
      X509_EXTENSION_free(extension);
    }
    X509_sign(certificate, key, EVP_sha256());
    FILE* out = std::fopen(file(certificate_file).c_str(), "w");
    PEM_write_X509(out, certificate);
    std::fclose(out);
    out = std::fopen(file(key_file).c_str(), "w");
    PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(out);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }

  void serve(bool tls, const std::string& name = "IP:127.0.0.1,DNS:localhost") {
    ServerOptions options;
    if (tls) {
      make_certificate(name, "cert.pem", "key.pem");
      options.tls.certificate_file = file("cert.pem");
      options.tls.key_file = file("key.pem");
    }
    auto factory = [this](Loop& loop, size_t) -> Handler {
      return [this, &loop](Exchange& exchange) -> Task<void> {
        if (exchange.request().path() == "/wait") return wait_for_cancel(exchange, loop, seen_);
        if (exchange.request().path() == "/flood") return flood(exchange, seen_);
        if (exchange.request().path() == "/stream") return streamed(exchange);
        if (exchange.request().path() == "/cut") return cut(exchange);
        return echo(exchange);
      };
    };
    auto bound = Server::bind(std::move(options), factory);
    ASSERT_TRUE(bound.ok()) << bound.error().message();
    server_ = std::move(bound).value();
    server_->start();
    base_ = std::string(tls ? "https" : "http") + "://127.0.0.1:" + std::to_string(server_->port());
  }
  ClientRequest ask(std::string method, std::string_view url, std::string body = {}) const {
    ClientRequest request = make_request(std::move(method), url, std::move(body));
    request.use = GetParam().use;
    return request;
  }
  ClientOptions trusting() const {
    ClientOptions options;
    options.ca_file = file("cert.pem");
    return options;
  }

  std::filesystem::path directory_;
  Seen seen_;
  std::unique_ptr<Server> server_;
  std::string base_;
};

TEST_P(ClientServerTest, BodiesOfAllSizesOverOneConnection) {
  serve(GetParam().tls);
  Loop loop;
  auto client = Client::create(loop, trusting());
  for (const size_t size : {0, 1, 100, 4096, 5000, 16384, 70000, 3000000}) {
    std::string body(size, '\0');
    for (size_t i = 0; i < size; ++i) body[i] = static_cast<char>(i * 31 + i / 251);
    auto answer = loop.run_until_done(fetch(*client, ask("POST", base_ + "/echo", body)));
    ASSERT_TRUE(answer.ok()) << answer.error().message();
    EXPECT_EQ(answer->status, 200);
    EXPECT_TRUE(answer->body == body) << size;
    EXPECT_EQ(answer->headers.get("x-secure"), GetParam().tls ? "yes" : "no");
    EXPECT_EQ(answer->headers.get("x-peer"), "127.0.0.1");
    EXPECT_EQ(client->connections(), 1u);
  }
  auto answer = loop.run_until_done(fetch(*client, ask("GET", base_ + "/stream")));
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_EQ(answer->body.size(), 1000000u);
  EXPECT_EQ(server_->connections(), 1u);
  server_->stop(milliseconds(1000));
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_P(ClientServerTest, ACutStreamIsAnError) {
  serve(GetParam().tls);
  Loop loop;
  auto client = Client::create(loop, trusting());
  auto answer = loop.run_until_done(fetch(*client, ask("GET", base_ + "/cut")));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), ErrorCode::kUpstream) << answer.error().message();
}

Task<void> fetch_many(Client& client, HttpUse use, std::string url, int count, int& good,
                      int& ended) {
  for (int i = 0; i < count; ++i) {
    std::string body = "body " + std::to_string(i) + std::string(static_cast<size_t>(i) * 100, 'x');
    ClientRequest request = make_request("POST", url, body);
    request.use = use;
    Result<Answer> answer = co_await fetch(client, std::move(request));
    if (answer.ok() && answer->body == body) ++good;
  }
  ++ended;
}

TEST_P(ClientServerTest, ManyRequestsAtOnceGetTheirOwnAnswers) {
  serve(GetParam().tls);
  Loop loop;
  auto client = Client::create(loop, trusting());
  int good = 0;
  int ended = 0;
  for (int i = 0; i < 20; ++i)
    loop.spawn(fetch_many(*client, GetParam().use, base_ + "/echo", 25, good, ended));
  while (ended < 20) loop.run_until_done(loop.sleep_for(milliseconds(1)));
  EXPECT_EQ(good, 500);
}

Task<void> fetch_and_forget(Client& client, ClientRequest request, CancelToken cancel, int& ended) {
  Result<Answer> answer = co_await fetch(client, std::move(request), cancel);
  EXPECT_TRUE(answer.ok() || answer.error().code() == ErrorCode::kCancelled)
      << answer.error().message();
  ++ended;
}

// The best of some tries: a busy machine may be late, the mechanism may not.
TEST_P(ClientServerTest, ACancelledRequestCancelsItsExchangeWithin100Ms) {
  serve(GetParam().tls);
  Loop loop;
  auto client = Client::create(loop, trusting());
  auto best = std::chrono::steady_clock::duration::max();
  for (int n = 1; n <= 20 && best >= milliseconds(100); ++n) {
    CancelToken cancel = CancelToken::create();
    int ended = 0;
    loop.spawn(fetch_and_forget(*client, ask("GET", base_ + "/wait"), cancel, ended));
    while (seen_.waiting < n) loop.run_until_done(loop.sleep_for(milliseconds(1)));
    const auto from = std::chrono::steady_clock::now();
    cancel.cancel();
    while (seen_.cancelled < n || ended == 0) loop.run_until_done(loop.sleep_for(milliseconds(1)));
    best = std::min(best, std::chrono::steady_clock::now() - from);
  }
  EXPECT_LT(best, milliseconds(100));
}

TEST_P(ClientServerTest, AnAnswerThatIsNotReadHoldsItsWriterBackAndNobodyElse) {
  serve(GetParam().tls);
  Loop loop;
  auto client = Client::create(loop, trusting());
  auto stuck = loop.run_until_done(client->send(ask("GET", base_ + "/flood")));
  ASSERT_TRUE(stuck.ok());
  size_t before = 1;
  while (before != seen_.written) {  // until it stands still
    before = seen_.written;
    loop.run_until_done(loop.sleep_for(milliseconds(50)));
  }
  EXPECT_LT(before, size_t{32} << 20);
  auto other = loop.run_until_done(fetch(*client, ask("POST", base_ + "/echo", "x")));
  ASSERT_TRUE(other.ok());
  // Reading lets it go on.
  size_t read = 0;
  while (read < before + (1 << 20)) {
    auto piece = loop.run_until_done((*stuck)->read_some());
    ASSERT_TRUE(piece.ok());
    ASSERT_FALSE(piece->empty());
    read += piece->size();
  }
  EXPECT_GT(seen_.written, before);
}

TEST_P(ClientServerTest, RandomCancelsLeakNothing) {
  serve(GetParam().tls);
  Loop loop;
  ClientOptions options = trusting();
  options.connections_per_host_max = 10;
  options.pool_timeout = std::chrono::seconds(60);
  auto client = Client::create(loop, options);
  uint64_t state = 7;
  auto random = [&](size_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>(state >> 33) % below;
  };
  int ended = 0;
  // Fewer than a connection of HTTP/2 may reset at once: on a slow machine all of them are.
  constexpr int kRequests = 190;
  std::vector<Loop::Timer> timers;
  for (int i = 0; i < kRequests; ++i) {
    const char* path = std::array{"/echo", "/stream", "/wait"}[random(3)];
    CancelToken cancel = CancelToken::create();
    loop.spawn(fetch_and_forget(
        *client, ask("POST", base_ + path, std::string(random(100000), 'x')), cancel, ended));
    timers.push_back(
        loop.after(std::chrono::microseconds(random(300000)), [cancel] { cancel.cancel(); }));
  }
  while (ended < kRequests) loop.run_until_done(loop.sleep_for(milliseconds(1)));
  EXPECT_LE(client->connections(), 10u);
  client.reset();
  for (int i = 0; i < 5000 && server_->connections() > 0; ++i)
    loop.run_until_done(loop.sleep_for(milliseconds(1)));
  EXPECT_EQ(server_->connections(), 0u);
  EXPECT_EQ(server_->active_exchanges(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Ways, ClientServerTest,
                         ::testing::Values(Way(false, HttpUse::kHttp1), Way(true, HttpUse::kHttp1),
                                           Way(false, HttpUse::kHttp2), Way(true, HttpUse::kAuto)),
                         [](const auto& each) {
                           const bool http2 = each.index >= 2;
                           return std::string(each.param.tls ? "Tls" : "Clear") +
                                  (http2 ? "Http2" : "Http1");
                         });

using TlsTest = ClientServerTest;

TEST_F(TlsTest, RefusesUnknownAuthoritiesAndWrongNames) {
  serve(true, "DNS:other.example");
  make_certificate("IP:127.0.0.1", "stranger.pem", "stranger-key.pem");
  Loop loop;
  auto expect_refused = [&](ClientOptions options, const char* why) {
    auto client = Client::create(loop, std::move(options));
    auto answer = loop.run_until_done(fetch(*client, make_request("GET", base_ + "/")));
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code(), ErrorCode::kUnavailable);
    EXPECT_NE(answer.error().message().find("not trusted"), std::string::npos)
        << answer.error().message();
    EXPECT_NE(answer.error().message().find(why), std::string::npos) << answer.error().message();
  };
  expect_refused(trusting(), "IP address mismatch");
  base_ = "https://localhost:" + std::to_string(server_->port());
  expect_refused(trusting(), "hostname mismatch");
  expect_refused(ClientOptions(), "self-signed certificate");
  ClientOptions stranger;
  stranger.ca_file = file("stranger.pem");
  expect_refused(stranger, "certificate");
  ClientOptions missing;
  missing.ca_file = file("absent.pem");
  auto client = Client::create(loop, missing);
  auto answer = loop.run_until_done(fetch(*client, make_request("GET", base_ + "/")));
  ASSERT_FALSE(answer.ok());
  EXPECT_NE(answer.error().message().find("absent.pem"), std::string::npos);
}

TEST_F(TlsTest, ChecksNamesToo) {
  serve(true, "DNS:localhost");
  Loop loop;
  auto client = Client::create(loop, trusting());
  auto answer = loop.run_until_done(fetch(
      *client, make_request("GET", "https://localhost:" + std::to_string(server_->port()) + "/")));
  ASSERT_TRUE(answer.ok()) << answer.error().message();
}

TEST_F(TlsTest, GoesThroughAProxysTunnel) {
  serve(true, "DNS:upstream.invalid");
  // A proxy for one connection: CONNECT, then bytes both ways.
  std::string seen;
  test::ScriptedServer proxy([&](test::RawSocket& socket, int) {
    seen = socket.receive_until("\r\n\r\n");
    auto origin = test::RawSocket::connect(server_->port());
    socket.send("HTTP/1.1 200 Connection established\r\n\r\n");
    std::thread back([&] {
      for (std::string piece = origin->receive(); !piece.empty(); piece = origin->receive())
        socket.send(piece);
      socket.end_sending();
    });
    for (std::string piece = socket.receive(); !piece.empty(); piece = socket.receive())
      origin->send(piece);
    origin->end_sending();
    back.join();
  });
  setenv("https_proxy", ("http://127.0.0.1:" + std::to_string(proxy.port())).c_str(), 1);
  {
    Loop loop;
    auto client = Client::create(loop, trusting());
    const std::string url = "https://upstream.invalid:" + std::to_string(server_->port()) + "/";
    for (int i = 0; i < 2; ++i) {
      auto answer =
          loop.run_until_done(fetch(*client, make_request("POST", url, std::string(100000, 'x'))));
      ASSERT_TRUE(answer.ok()) << answer.error().message();
      EXPECT_EQ(answer->body.size(), 100000u);
    }
    EXPECT_EQ(client->connections(), 1u);
  }
  unsetenv("https_proxy");
  EXPECT_TRUE(seen.starts_with("CONNECT upstream.invalid:")) << seen;
}

TEST_F(TlsTest, ClearTextOnATlsPortAndTheReverseEndCleanly) {
  serve(true);
  Loop loop;
  auto client = Client::create(loop, trusting());
  auto answer = loop.run_until_done(fetch(
      *client, make_request("GET", "http://127.0.0.1:" + std::to_string(server_->port()) + "/")));
  EXPECT_FALSE(answer.ok());
  test::ScriptedServer clear([](test::RawSocket& socket, int) {
    socket.receive();
    socket.send("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  answer = loop.run_until_done(fetch(
      *client, make_request("GET", "https://127.0.0.1:" + std::to_string(clear.port()) + "/")));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(answer.error().message().find("TLS"), std::string::npos) << answer.error().message();
}

TEST_F(TlsTest, AConnectionCutWithoutNoticeIsNoEnd) {
  make_certificate("IP:127.0.0.1", "cert.pem", "key.pem");
  // A server made of OpenSSL alone, which answers until the connection ends, with or without the
  // closing notice.
  for (const bool notice : {true, false}) {
    test::ScriptedServer server([&](test::RawSocket& socket, int) {
      SSL_CTX* context = SSL_CTX_new(TLS_server_method());
      SSL_CTX_use_certificate_chain_file(context, file("cert.pem").c_str());
      SSL_CTX_use_PrivateKey_file(context, file("key.pem").c_str(), SSL_FILETYPE_PEM);
      SSL* ssl = SSL_new(context);
      SSL_set_fd(ssl, socket.fd());
      if (SSL_accept(ssl) == 1) {
        char request[4096];
        SSL_read(ssl, request, sizeof request);
        const std::string answer = "HTTP/1.1 200 OK\r\n\r\nuntil the end";
        SSL_write(ssl, answer.data(), static_cast<int>(answer.size()));
        if (notice) SSL_shutdown(ssl);
        socket.end_sending();
        socket.receive_all();
      }
      SSL_free(ssl);
      SSL_CTX_free(context);
    });
    Loop loop;
    auto client = Client::create(loop, trusting());
    auto answer = loop.run_until_done(fetch(
        *client, make_request("GET", "https://127.0.0.1:" + std::to_string(server.port()) + "/")));
    EXPECT_EQ(answer.ok(), notice);
    if (answer.ok()) {
      EXPECT_EQ(answer->body, "until the end");
    } else {
      EXPECT_EQ(answer.error().code(), ErrorCode::kUpstream) << answer.error().message();
    }
  }
}

TEST_F(TlsTest, BadKeyFilesAreNamed) {
  make_certificate("DNS:a", "a.pem", "a-key.pem");
  make_certificate("DNS:b", "b.pem", "b-key.pem");
  for (const auto& [certificate, key] :
       {std::pair("absent.pem", "a-key.pem"), std::pair("a.pem", "absent.pem"),
        std::pair("a.pem", "b-key.pem")}) {
    ServerOptions options;
    options.tls.certificate_file = file(certificate);
    options.tls.key_file = file(key);
    auto factory = [](Loop&, size_t) -> Handler { return echo; };
    auto bound = Server::bind(std::move(options), factory);
    ASSERT_FALSE(bound.ok());
    EXPECT_NE(bound.error().message().find(".pem"), std::string::npos) << bound.error().message();
  }
}

}  // namespace
}  // namespace samplemind::net
