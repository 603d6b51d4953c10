#include "net/redis.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "net/test_support.h"

namespace samplemind::net {
namespace {

using namespace std::chrono_literals;
using test::RawSocket;
using test::ScriptedServer;

std::vector<RedisReply> read_all(RespReader& reader, std::string_view bytes) {
  std::vector<RedisReply> out;
  while (!bytes.empty()) {
    auto reply = reader.read(bytes);
    EXPECT_TRUE(reply.ok()) << (reply.ok() ? "" : reply.error().message());
    if (!reply.ok()) break;
    if (*reply) out.push_back(std::move(**reply));
  }
  return out;
}

TEST(Resp, ReadsEachKindAtEverySplit) {
  const std::string bytes =
      "+OK\r\n-ERR no\r\n:-42\r\n$5\r\nhe\r\nl\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n"
      "*2\r\n*2\r\n:1\r\n$1\r\na\r\n$-1\r\n";
  for (size_t a = 0; a <= bytes.size(); ++a) {
    for (size_t b = a; b <= bytes.size(); b += 3) {
      RespReader reader;
      std::vector<RedisReply> got;
      for (const std::string_view piece :
           {std::string_view(bytes).substr(0, a), std::string_view(bytes).substr(a, b - a),
            std::string_view(bytes).substr(b)}) {
        for (RedisReply& each : read_all(reader, piece)) got.push_back(std::move(each));
      }
      ASSERT_EQ(got.size(), 9u) << a << " " << b;
      EXPECT_EQ(got[0].text, "OK");
      EXPECT_TRUE(got[1].is_error());
      EXPECT_EQ(got[1].text, "ERR no");
      EXPECT_EQ(got[2].integer, -42);
      EXPECT_EQ(got[3].text, "he\r\nl");
      EXPECT_TRUE(got[4].is_text() && got[4].text.empty());
      EXPECT_TRUE(got[5].is_nil() && got[6].is_nil());
      EXPECT_EQ(got[7].kind, RedisReply::Kind::kArray);
      ASSERT_EQ(got[8].items.size(), 2u);
      EXPECT_EQ(got[8].items[0].items[1].text, "a");
      EXPECT_TRUE(got[8].items[1].is_nil());
    }
  }
}

TEST(Resp, NonsenseIsRefused) {
  for (const std::string& bad :
       {std::string("HTTP/1.1 400\r\n"), std::string("\r\n"), std::string("+OK\n"),
        std::string(":x\r\n"), std::string(":\r\n"), std::string("$-2\r\n"),
        std::string("$99999999999\r\n"), std::string("*-2\r\n"), std::string("*9999999999\r\n"),
        std::string("$1\r\nabc\r\n"), "+" + std::string(70000, 'x')}) {
    RespReader reader;
    std::string_view bytes = bad;
    Result<std::optional<RedisReply>> reply = reader.read(bytes);
    EXPECT_FALSE(reply.ok()) << bad.substr(0, 20);
  }
  std::string deep;
  for (int i = 0; i < 9; ++i) deep += "*1\r\n";
  RespReader reader;
  std::string_view bytes = deep;
  EXPECT_FALSE(reader.read(bytes).ok());
}

TEST(Resp, WritesCommands) {
  std::string out;
  append_redis_command(out, {"SET", "k", "a\r\nb", ""});
  EXPECT_EQ(out, "*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n$0\r\n\r\n");
}

// The examples of Redis' cluster specification.
TEST(Resp, SlotsOfKeys) {
  EXPECT_EQ(redis_slot("123456789"), 0x31C3 % kRedisSlots);
  EXPECT_EQ(redis_slot("foo"), 12182);
  EXPECT_EQ(redis_slot("{user1000}.following"), redis_slot("{user1000}.followers"));
  EXPECT_EQ(redis_slot("foo{bar}{zap}"), redis_slot("bar"));
  EXPECT_EQ(redis_slot("foo{{bar}}zap"), redis_slot("{bar"));
  EXPECT_NE(redis_slot("foo{}{bar}"), redis_slot("bar"));
}

// --- The client against servers that behave as the test says

// Answers each command by a function of its words; an empty answer is silence, "close" closes.
class FakeRedis {
 public:
  using Answer = std::function<std::string(const std::vector<std::string>&)>;
  explicit FakeRedis(Answer answer)
      : answer_(std::move(answer)), server_([this](RawSocket& socket, int) { serve(socket); }) {}
  uint16_t port() const { return server_.port(); }
  int commands(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    int n = 0;
    for (const auto& words : seen_) n += words[0] == name;
    return n;
  }
  std::string list() const {
    const std::lock_guard lock(mutex_);
    std::string out;
    for (const auto& words : seen_) {
      for (const std::string& word : words) out += word + " ";
      out += "| ";
    }
    return out;
  }
  std::atomic<int> connections{0};

 private:
  void serve(RawSocket& socket) {
    ++connections;
    RespReader reader;
    for (std::string piece = socket.receive(); !piece.empty(); piece = socket.receive()) {
      std::string_view bytes = piece;
      while (!bytes.empty()) {
        auto command = reader.read(bytes);
        if (!command.ok()) return;
        if (!*command) continue;
        std::vector<std::string> words;
        for (const RedisReply& each : (*command)->items) words.push_back(each.text);
        {
          const std::lock_guard lock(mutex_);
          seen_.push_back(words);
        }
        const std::string reply = words[0] == "PING" ? "+PONG\r\n" : answer_(words);
        if (reply == "close") return socket.close();
        socket.send(reply);
      }
    }
  }
  Answer answer_;
  mutable std::mutex mutex_;
  std::vector<std::vector<std::string>> seen_;
  ScriptedServer server_;
};

std::string text_reply(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

struct Rig {
  explicit Rig(std::vector<uint16_t> ports, bool cluster = false) {
    RedisOptions options;
    for (const uint16_t port : ports) options.servers.push_back({"127.0.0.1", port});
    options.cluster = cluster;
    make(std::move(options));
  }
  explicit Rig(RedisOptions options) { make(std::move(options)); }
  void make(RedisOptions options) {
    auto made = RedisClient::create(loop, std::move(options));
    EXPECT_TRUE(made.ok());
    client = std::move(*made);
  }
  ~Rig() {
    client.reset();
    loop.destroy_tasks();
  }
  Result<RedisReply> run(std::vector<std::string> words, std::chrono::milliseconds limit = 2000ms) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    return loop.run_until_done(client->command(std::move(words), deadline));
  }
  Loop loop;
  std::unique_ptr<RedisClient> client;
};

TEST(Redis, CommandsAndErrors) {
  FakeRedis server([](const std::vector<std::string>& words) -> std::string {
    if (words[1] == "wrong") return "-ERR unknown command\r\n";
    if (words[1] == "auth") return "-NOAUTH Authentication required.\r\n";
    if (words[1] == "none") return "$-1\r\n";
    return text_reply("value of " + words[1]);
  });
  Rig rig({server.port()});
  EXPECT_EQ(rig.run({"GET", "a"})->text, "value of a");
  EXPECT_TRUE(rig.run({"GET", "none"})->is_nil());
  const auto wrong = rig.run({"GET", "wrong"});
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.error().message().find("unknown command"), std::string::npos);
  EXPECT_EQ(rig.run({"GET", "auth"}).error().code(), ErrorCode::kUnauthenticated);
  EXPECT_EQ(rig.run({"GET", "b"})->text, "value of b");
  EXPECT_EQ(server.connections, 1);
  EXPECT_EQ(rig.client->connections(), 1u);
}

TEST(Redis, GreetsWithPasswordAndDatabase) {
  FakeRedis server([](const std::vector<std::string>& words) -> std::string {
    return words[0] == "GET" ? text_reply("x") : "+OK\r\n";
  });
  RedisOptions options;
  options.servers.push_back({"localhost", server.port()});
  options.username = "me";
  options.password = "secret";
  options.database = 3;
  Rig rig(std::move(options));
  EXPECT_TRUE(rig.run({"GET", "a"}).ok());
  EXPECT_EQ(server.list(), "AUTH me secret | SELECT 3 | PING | GET a | ");
}

TEST(Redis, RefusedPasswordIsToldAndNotInTheMessage) {
  FakeRedis server([](const std::vector<std::string>&) -> std::string {
    return "-WRONGPASS invalid username-password pair\r\n";
  });
  RedisOptions options;
  options.servers.push_back({"127.0.0.1", server.port()});
  options.password = "secret";
  Rig rig(std::move(options));
  const auto refused = rig.run({"GET", "a"});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message().find("WRONGPASS"), std::string::npos);
  EXPECT_EQ(refused.error().message().find("secret"), std::string::npos);
}

// Case G1: a server that has frozen costs its budget a few times, then nothing; it is found again
// in the background.
TEST(Redis, FrozenServerCostsItsDeadlineThenNothing) {
  std::atomic<bool> frozen{true};
  FakeRedis server([&](const std::vector<std::string>&) -> std::string {
    return frozen ? "" : text_reply("x");
  });
  Rig rig({server.port()});
  // The best of some rounds: a busy machine is slow of itself, now and then.
  int slow = 20;
  for (int round = 0; round < 10 && slow > 3; ++round) {
    slow = 0;
    for (int i = 0; i < 20; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      EXPECT_FALSE(rig.run({"GET", "a"}, 20ms).ok());
      slow += std::chrono::steady_clock::now() - begin > 15ms;
    }
  }
  EXPECT_LE(slow, 3);
  EXPECT_NE(rig.client->last_problem(), "");
  EXPECT_FALSE(rig.client->send({"SET", "a", "b"}));
  frozen = false;
  for (int i = 0; i < 1000 && !rig.run({"GET", "a"}, 100ms).ok(); ++i)
    rig.loop.run_until_done(rig.loop.sleep_for(5ms));
  EXPECT_EQ(rig.run({"GET", "a"})->text, "x");
}

TEST(Redis, DeadServerFailsAtOnceAndClosedConnectionsAreMadeAnew) {
  Rig nobody({1});
  EXPECT_FALSE(nobody.run({"GET", "a"}).ok());
  EXPECT_FALSE(nobody.run({"GET", "a"}).ok());
  std::atomic<int> calls{0};
  FakeRedis server([&](const std::vector<std::string>&) -> std::string {
    return calls++ == 0 ? "close" : text_reply("x");
  });
  Rig rig({server.port()});
  EXPECT_FALSE(rig.run({"GET", "a"}).ok());
  for (int i = 0; i < 1000 && !rig.run({"GET", "a"}).ok(); ++i)
    rig.loop.run_until_done(rig.loop.sleep_for(5ms));
  EXPECT_EQ(rig.run({"GET", "a"})->text, "x");
}

TEST(Redis, NonsenseEndsTheConnection) {
  FakeRedis server([](const std::vector<std::string>&) { return "HTTP/1.1 200 OK\r\n\r\n"; });
  Rig rig({server.port()});
  const auto refused = rig.run({"GET", "a"});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message().find("protocol"), std::string::npos);
}

TEST(Redis, ManyCommandsAtOnceGetTheirOwnReplies) {
  FakeRedis server([](const std::vector<std::string>& words) {
    return text_reply(words[1] + std::string(words[1].back() == '7' ? 200000 : 3, 'x'));
  });
  Rig rig({server.port()});
  int left = 300;
  const auto one = [](Rig& r, int i, int& n) -> Task<void> {
    std::vector<std::string> words{"GET", "key" + std::to_string(i)};
    auto reply =
        co_await r.client->command(std::move(words), std::chrono::steady_clock::now() + 20s);
    EXPECT_TRUE(reply.ok());
    if (reply.ok()) {
      EXPECT_TRUE(reply->text.starts_with("key" + std::to_string(i) + "x"));
    }
    if (--n == 0) r.loop.stop();
  };
  for (int i = 0; i < 300; ++i) rig.loop.spawn(one(rig, i, left));
  rig.loop.keep_alive(true);
  rig.loop.run();
  EXPECT_EQ(left, 0);
}

TEST(Redis, WaitingCommandsAreBounded) {
  FakeRedis server([](const std::vector<std::string>&) { return std::string(); });
  RedisOptions options;
  options.servers.push_back({"127.0.0.1", server.port()});
  options.waiting_max = 10;
  Rig rig(std::move(options));
  (void)rig.run({"GET", "a"}, 30ms);  // connects, and waits in vain
  int sent = 0;
  for (int i = 0; i < 100; ++i) sent += rig.client->send({"SET", "a", "b"});
  EXPECT_EQ(sent, 9);
}

std::string slots_reply(const std::vector<std::pair<std::pair<int, int>, uint16_t>>& ranges) {
  std::string out = "*" + std::to_string(ranges.size()) + "\r\n";
  for (const auto& [range, port] : ranges) {
    out += "*3\r\n:" + std::to_string(range.first) + "\r\n:" + std::to_string(range.second) +
           "\r\n*3\r\n$9\r\n127.0.0.1\r\n:" + std::to_string(port) + "\r\n$2\r\nid\r\n";
  }
  return out;
}

TEST(RedisCluster, FollowsMovedAndAskAndLearnsTheSlots) {
  std::atomic<uint16_t> b_port{0}, a_port{0};
  std::atomic<bool> asked_first{true};
  std::atomic<int> asking{0};
  FakeRedis b([&](const std::vector<std::string>& words) -> std::string {
    if (words[0] == "CLUSTER") return slots_reply({{{0, 16383}, b_port}});
    if (words[0] == "ASKING") return ++asking, "+OK\r\n";
    return text_reply("b has " + words[1]);
  });
  b_port = b.port();
  // All slots are a's, says a; but what is asked for has moved, or is moving.
  FakeRedis a([&](const std::vector<std::string>& words) -> std::string {
    const std::string to = " 127.0.0.1:" + std::to_string(b_port) + "\r\n";
    if (words[0] == "CLUSTER") return slots_reply({{{0, 16383}, a_port}});
    if (words[1] == "moving") return "-ASK " + std::to_string(redis_slot("moving")) + to;
    if (words[1] == "moved") return "-MOVED " + std::to_string(redis_slot("moved")) + to;
    return text_reply("a has " + words[1]);
  });
  a_port = a.port();
  Rig rig({a.port()}, true);
  EXPECT_EQ(rig.run({"GET", "here"})->text, "a has here");
  EXPECT_EQ(rig.run({"GET", "moving"})->text, "b has moving");
  EXPECT_EQ(asking, 1);
  EXPECT_EQ(rig.run({"GET", "here"})->text, "a has here") << "ASK changes nothing for others";
  EXPECT_EQ(rig.run({"GET", "moved"})->text, "b has moved");
  EXPECT_EQ(b.commands("GET"), 2);
}

TEST(RedisCluster, DeadMasterIsReplacedByWhoTookItsSlots) {
  std::atomic<uint16_t> own{0};
  std::atomic<bool> failed_over{false};
  FakeRedis a([&](const std::vector<std::string>& words) -> std::string {
    if (words[0] == "CLUSTER") {
      return failed_over ? slots_reply({{{0, 16383}, own}})
                         : slots_reply({{{0, 8191}, own}, {{8192, 16383}, 1}});
    }
    return text_reply("a");
  });
  own = a.port();
  Rig rig({a.port()}, true);
  const std::string lost = "foo";  // slot 12182
  EXPECT_FALSE(rig.run({"GET", lost}, 200ms).ok());
  EXPECT_EQ(rig.run({"GET", "bar"})->text, "a") << "the others' keys are served on (slot 5061)";
  failed_over = true;
  bool found = false;
  for (int i = 0; i < 1000 && !found; ++i) {
    found = rig.run({"GET", lost}, 200ms).ok();
    rig.loop.run_until_done(rig.loop.sleep_for(5ms));
  }
  EXPECT_TRUE(found);
}

TEST(RedisCluster, EndlessRedirectsEnd) {
  std::atomic<uint16_t> own{0};
  FakeRedis a([&](const std::vector<std::string>& words) -> std::string {
    if (words[0] == "CLUSTER") return slots_reply({{{0, 16383}, own}});
    return "-MOVED 1 127.0.0.1:" + std::to_string(own) + "\r\n";
  });
  own = a.port();
  Rig rig({a.port()}, true);
  EXPECT_FALSE(rig.run({"GET", "a"}).ok());
  EXPECT_LE(a.commands("GET"), 4);
}

}  // namespace
}  // namespace samplemind::net
