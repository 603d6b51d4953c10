#include "base/config.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/files.h"

namespace samplemind {
namespace {

std::vector<ConfigKey> keys() {
  return {
      {"server.port", ConfigType::kInteger, "8000", "Port."},
      {"server.host", ConfigType::kString, "127.0.0.1", "Address."},
      {"cache.ttl", ConfigType::kDurationMs, "7d", "Life."},
      {"cache.memory", ConfigType::kBytes, "256MiB", "Size."},
      {"ai.models", ConfigType::kStringList, "a,b", "Models."},
      {"ai.openai.api_key", ConfigType::kString, "", "Key.", {"OPENAI_API_KEY_FOR_TEST"}, true},
      {"ai.aliases", ConfigType::kString, "", "Aliases.", {}, false, true},
      {"ai.endpoints.*.url", ConfigType::kString, "", "Address."},
      {"ai.endpoints.*.api_key", ConfigType::kString, "", "Key.", {}, true},
      {"ai.endpoints.*.weight", ConfigType::kNumber, "", "Share."},
  };
}

class ConfigTest : public testing::Test {
 protected:
  void SetUp() override {
    file_ = fs::temp_directory_path() / ("config_test." + std::to_string(::getpid()) + ".toml");
  }
  void TearDown() override { fs::remove(file_); }
  void write(const char* text, unsigned mode = 0600) {
    ASSERT_TRUE(write_file_atomic(file_, text, mode).ok());
  }
  Result<Config> load(const std::vector<std::pair<std::string, std::string>>& flags = {}) {
    return Config::load(keys(), file_, false, flags);
  }
  fs::path file_;
};

TEST_F(ConfigTest, RisingOrder) {
  write("[server]\nport = 9000\nhost = \"::1\"\n[ai.aliases]\nfast = \"ollama/x\"\n");
  ::setenv("SAMPLEMIND_SERVER_HOST", "127.0.0.2", 1);
  const auto c = load({{"server.port", "9001"}});
  ::unsetenv("SAMPLEMIND_SERVER_HOST");
  ASSERT_TRUE(c.ok()) << c.error().message();
  EXPECT_EQ(c->integer("server.port"), 9001);
  EXPECT_EQ(c->string("server.host"), "127.0.0.2");
  EXPECT_EQ(c->duration_ms("cache.ttl"), 7 * 86400000);
  EXPECT_EQ(c->bytes("cache.memory"), 256u << 20);
  EXPECT_EQ(c->list("ai.models"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(c->table("ai.aliases").at("fast"), "ollama/x");
  EXPECT_EQ(c->entries()[0].origin, "--port");
  EXPECT_EQ(c->entries()[1].origin, "$SAMPLEMIND_SERVER_HOST");
}

TEST_F(ConfigTest, NamesOfTheUsersHaveTypedMembers) {
  write(
      "[ai.endpoints.lab]\nurl = \"http://lab/v1\"\napi_key = \"sk-lab-0123456789\"\nweight = 2\n");
  const auto c = load({{"ai.endpoints.den.url", "http://den/v1"}});
  ASSERT_TRUE(c.ok()) << c.error().message();
  const auto members = c->table("ai.endpoints");
  EXPECT_EQ(members.size(), 4u);
  EXPECT_EQ(members.at("lab.url"), "http://lab/v1");
  EXPECT_EQ(members.at("den.url"), "http://den/v1");
  EXPECT_EQ(c->number("ai.endpoints.lab.weight"), 2);
  for (const Config::Entry& e : c->entries()) {
    EXPECT_EQ(e.secret, e.name.ends_with("api_key")) << e.name;
    EXPECT_EQ(e.name.find('*'), std::string::npos);
  }
  EXPECT_FALSE(load({{"ai.endpoints.lab.weight", "much"}}).ok());
  EXPECT_FALSE(load({{"ai.endpoints.lab.adress", "x"}}).ok());
  EXPECT_FALSE(load({{"ai.endpoints.url", "x"}}).ok());
  EXPECT_FALSE(load({{"ai.endpoints..url", "x"}}).ok());
  // A key in a file that others can read.
  write("[ai.endpoints.lab]\napi_key = \"sk-lab-0123456789\"\n", 0644);
  EXPECT_EQ(load().error().code(), ErrorCode::kPermissionDenied);
}

TEST_F(ConfigTest, UnknownKeyNamesTheNearest) {
  write("[server]\nprot = 1\n");
  const auto c = load();
  ASSERT_FALSE(c.ok());
  EXPECT_EQ(c.error().message(), file_.string() + ":2: unknown key 'server.prot'");
  EXPECT_EQ(c.error().hint(), "did you mean 'server.port'?");
}

TEST_F(ConfigTest, BadValuesAndSyntaxNameTheLine) {
  write("[server]\nport = \"many\"\n");
  EXPECT_NE(load().error().message().find(":2: 'server.port' wants a whole number"),
            std::string::npos);
  write("[cache]\n\nttl = \"soon\"\n");
  EXPECT_NE(load().error().message().find(":3: 'cache.ttl' wants a duration"), std::string::npos);
  write("[server\n");
  EXPECT_NE(load().error().message().find(file_.string() + ":1:"), std::string::npos);
}

TEST_F(ConfigTest, SecretsWantAPrivateFile) {
  write("[ai.openai]\napi_key = \"sk-aaaaaaaaaaaa\"\n", 0644);
  EXPECT_EQ(load().error().code(), ErrorCode::kPermissionDenied);
  write("[ai.openai]\napi_key = \"sk-aaaaaaaaaaaa\"\n", 0600);
  EXPECT_TRUE(load().ok());
  EXPECT_EQ(masked("sk-aaaaaaaaaaaz"), "sk-a…z");
  EXPECT_EQ(masked("short"), "…");
}

TEST(Units, DurationsAndBytes) {
  EXPECT_EQ(*parse_duration_ms("1.5s"), 1500);
  EXPECT_EQ(*parse_duration_ms("250"), 250);
  EXPECT_FALSE(parse_duration_ms("-1s").ok());
  EXPECT_FALSE(parse_duration_ms("1 fortnight").ok());
  EXPECT_EQ(*parse_bytes("1MB"), 1000000u);
  EXPECT_FALSE(parse_bytes("lots").ok());
}

TEST(Nearest, FindsSlips) {
  EXPECT_EQ(nearest("prot", {"server.port", "server.host"}), "server.port");
  EXPECT_EQ(nearest("zzzzzz", {"server.port"}), std::nullopt);
}

}  // namespace
}  // namespace samplemind
