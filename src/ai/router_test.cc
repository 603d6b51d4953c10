#include "ai/router.h"

#include <gtest/gtest.h>

namespace samplemind::ai {
namespace {

const std::vector<std::string> kProviders{"ollama", "gemini", "anthropic", "openai"};

RouteTable table(std::string_view user = {}, std::map<std::string, std::string> aliases = {}) {
  auto t = RouteTable::load(user, "routes.toml", aliases, kProviders);
  EXPECT_TRUE(t.ok()) << (t.ok() ? "" : t.error().message());
  return std::move(*t);
}
std::string refused(std::string_view user, std::map<std::string, std::string> aliases = {}) {
  auto t = RouteTable::load(user, "routes.toml", aliases, kProviders);
  return t.ok() ? "" : t.error().message() + " / " + t.error().hint();
}
Task task_of(const RouteTable& t, std::string text, bool audio = false, bool tools = false,
             std::string hint = {}) {
  RequestFacts f;
  f.last_text = std::move(text);
  f.audio = audio;
  f.tools = tools;
  f.task_hint = std::move(hint);
  return t.recognise(f)->task;
}
std::string first(const RouteTable& t, Task task, Priority priority) {
  return t.order(task, priority).targets.front().provider;
}

TEST(Router, TheDefaultsOfTheMission) {
  const RouteTable t = table();
  using enum Task;
  for (const Task task : {kGenre, kFactual, kSummary})
    EXPECT_EQ(first(t, task, Priority::kSpeed), "ollama");
  EXPECT_EQ(first(t, kAudio, Priority::kSpeed), "gemini");
  EXPECT_EQ(first(t, kCreative, Priority::kSpeed), "anthropic");
  EXPECT_EQ(first(t, kCreative, Priority::kQuality), "anthropic");
  EXPECT_EQ(first(t, kTools, Priority::kQuality), "openai");
  for (const Task task : {kGenre, kAudio, kFactual, kSummary, kTranscription})
    EXPECT_EQ(first(t, task, Priority::kQuality), "gemini");
  EXPECT_EQ(first(t, kTools, Priority::kCost), "openai");
  for (const Task task : {kGenre, kAudio, kCreative, kFactual, kSummary, kTranscription})
    EXPECT_EQ(first(t, task, Priority::kCost), "ollama");
  const auto o = t.order(kTranscription, Priority::kSpeed);
  EXPECT_EQ(o.rule, "chain");
  std::string chain;
  for (const RouteTarget& target : o.targets) chain += target.provider + " ";
  EXPECT_EQ(chain, "ollama gemini anthropic openai ");
}

TEST(Router, ShortBeginningsCount) {
  const RouteTable t = table("[words]\nsummary = [\"su*\", \"q*\"]\n");
  EXPECT_EQ(task_of(t, "all of it, quickly"), Task::kSummary);
  EXPECT_EQ(task_of(t, "a sum of it"), Task::kSummary);
  EXPECT_EQ(task_of(t, "a poem of it"), Task::kCreative);
}

TEST(Router, TasksAreRecognised) {
  const RouteTable t = table();
  EXPECT_EQ(task_of(t, "What genre is this?"), Task::kGenre);
  EXPECT_EQ(task_of(t, "Is it Techno or trance?"), Task::kGenre);
  EXPECT_EQ(task_of(t, "Summarize the session notes"), Task::kSummary);
  EXPECT_EQ(task_of(t, "Please write lyrics about rain"), Task::kCreative);
  EXPECT_EQ(task_of(t, "Transcribe the vocal"), Task::kTranscription);
  EXPECT_EQ(task_of(t, "How long is a bar at 120 bpm?"), Task::kFactual);
  EXPECT_EQ(task_of(t, ""), Task::kFactual);
  EXPECT_EQ(task_of(t, "anything", true), Task::kAudio);
  EXPECT_EQ(task_of(t, "transcribe this", true), Task::kTranscription);
  EXPECT_EQ(task_of(t, "write a poem", false, true), Task::kTools);
  EXPECT_EQ(task_of(t, "write a poem", true, true, "genre"), Task::kGenre) << "a hint wins";
  EXPECT_EQ(task_of(t, "rewrite unhouse notastyle"), Task::kFactual) << "whole words only";
  RequestFacts f;
  f.task_hint = "creativ";
  const auto wrong = t.recognise(f);
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.error().hint().find("creative"), std::string::npos);
}

TEST(Router, TheUsersFileIsLaidOver) {
  const RouteTable t = table(
      "priority = \"cost\"\nchain = [\"openai\"]\n[speed]\ngenre = [\"gemini\", \"ollama/x\"]\n"
      "[words]\ngenre = [\"klang*\"]\n[models.openai]\nspeed = [\"my-model\"]\n");
  EXPECT_EQ(t.default_priority, Priority::kCost);
  const auto o = t.order(Task::kGenre, Priority::kSpeed);
  EXPECT_EQ(o.rule, "speed.genre");
  EXPECT_EQ(o.named, 2u);
  ASSERT_EQ(o.targets.size(), 3u);
  EXPECT_EQ(o.targets[1].model, "x");
  EXPECT_EQ(o.targets[2].provider, "openai");
  EXPECT_EQ(first(t, Task::kFactual, Priority::kSpeed), "ollama") << "what was not named stays";
  EXPECT_EQ(task_of(t, "welcher Klang ist das"), Task::kGenre);
  EXPECT_EQ(t.models("openai", Priority::kSpeed), std::vector<std::string>{"my-model"});
  EXPECT_FALSE(t.models("openai", Priority::kQuality).empty());
}

TEST(Router, MistakesAreNamed) {
  EXPECT_NE(refused("chain = [").find("routes.toml:1"), std::string::npos);
  EXPECT_NE(refused("[speed]\ngenr = \"ollama\"").find("genre"), std::string::npos);
  EXPECT_NE(refused("[speed]\ngenre = \"olama\"").find("ollama"), std::string::npos);
  EXPECT_NE(refused("chian = [\"ollama\"]").find("chain"), std::string::npos);
  EXPECT_NE(refused("priority = \"fast\"").find("speed"), std::string::npos);
  EXPECT_NE(refused("[alias.x]\ntargets = [\"ollama/a\"]\nweights = [1, 2]"), "");
  EXPECT_NE(refused("[alias.x]\nweights = [1, 2]"), "");
  EXPECT_NE(refused("[alias.auto]\ntargets = [\"ollama/a\"]"), "");
  EXPECT_NE(refused("refine = 1"), "");
}

TEST(Router, D2CirclesAreRefusedAtTheStart) {
  EXPECT_NE(refused("", {{"a", "b"}, {"b", "a"}}).find("leads back"), std::string::npos);
  EXPECT_NE(refused("[fallback]\n\"openai/a\" = \"claude/b\"\n\"claude/b\" = \"openai/a\"")
                .find("leads back"),
            std::string::npos);
  EXPECT_NE(refused("[fallback]\n\"openai/a\" = \"openai/a\"").find("leads back"),
            std::string::npos);
}

TEST(Router, ALocalModelsFallbackStaysUnlessTheUserSaysSo) {
  const std::string rule = "[fallback]\n\"ollama/a\" = \"openai/b\"";
  EXPECT_NE(refused(rule).find("leave this machine"), std::string::npos);
  const RouteTable t = table("local_may_leave = true\n" + rule);
  ASSERT_NE(t.fallback("ollama/a"), nullptr);
  EXPECT_EQ(t.fallback("ollama/a")->front().provider, "openai");
  EXPECT_EQ(t.fallback("ollama/b"), nullptr);
}

TEST(Router, AliasesAndWeights) {
  const RouteTable t = table(
      "[alias.mix]\ntargets = [\"ollama/a\", \"openai/b\"]\nweights = [3, 1]\n"
      "[alias.nest]\ntargets = [\"mix\", \"claude/c\"]\n",
      {{"fast", "ollama/a"}});
  ASSERT_NE(t.alias("fast"), nullptr);
  EXPECT_EQ(t.alias("fast")->targets.front().model, "a");
  EXPECT_EQ(t.alias("slow"), nullptr);
  int a = 0;
  for (int i = 0; i < 4000; ++i) {
    const std::string conversation = "c" + std::to_string(i);
    const auto order = RouteTable::alias_order(*t.alias("mix"), conversation);
    ASSERT_EQ(order.size(), 2u);
    a += order[0].model == "a" ? 1 : 0;
    EXPECT_EQ(order[0].model, RouteTable::alias_order(*t.alias("mix"), conversation)[0].model)
        << "one conversation, one model";
  }
  EXPECT_NEAR(a, 3000, 150);
  EXPECT_EQ(t.alias("nest")->targets.size(), 3u);
}

TEST(Router, Measurements) {
  Measurements m;
  const SteadyTime now{};
  for (int i = 0; i < 6; ++i) m.ended("x", true, 0);
  m.set_now("x", now);
  EXPECT_TRUE(m.failing("x", now));
  EXPECT_FALSE(m.failing("x", now + std::chrono::minutes(2))) << "asked again after a while";
  for (int i = 0; i < 6; ++i) m.ended("x", false, 50);
  EXPECT_FALSE(m.failing("x", now));
  m.first_token("x", 0.2);
  EXPECT_NEAR(m.of("x").first_token_s, 0.2, 1e-9);
  EXPECT_NEAR(m.of("x").tokens_per_s, 50, 1e-9);
  EXPECT_EQ(m.of("y").tries, 0u);
}

TEST(Router, AConversationKeepsItsModelForAnHour) {
  StickyTable s;
  s.put(1, "ollama/a", 1000);
  EXPECT_EQ(s.get(1, 2000), "ollama/a");
  EXPECT_EQ(s.get(2, 2000), std::nullopt);
  EXPECT_EQ(s.get(1, 1000 + 3600'001), std::nullopt);
}

}  // namespace
}  // namespace samplemind::ai
