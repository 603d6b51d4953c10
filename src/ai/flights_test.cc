// Single flight across the shards of one process: each shard on a thread of its own, as in the
// service.
#include <thread>
#include <utility>

#include "ai/gateway.h"
#include "ai/test_support.h"
#include "base/json.h"
#include "net/sse.h"

namespace samplemind::ai::test {
namespace {

using namespace std::chrono_literals;

// One client of one shard; what it got is there once done() is ready.
struct RemoteClient {
  MemorySink sink;
  std::string body;
  net::CancelToken cancel;  // of the shard's loop
  std::promise<void> finished;
  std::shared_future<void> done = finished.get_future().share();
};

class ShardThread {
 public:
  explicit ShardThread(std::shared_ptr<Gateway> gateway) {
    std::promise<net::Loop*> started;
    thread_ = std::thread([this, gateway = std::move(gateway), &started]() mutable {
      net::Loop loop;
      shard_ = GatewayShard::create(gateway, loop);
      gateway.reset();
      loop.keep_alive(true);
      started.set_value(&loop);
      loop.run();
      loop.destroy_tasks();
      shard_.reset();
    });
    loop_ = started.get_future().get();
  }
  ~ShardThread() { stop(); }
  void stop() {
    if (!thread_.joinable()) return;
    stop_soon();
    thread_.join();
  }
  // Once: the loop lives on its thread and may be gone as soon as it knows.
  void stop_soon() {
    if (auto* loop = std::exchange(loop_, nullptr)) loop->stop();
  }
  // The loop does nothing else until then.
  void hold(std::shared_future<void> until) {
    std::promise<void> held;
    loop_->post([&held, until] {
      held.set_value();
      until.wait();
    });
    held.get_future().wait();
  }
  std::shared_ptr<RemoteClient> ask(std::string body) {
    auto client = std::make_shared<RemoteClient>();
    client->body = std::move(body);
    loop_->post([this, client] {
      client->cancel = net::CancelToken::create();
      loop_->spawn(serve(*shard_, client));
    });
    return client;
  }
  void leave(const std::shared_ptr<RemoteClient>& client) {
    loop_->post([client] { client->cancel.cancel(); });
  }
  int writes(const std::shared_ptr<RemoteClient>& client) {
    std::promise<int> n;
    loop_->post([&] { n.set_value(client->sink.writes); });
    return n.get_future().get();
  }
  size_t connections() {
    std::promise<size_t> n;
    loop_->post([&] { n.set_value(shard_->connections()); });
    return n.get_future().get();
  }

 private:
  static net::Task<void> serve(GatewayShard& shard, std::shared_ptr<RemoteClient> client) {
    CallContext context;
    context.cancel = client->cancel;
    co_await shard.openai_chat(std::move(context), client->body, client->sink);
    client->finished.set_value();
  }
  std::unique_ptr<GatewayShard> shard_;
  net::Loop* loop_ = nullptr;
  std::thread thread_;
};

std::string text_of(const MemorySink& sink) {
  if (!sink.header("content-type").starts_with("text/event-stream")) {
    const auto parsed = JsonValue::parse(sink.body);
    return parsed.ok() ? (*parsed)["choices"][0]["message"]["content"].string_or("") : "no JSON";
  }
  std::string text;
  bool done = false;
  net::SseReader reader;
  EXPECT_TRUE(reader.feed(sink.body).ok());
  while (auto event = reader.next()) {
    if (event->data == "[DONE]") {
      done = true;
      continue;
    }
    const auto parsed = JsonValue::parse(event->data);
    if (parsed.ok()) text += (*parsed)["choices"][0]["delta"]["content"].string_or("");
  }
  return text + (done ? "" : " (cut)");
}

// Waits for what another thread does, at most 10 s.
template <class Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

struct Gate {
  std::promise<void> go;
  std::shared_future<void> wait = go.get_future().share();
};

TEST(CrossShardFlight, EqualRequestsOnThreeShardsMakeOneCall) {
  Gate gate;
  // Whoever is first leads: streamed or whole, as it asked.
  FakeUpstream up([&](const Seen& seen, int) {
    const bool stream = seen.body.find("\"stream\":true") != std::string::npos;
    Reply r = stream ? sse_reply(good_stream()) : json_reply(answer_body("Hello"));
    r.wait_before = gate.wait;
    return r;
  });
  Rig rig(up);
  std::vector<std::unique_ptr<ShardThread>> shards;
  for (int i = 0; i < 3; ++i) shards.push_back(std::make_unique<ShardThread>(rig.gateway));
  std::vector<std::shared_ptr<RemoteClient>> clients;
  for (int i = 0; i < 30; ++i)
    clients.push_back(shards[static_cast<size_t>(i % 3)]->ask(ask_body("hi", i % 4 != 0)));
  EXPECT_TRUE(eventually([&] {
    const CacheStats s = rig.gateway->cache_stats();
    return s.misses + s.coalesced == 30 && up.chats() == 1;
  }));
  gate.go.set_value();
  int misses = 0, coalesced = 0;
  for (const auto& client : clients) {
    ASSERT_EQ(client->done.wait_for(10s), std::future_status::ready);
    EXPECT_EQ(text_of(client->sink), "Hello");
    misses += client->sink.cache() == "miss";
    coalesced += client->sink.cache() == "coalesced";
  }
  EXPECT_EQ(misses, 1);
  EXPECT_EQ(coalesced, 29);
  EXPECT_EQ(up.chats(), 1);
}

TEST(CrossShardFlight, PiecesReachOtherShardsAsTheyCome) {
  Gate gate;
  FakeUpstream up([&](const Seen&, int) {
    Reply r = sse_reply(good_stream());
    r.pieces[0] += r.pieces[1];
    r.pieces.erase(r.pieces.begin() + 1);
    r.wait_after_first = gate.wait;
    return r;
  });
  Rig rig(up);
  ShardThread leader(rig.gateway), follower(rig.gateway);
  const auto first = leader.ask(ask_body("hi", true));
  ASSERT_TRUE(eventually([&] { return up.chats() == 1; }));
  const auto second = follower.ask(ask_body("hi", true));
  // While the upstream still holds the rest back.
  ASSERT_TRUE(eventually([&] { return follower.writes(second) > 0; }));
  EXPECT_NE(second->done.wait_for(0s), std::future_status::ready);
  gate.go.set_value();
  ASSERT_EQ(second->done.wait_for(10s), std::future_status::ready);
  ASSERT_EQ(first->done.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(text_of(second->sink), "Hello");
  EXPECT_EQ(up.chats(), 1);
}

// The one who asked first goes away, on whose shard the call is made: the others, elsewhere, get
// all of it.
TEST(CrossShardFlight, FirstClientLeavingHarmsNobodyElsewhere) {
  Gate gate;
  FakeUpstream up([&](const Seen&, int) {
    Reply r = sse_reply(good_stream());
    r.wait_before = gate.wait;
    return r;
  });
  Rig rig(up);
  ShardThread leader(rig.gateway), follower(rig.gateway);
  const auto first = leader.ask(ask_body("hi", true));
  ASSERT_TRUE(eventually([&] { return up.chats() == 1; }));
  const auto second = follower.ask(ask_body("hi", true));
  ASSERT_TRUE(eventually([&] { return rig.gateway->cache_stats().coalesced == 1; }));
  // The follower's message to the leader's loop was posted before this one.
  follower.connections();
  leader.leave(first);
  ASSERT_EQ(first->done.wait_for(10s), std::future_status::ready);
  gate.go.set_value();
  ASSERT_EQ(second->done.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(text_of(second->sink), "Hello");
  EXPECT_EQ(up.chats(), 1);
}

// Both leave: the upstream connection goes within 100 ms, and nothing is left behind.
TEST(CrossShardFlight, LastOneLeavingAnywhereCancelsTheCall) {
  FakeUpstream up([](const Seen&, int) { return failing(Reply::End::kStall); });
  Rig rig(up);
  ShardThread leader(rig.gateway), follower(rig.gateway);
  const auto first = leader.ask(ask_body("hi", true));
  ASSERT_TRUE(eventually([&] { return up.chats() == 1; }));
  const auto second = follower.ask(ask_body("hi", true));
  ASSERT_TRUE(eventually([&] { return rig.gateway->cache_stats().coalesced == 1; }));
  leader.leave(first);
  ASSERT_EQ(first->done.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(leader.connections(), 1u) << "somebody else still waits";
  follower.leave(second);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(eventually([&] { return leader.connections() == 0; }));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);  // 100 ms is for idle machines
  ASSERT_EQ(second->done.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(up.chats(), 1);
}

TEST(CrossShardFlight, FailureReachesAllShardsAndStoresNothing) {
  Gate gate;
  FakeUpstream up([&](const Seen&, int) {
    Reply r = json_reply(R"({"error":{"message":"no"}})", 401);
    r.wait_before = gate.wait;
    return r;
  });
  Rig rig(up);
  ShardThread leader(rig.gateway), follower(rig.gateway);
  const auto first = leader.ask(ask_body("hi"));
  ASSERT_TRUE(eventually([&] { return up.chats() == 1; }));
  const auto second = follower.ask(ask_body("hi", true));
  ASSERT_TRUE(eventually([&] { return rig.gateway->cache_stats().coalesced == 1; }));
  follower.connections();
  leader.connections();
  gate.go.set_value();
  ASSERT_EQ(first->done.wait_for(10s), std::future_status::ready);
  ASSERT_EQ(second->done.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(first->sink.status, 502);
  EXPECT_EQ(second->sink.status, 502);
  EXPECT_EQ(up.chats(), 1);
  EXPECT_EQ(rig.gateway->cache_stats().memory_entries, 0u);
}

// The leader's whole shard goes: a follower that has seen no content makes the call itself.
TEST(CrossShardFlight, FollowerTakesOverWhenTheLeadersShardIsGone) {
  Gate gate;
  FakeUpstream up([&](const Seen&, int number) {
    if (number == 0) return failing(Reply::End::kStall);
    return json_reply(answer_body("from the second"));
  });
  Rig rig(up);
  auto leader = std::make_unique<ShardThread>(rig.gateway);
  ShardThread follower(rig.gateway);
  const auto first = leader->ask(ask_body("hi"));
  ASSERT_TRUE(eventually([&] { return up.chats() == 1; }));
  const auto second = follower.ask(ask_body("hi"));
  ASSERT_TRUE(eventually([&] { return rig.gateway->cache_stats().coalesced == 1; }));
  leader.reset();
  ASSERT_EQ(second->done.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(text_of(second->sink), "from the second");
  EXPECT_EQ(up.chats(), 2);
}

// The same while the follower's message still waits on the leader's loop, which never comes to it.
TEST(CrossShardFlight, FollowerTakesOverWhenItsMessageIsNeverRead) {
  FakeUpstream up([&](const Seen&, int number) {
    if (number == 0) return failing(Reply::End::kStall);
    return json_reply(answer_body("from the second"));
  });
  Rig rig(up);
  auto leader = std::make_unique<ShardThread>(rig.gateway);
  ShardThread follower(rig.gateway);
  const auto first = leader->ask(ask_body("hi"));
  ASSERT_TRUE(eventually([&] { return up.chats() == 1; }));
  Gate busy;
  leader->hold(busy.wait);
  const auto second = follower.ask(ask_body("hi"));
  ASSERT_TRUE(eventually([&] { return rig.gateway->cache_stats().coalesced == 1; }));
  follower.connections();  // its message has been posted
  leader->stop_soon();
  busy.go.set_value();
  leader.reset();
  ASSERT_EQ(second->done.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(text_of(second->sink), "from the second");
  EXPECT_EQ(up.chats(), 2);
}

// Many keys, many clients that stay or leave, four shards: each answer is that of its request, and
// no key is called more often than its clients allow.
TEST(CrossShardFlight, Storm) {
  FakeUpstream up([](const Seen& seen, int number) {
    const size_t at = seen.body.find("key-");
    const std::string key = seen.body.substr(at, seen.body.find('"', at) - at);
    Reply r = sse_reply({chunk(R"({"role":"assistant","content":"answer to "})"),
                         chunk(R"({"content":")" + key + "\"}"), chunk("{}", "stop")});
    if (seen.body.find("\"stream\":true") == std::string::npos)
      r = json_reply(answer_body("answer to " + key));
    if (number % 7 == 6) r = failing(Reply::End::kReset);
    return r;
  });
  Rig rig(up, {{"ai.breaker", "false"}}, {}, false, &system_clock());
  std::vector<std::unique_ptr<ShardThread>> shards;
  for (int i = 0; i < 4; ++i) shards.push_back(std::make_unique<ShardThread>(rig.gateway));
  for (int round = 0; round < 20; ++round) {
    std::vector<std::pair<std::string, std::shared_ptr<RemoteClient>>> clients;
    for (int i = 0; i < 24; ++i) {
      const std::string key = "key-" + std::to_string(round) + "-" + std::to_string(i % 3);
      ShardThread& shard = *shards[static_cast<size_t>(i % 4)];
      clients.emplace_back(key, shard.ask(ask_body(key, i % 2 == 0)));
      if (i % 5 == 0) shard.leave(clients.back().second);
    }
    for (const auto& [key, client] : clients) {
      ASSERT_EQ(client->done.wait_for(30s), std::future_status::ready) << key;
      if (client->sink.status == 200 && client->sink.finished) {
        EXPECT_EQ(text_of(client->sink), "answer to " + key);
      }
    }
  }
  const auto stats = rig.gateway->cache_stats();
  EXPECT_GT(stats.coalesced, 0u);
}

}  // namespace
}  // namespace samplemind::ai::test
