#include "ai/request_log.h"

#include <gtest/gtest.h>

#include "ai/config_keys.h"

namespace samplemind::ai {
namespace {

TEST(Redaction, SecretsGo) {
  for (const std::string secret :
       {"sk-proj-abcdefghijklmnop0123456789", "sk-ant-api03-abcdefghijklmnop_0123",
        "AIzaSyA1234567890abcdefghijklmnopqrs", "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "Bearer abcdefgh12345678", "sm-0123abcd-0123456789abcdef0123456789abcdef01234567"}) {
    const std::string out = without_secrets("before " + secret + ", after");
    EXPECT_EQ(out, "before [redacted], after") << secret;
    EXPECT_EQ(without_secrets("{\"k\":\"" + secret + "\"}"), "{\"k\":\"[redacted]\"}");
  }
  EXPECT_EQ(without_secrets("a task-force on desk-sharing sk-short"),
            "a task-force on desk-sharing sk-short");
  EXPECT_EQ(without_secrets("x -----BEGIN RSA PRIVATE KEY-----\nMII"), "x [redacted]");
}

TEST(Redaction, PersonalDataGoes) {
  EXPECT_EQ(without_personal_data("write to ann.b+x@mail.example.org."), "write to [redacted].");
  EXPECT_EQ(without_personal_data("call +49 170 1234567 now"), "call [redacted] now");
  EXPECT_EQ(without_personal_data("card 4111 1111 1111 1111!"), "card [redacted]!");
  EXPECT_EQ(without_personal_data("IBAN DE89 3704 0044 0532 0130 00 is it"),
            "IBAN [redacted] is it");
  for (const char* plain : {"120 bpm, 44100 Hz, 16 bit", "4111 1111 1111 1112", "@home", "a@b",
                            "2026-01-31 12:00:00", "sample_1234567890123.wav", "1700000000000"})
    EXPECT_EQ(without_personal_data(plain), plain);
}

TEST(Redaction, JsonStaysJson) {
  EXPECT_EQ(
      redacted_json(R"({"a":"x\nsk-proj-abcdefghijklmnop0123456789\"","seed":4111111111111111})",
                    true, true),
      R"({"a":"x\n[redacted]\"","seed":4111111111111111})");
  EXPECT_EQ(
      redacted_json(
          R"(["-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nafter"])",
          true, false),
      R"(["[redacted]\nafter"])");
  EXPECT_EQ(redacted_json(R"({"ann@example.org":"ann@example.org"})", false, true),
            R"({"ann@example.org":"[redacted]"})");
  EXPECT_EQ(redacted_json("{\"a", true, true), "{\"a");
  // Long without a space is media only where it is base64: a tool's compact JSON is text.
  const std::string base64(4000, 'A');
  for (const std::string& media :
       {"\"" + base64 + "==\"", "\"data:image/png;base64," + base64 + "\""})
    EXPECT_EQ(redacted_json(media, true, true), media);
  EXPECT_EQ(redacted_json("\"{" + base64 + ",ann@example.org}\"", true, true),
            "\"{" + base64 + ",[redacted]}\"");
}

Config config(std::vector<std::pair<std::string, std::string>> flags) {
  auto keys = config_keys();
  return *Config::load(std::move(keys), "/nonexistent/config.toml", false, flags);
}

TEST(RequestLog, KeepsTheLastAndNoBodiesUnlessAsked) {
  RequestLog log(config({{"log.requests_kept", "3"}, {"log.requests", "none"}}));
  for (int i = 0; i < 5; ++i) {
    RequestRecord r;
    r.status = i;
    r.request_body = "hello";
    log.add(r);
  }
  const auto last = log.last(10);
  ASSERT_EQ(last.size(), 3u);
  EXPECT_EQ(last[0].status, 4);
  EXPECT_EQ(last[2].status, 2);
  EXPECT_EQ(last[0].request_body, "");
  EXPECT_EQ(log.last(1).size(), 1u);
  EXPECT_TRUE(log.drain(10).empty()) << "no exporter, no queue";
}

TEST(RequestLog, BodiesWithoutSecrets) {
  RequestLog log(config({{"log.bodies", "true"},
                         {"log.requests", "none"},
                         {"log.otlp_endpoint", "http://127.0.0.1:4318"}}));
  RequestRecord r;
  r.request_body = "my key is sk-proj-abcdefghijklmnop0123456789, mail a.b@c.org";
  log.add(r);
  EXPECT_EQ(log.last(1)[0].request_body, "my key is [redacted], mail [redacted]");
  EXPECT_EQ(log.drain(10).size(), 1u);
  EXPECT_TRUE(log.drain(10).empty());
}

}  // namespace
}  // namespace samplemind::ai
