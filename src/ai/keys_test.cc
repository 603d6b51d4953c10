#include "ai/keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "ai/limits.h"
#include "ai/test_support.h"
#include "base/files.h"

namespace samplemind::ai {
namespace {

using Verdict = KeyStore::Verdict;

VirtualKey named(std::string name) {
  VirtualKey k;
  k.name = std::move(name);
  return k;
}

TEST(Keys, OnlyTheHashIsKept) {
  const test::TempFolder folder;
  const auto file = folder.path() / "keys.json";
  auto store = KeyStore::open(file);
  ASSERT_TRUE(store.ok());
  EXPECT_FALSE((*store)->any());
  auto made = (*store)->create(named("ann"));
  ASSERT_TRUE(made.ok()) << made.error().message();
  EXPECT_EQ(made->secret.size(), 52u);
  EXPECT_TRUE((*store)->any());
  EXPECT_EQ((*store)->find(made->secret).verdict, Verdict::kGood);
  struct stat s {};
  ASSERT_EQ(::stat(file.c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0600u);
  const std::string text = *read_file(file);
  EXPECT_EQ(text.find(made->secret), std::string::npos);
  EXPECT_EQ(text.find(made->secret.substr(12)), std::string::npos);
  // What another process finds.
  auto again = KeyStore::open(file);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ((*again)->find(made->secret).key->name, "ann");
  EXPECT_EQ((*again)->find(made->secret).key->tenant, "local");
}

TEST(Keys, NearMissesAreUnknown) {
  auto store = KeyStore::in_memory();
  const std::string secret = store->create(named("ann"))->secret;
  for (size_t i = 0; i < secret.size(); ++i) {
    std::string other = secret;
    other[i] = other[i] == 'a' ? 'b' : 'a';
    EXPECT_EQ(store->find(other).verdict, Verdict::kUnknown) << i;
  }
  for (const std::string& other :
       {std::string(), secret.substr(1), secret + "0", std::string("sm-")})
    EXPECT_EQ(store->find(other).verdict, Verdict::kUnknown);
}

TEST(Keys, ExpireRotateRevoke) {
  FakeClock clock;
  auto store = KeyStore::in_memory(clock);
  VirtualKey wanted = named("ann");
  wanted.expires_ms = clock.unix_ms() + 10000;
  const std::string first = store->create(wanted)->secret;
  EXPECT_EQ(store->find(first).verdict, Verdict::kGood);
  const std::string second = store->rotate("ann", 2000)->secret;
  EXPECT_EQ(store->find(first).verdict, Verdict::kGood) << "within the grace";
  EXPECT_EQ(store->find(second).verdict, Verdict::kGood);
  clock.advance(std::chrono::seconds(3));
  EXPECT_EQ(store->find(first).verdict, Verdict::kUnknown);
  EXPECT_EQ(store->find(second).verdict, Verdict::kGood);
  clock.advance(std::chrono::seconds(8));
  EXPECT_EQ(store->find(second).verdict, Verdict::kExpired);
  const std::string third = store->create(named("bob"))->secret;
  EXPECT_TRUE(store->revoke("bob").ok());
  EXPECT_EQ(store->find(third).verdict, Verdict::kRevoked);
  EXPECT_FALSE(store->rotate("bob", 0).ok());
  EXPECT_EQ(store->revoke("nobody").error().code(), ErrorCode::kNotFound);
  (void)store->create(named("eve"));
  (void)store->create(named("eve"));
  EXPECT_EQ(store->revoke("eve").error().code(), ErrorCode::kInvalidArgument)
      << "which of the two?";
}

TEST(Keys, AnotherProcessChangesAreSeenWithinASecond) {
  const test::TempFolder folder;
  FakeClock clock;
  auto service = KeyStore::open(folder.path() / "keys.json", clock);
  auto command = KeyStore::open(folder.path() / "keys.json", clock);
  EXPECT_FALSE((*service)->any());
  const std::string secret = (*command)->create(named("ann"))->secret;
  clock.advance(std::chrono::milliseconds(1001));
  EXPECT_EQ((*service)->find(secret).verdict, Verdict::kGood);
  ASSERT_TRUE((*command)->revoke("ann").ok());
  clock.advance(std::chrono::milliseconds(1001));
  EXPECT_EQ((*service)->find(secret).verdict, Verdict::kRevoked);
}

TEST(Keys, ADamagedOrReadableFileOpensNoDoor) {
  const test::TempFolder folder;
  const auto file = folder.path() / "keys.json";
  FakeClock clock;
  auto store = KeyStore::open(file, clock);
  const std::string secret = (*store)->create(named("ann"))->secret;
  clock.advance(std::chrono::seconds(2));
  std::ofstream(file) << "{\"keys\":";
  EXPECT_TRUE((*store)->any()) << "what was read before stays";
  EXPECT_EQ((*store)->find(secret).verdict, Verdict::kGood);
  EXPECT_EQ(KeyStore::open(file).error().code(), ErrorCode::kDataLoss);
  ::chmod(file.c_str(), 0644);
  EXPECT_EQ(KeyStore::open(file).error().code(), ErrorCode::kPermissionDenied);
}

TEST(Keys, BadWishesAreRefused) {
  auto store = KeyStore::in_memory();
  EXPECT_FALSE(store->create(named("")).ok());
  EXPECT_FALSE(store->create(named(std::string(101, 'x'))).ok());
  VirtualKey k = named("x");
  k.tenant = "a b";
  EXPECT_FALSE(store->create(k).ok());
  k.tenant = "a";
  k.expires_ms = 1;
  EXPECT_FALSE(store->create(k).ok());
  k.expires_ms = 0;
  k.requests_per_minute = -1;
  EXPECT_FALSE(store->create(k).ok());
}

TEST(Keys, Models) {
  VirtualKey k;
  EXPECT_TRUE(k.may_use("openai/gpt-4o"));
  k.models = {"ollama/*", "openai/gpt-4o*", "claude-haiku-*"};
  for (const char* good : {"ollama/llama3.2:3b", "ollama/a/b", "openai/gpt-4o",
                           "openai/gpt-4o-mini", "claude/claude-haiku-4-5"})
    EXPECT_TRUE(k.may_use(good)) << good;
  for (const char* bad : {"openai/gpt-4.1", "claude/claude-opus-4-5", "gemini/gemini-2.5-pro"})
    EXPECT_FALSE(k.may_use(bad)) << bad;
}

TEST(Keys, Patterns) {
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_TRUE(matches_pattern("a*b*c", "axxbyyc"));
  EXPECT_TRUE(matches_pattern("*b", "abab"));
  EXPECT_FALSE(matches_pattern("a*b", "abc"));
  EXPECT_FALSE(matches_pattern("", "a"));
  EXPECT_TRUE(matches_pattern("", ""));
}

TEST(Keys, BudgetsInWords) {
  EXPECT_EQ(to_string(*parse_budget("10/month")), "$10.00 a month");
  EXPECT_EQ(to_string(*parse_budget("2.5/day:openai/*")), "$2.50 a day for openai/*");
  EXPECT_EQ(to_string(*parse_budget("100")), "$100.00 in all");
  EXPECT_EQ(parse_budget("0/day")->microusd, 0);
  for (const char* bad : {"", "x", "5/week", "-1/day", "5/day:", "/day"})
    EXPECT_FALSE(parse_budget(bad).ok()) << bad;
}

TEST(Limits, RequestsAMinute) {
  FakeClock clock;
  RateLimiter limiter(clock);
  VirtualKey k = named("ann");
  k.id = "00000001";
  k.requests_per_minute = 6;
  for (int i = 0; i < 6; ++i) EXPECT_FALSE(limiter.admit(k, 0).refused) << i;
  const Admission no = limiter.admit(k, 0);
  EXPECT_TRUE(no.refused);
  EXPECT_EQ(no.retry_after_ms, 10000);
  EXPECT_EQ(no.state.requests_limit, 6);
  EXPECT_EQ(no.state.requests_left, 0);
  EXPECT_EQ(no.state.requests_full_ms, 60000);
  clock.advance(std::chrono::milliseconds(9900));
  EXPECT_TRUE(limiter.admit(k, 0).refused);
  clock.advance(std::chrono::milliseconds(200));
  EXPECT_FALSE(limiter.admit(k, 0).refused);
  EXPECT_TRUE(limiter.admit(k, 0).refused);
}

TEST(Limits, TokensAMinuteAreSettled) {
  FakeClock clock;
  RateLimiter limiter(clock);
  VirtualKey k = named("ann");
  k.id = "00000002";
  k.tokens_per_minute = 600;
  EXPECT_FALSE(limiter.admit(k, 100).refused);
  limiter.settle(k, 100, 700);  // it used more than there was
  const Admission no = limiter.admit(k, 100);
  EXPECT_TRUE(no.refused);
  EXPECT_EQ(no.retry_after_ms, 20000);
  clock.advance(std::chrono::milliseconds(20001));
  EXPECT_FALSE(limiter.admit(k, 100).refused);
  limiter.settle(k, 100, 0);  // answered from the cache: given back
  EXPECT_FALSE(limiter.admit(k, 100).refused);
  const Admission never = limiter.admit(k, 601);
  EXPECT_TRUE(never.refused);
  EXPECT_EQ(never.retry_after_ms, 0);
}

TEST(Limits, ARefusedRequestTakesNothing) {
  FakeClock clock;
  RateLimiter limiter(clock);
  VirtualKey k = named("ann");
  k.id = "00000003";
  k.requests_per_minute = 2;
  k.tokens_per_minute = 100;
  EXPECT_FALSE(limiter.admit(k, 90).refused);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.admit(k, 90).refused);
  EXPECT_FALSE(limiter.admit(k, 5).refused) << "one request was left";
}

TEST(Limits, GoDurations) {
  EXPECT_EQ(go_duration(0), "0ms");
  EXPECT_EQ(go_duration(20), "20ms");
  EXPECT_EQ(go_duration(1000), "1s");
  EXPECT_EQ(go_duration(59001), "1m0s");
  EXPECT_EQ(go_duration(360000), "6m0s");
}

}  // namespace
}  // namespace samplemind::ai
