#include "server/security.h"

#include <gtest/gtest.h>

namespace samplemind::server {
namespace {

net::RequestHead get(std::string host, std::string target = "/api/v1/samples") {
  net::RequestHead r;
  r.method = "GET";
  r.target = std::move(target);
  r.authority = std::move(host);
  return r;
}
net::RequestHead post(std::string host, std::string target = "/api/v1/scan") {
  net::RequestHead r = get(std::move(host), std::move(target));
  r.method = "POST";
  r.headers.add("content-type", "application/json");
  return r;
}
int status(const net::RequestHead& r, const SecurityPolicy& policy = {}) {
  const auto refusal = check_request(r, policy);
  return refusal ? refusal->status : 200;
}

TEST(Security, NamesOfThisMachineAndAddressesAreAnswered) {
  for (const char* host :
       {"localhost", "localhost:8000", "LOCALHOST:8000", "127.0.0.1:8000", "127.0.0.2",
        "[::1]:8000", "[::1]", "192.168.1.7:8000", "app.localhost:8000"}) {
    EXPECT_EQ(status(get(host)), 200) << host;
    EXPECT_EQ(status(post(host)), 200) << host;
  }
}

// A page at evil.example points its own name at 127.0.0.1: the browser sends that name as Host, and
// to the browser the request is same-origin.
TEST(Security, DnsRebindingIsRefused) {
  for (const char* host : {"evil.example", "evil.example:8000", "127.0.0.1.evil.example:8000",
                           "localhost.evil.example", "evillocalhost", "", "[::1", "127.0.0.1x",
                           "127.1", "2130706433", "0x7f.1"}) {
    net::RequestHead r = get(host);
    r.headers.add("sec-fetch-site", "same-origin");
    EXPECT_EQ(status(r), 421) << host;
    net::RequestHead w = post(host);
    w.headers.add("origin", std::string("http://") + host);
    EXPECT_EQ(status(w), 421) << host;
    EXPECT_EQ(status(get(host, "/")), 421) << host;
    EXPECT_EQ(status(get(host, "/healthz")), 421) << host;
  }
  const auto refusal = check_request(get("evil.example"), {});
  ASSERT_TRUE(refusal);
  EXPECT_NE(refusal->detail.find("evil.example"), std::string::npos);
  EXPECT_NE(refusal->detail.find("server.allowed_hosts"), std::string::npos);
}

TEST(Security, AllowedNamesAreAnswered) {
  const SecurityPolicy policy{"", {"studio.lan"}};
  EXPECT_EQ(status(get("studio.lan:8000"), policy), 200);
  EXPECT_EQ(status(get("Studio.LAN"), policy), 200);
  EXPECT_EQ(status(get("other.lan"), policy), 421);
}

TEST(Security, PagesOfOtherSitesCannotWriteOrReadTheApi) {
  for (const char* site : {"cross-site", "same-site", "Cross-Site"}) {
    net::RequestHead r = get("localhost:8000");
    r.headers.add("sec-fetch-site", site);
    EXPECT_EQ(status(r), 403) << site;
    net::RequestHead w = post("localhost:8000");
    w.headers.add("sec-fetch-site", site);
    EXPECT_EQ(status(w), 403) << site;
    net::RequestHead chat = post("localhost:8000", "/v1/chat/completions");
    chat.headers.add("sec-fetch-site", site);
    EXPECT_EQ(status(chat), 403) << site;
  }
  for (const char* site : {"same-origin", "none"}) {
    net::RequestHead w = post("localhost:8000");
    w.headers.add("sec-fetch-site", site);
    EXPECT_EQ(status(w), 200) << site;
  }
  // A link on another site may lead to the page.
  net::RequestHead link = get("localhost:8000", "/");
  link.headers.add("sec-fetch-site", "cross-site");
  EXPECT_EQ(status(link), 200);
}

TEST(Security, ForeignOriginsAreRefused) {
  for (const char* origin : {"https://evil.example", "null", "http://localhost:3000",
                             "http://localhost:8000.evil.example", "http://127.0.0.1:8000", ""}) {
    net::RequestHead w = post("localhost:8000");
    w.headers.add("origin", origin);
    EXPECT_EQ(status(w), 403) << origin;
  }
  net::RequestHead own = post("localhost:8000");
  own.headers.add("origin", "http://localhost:8000");
  EXPECT_EQ(status(own), 200);
}

TEST(Security, WritesNeedAJsonContentType) {
  for (const char* type : {"", "text/plain", "application/x-www-form-urlencoded",
                           "multipart/form-data; boundary=x", "text/plain;application/json"}) {
    net::RequestHead w = post("localhost");
    w.headers.remove("content-type");
    if (*type != '\0') w.headers.add("content-type", type);
    EXPECT_EQ(status(w), 415) << type;
  }
  net::RequestHead w = post("localhost");
  w.headers.set("content-type", "Application/JSON; charset=utf-8");
  EXPECT_EQ(status(w), 200);
  for (const char* method : {"PUT", "PATCH", "FROB"}) {
    net::RequestHead other = get("localhost");
    other.method = method;
    EXPECT_EQ(status(other), 415) << method;
  }
  // OpenAI's clients send it without a body; no page can without being asked about first.
  net::RequestHead gone = get("localhost");
  gone.method = "DELETE";
  EXPECT_EQ(status(gone), 200);
  gone.headers.add("content-type", "text/plain");
  EXPECT_EQ(status(gone), 415);
  gone.headers.add("origin", "http://evil.example");
  EXPECT_EQ(status(gone), 403);
}

TEST(Security, WithAKeyEverythingButTheShellNeedsIt) {
  const SecurityPolicy policy{"s3cret-key", {}};
  for (const char* path : {"/api/v1/samples", "/v1/models", "/metrics", "/openapi.json",
                           "/api/v1/samples/1/audio", "/static", "/unknown"}) {
    EXPECT_EQ(status(get("localhost", path), policy), 401) << path;
    for (const char* wrong : {"", "s3cret-ke", "s3cret-keyy", "S3cret-key"}) {
      net::RequestHead r = get("localhost", path);
      r.headers.add("authorization", std::string("Bearer ") + wrong);
      EXPECT_EQ(status(r, policy), 401) << path << " " << wrong;
    }
    net::RequestHead bearer = get("localhost", path);
    bearer.headers.add("authorization", "bearer s3cret-key");
    EXPECT_EQ(status(bearer, policy), 200) << path;
    net::RequestHead plain = get("localhost", path);
    plain.headers.add("x-api-key", "s3cret-key");
    EXPECT_EQ(status(plain, policy), 200) << path;
  }
  for (const char* path : {"/healthz", "/readyz", "/", "/static/page.js"})
    EXPECT_EQ(status(get("localhost", path), policy), 200) << path;
  // A key in the address would end up in logs and histories.
  EXPECT_EQ(status(get("localhost", "/api/v1/samples?key=s3cret-key"), policy), 401);
  // A stranger hears of the key before anything else.
  net::RequestHead w = post("localhost");
  w.headers.remove("content-type");
  EXPECT_EQ(status(w, policy), 401);
}

net::RequestHead with(net::RequestHead r, const char* name, const std::string& value) {
  r.headers.add(name, value);
  return r;
}

TEST(Security, VirtualKeysOpenModelsInEachStyle) {
  auto keys = ai::KeyStore::in_memory();
  SecurityPolicy policy;
  policy.keys = keys.get();
  const net::RequestHead chat = post("localhost", "/v1/chat/completions");
  EXPECT_EQ(status(chat, policy), 200) << "no key was made: none is needed on this machine";
  EXPECT_EQ(status(with(chat, "authorization", "Bearer whatever"), policy), 200);
  ai::VirtualKey wanted;
  wanted.name = "ann";
  const std::string secret = keys->create(wanted)->secret;
  for (const char* path : {"/v1/chat/completions", "/v1/messages",
                           "/v1beta/models/gemini-2.5-flash:generateContent", "/api/chat"}) {
    const net::RequestHead r = post("localhost", path);
    EXPECT_EQ(status(r, policy), 401) << path;
    EXPECT_EQ(status(with(r, "authorization", "Bearer whatever"), policy), 401) << path;
    for (const auto& [name, value] :
         std::vector<std::pair<const char*, std::string>>{{"authorization", "Bearer " + secret},
                                                          {"x-api-key", secret},
                                                          {"x-goog-api-key", secret}}) {
      Caller caller;
      EXPECT_FALSE(check_request(with(r, name, value), policy, &caller)) << path << name;
      ASSERT_TRUE(caller.key);
      EXPECT_EQ(caller.key->name, "ann");
    }
    EXPECT_EQ(status(post("localhost", std::string(path) + "?key=" + secret), policy), 401);
  }
  EXPECT_EQ(status(get("localhost"), policy), 200) << "the page works as before on this machine";
  ASSERT_TRUE(keys->revoke("ann").ok());
  EXPECT_EQ(status(with(chat, "x-api-key", secret), policy), 200) << "no key is left: open again";
}

TEST(Security, VirtualKeysOpenNothingElse) {
  auto keys = ai::KeyStore::in_memory();
  ai::VirtualKey wanted;
  wanted.name = "ann";
  const std::string plain = keys->create(wanted)->secret;
  wanted.library = true;
  const std::string library = keys->create(wanted)->secret;
  SecurityPolicy policy{"the-servers-own-key", {}, keys.get(), true};
  for (const char* path : {"/api/v1/keys", "/api/v1/config", "/api/v1/requests", "/metrics"}) {
    EXPECT_EQ(status(with(get("localhost", path), "x-api-key", plain), policy), 403) << path;
    EXPECT_EQ(status(with(get("localhost", path), "x-api-key", library), policy), 403) << path;
    EXPECT_EQ(status(with(get("localhost", path), "x-api-key", "the-servers-own-key"), policy),
              200);
  }
  EXPECT_EQ(status(with(get("localhost", "/api/v1/samples/3"), "x-api-key", plain), policy), 403);
  EXPECT_EQ(status(with(get("localhost", "/api/v1/samples/3"), "x-api-key", library), policy), 200);
  EXPECT_EQ(
      status(with(get("localhost", "/v1/models"), "x-api-key", "the-servers-own-key"), policy),
      200);
  // Without a key of its own the server gives its inner rooms to nobody from outside.
  policy.api_key.clear();
  EXPECT_EQ(status(get("localhost", "/api/v1/config"), policy), 401);
  EXPECT_EQ(status(with(get("localhost", "/api/v1/config"), "x-api-key", plain), policy), 403);
  EXPECT_EQ(status(with(get("localhost", "/v1/models"), "x-api-key", plain), policy), 200);
}

TEST(Security, EqualComparesAllBytes) {
  EXPECT_TRUE(equal_constant_time("", ""));
  EXPECT_TRUE(equal_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_constant_time("abc", "ab"));
  EXPECT_FALSE(equal_constant_time(std::string_view("a\0b", 3), "a"));
}

TEST(Security, LoopbackNames) {
  for (const char* host : {"localhost", "127.0.0.1", "127.9.9.9", "::1"})
    EXPECT_TRUE(is_loopback_host(host)) << host;
  for (const char* host : {"0.0.0.0", "::", "192.168.0.1", "127.example.com", "example.com", ""})
    EXPECT_FALSE(is_loopback_host(host)) << host;
}

}  // namespace
}  // namespace samplemind::server
