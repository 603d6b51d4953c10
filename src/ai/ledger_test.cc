#include "ai/ledger.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "ai/test_support.h"

namespace samplemind::ai {
namespace {

constexpr std::string_view kModel = "openai/gpt-4o";

VirtualKeyPtr key_with(std::vector<Budget> budgets, std::string id = "0000000a") {
  auto k = std::make_shared<VirtualKey>();
  k->id = std::move(id);
  k->budgets = std::move(budgets);
  return k;
}

UsageEntry spent(std::string key, int64_t microusd, std::string model = "gpt-4o") {
  UsageEntry e;
  e.key = std::move(key);
  e.tenant = "local";
  e.provider = "openai";
  e.model = std::move(model);
  e.requests = 1;
  e.tries = 1;
  e.input_tokens = 10;
  e.output_tokens = 5;
  e.cost_microusd = microusd;
  return e;
}

bool passes(Ledger& ledger, const VirtualKey* key, int64_t estimate,
            std::string_view model = kModel) {
  return std::holds_alternative<Ledger::Hold>(ledger.hold(key, model, false, estimate));
}

// 200 calls at the same time, money for 50.
TEST(Ledger, F1HoldsUnderConcurrency) {
  auto ledger = *Ledger::open({}, {});
  const auto key = key_with({{50 * 1000, Period::kMonth, ""}});
  std::atomic<int> passed{0}, refused{0}, ready{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      ++ready;
      while (ready < 8) std::this_thread::yield();
      for (int i = 0; i < 25; ++i) {
        auto got = ledger->hold(key.get(), kModel, false, 1000);
        if (auto* hold = std::get_if<Ledger::Hold>(&got)) {
          ++passed;
          ledger->add(spent(key->id, 1000));
          hold->release();
        } else {
          ++refused;
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(passed, 50);
  EXPECT_EQ(refused, 150);
  const auto states = ledger->budget_states({*key});
  ASSERT_EQ(states.size(), 1u);
  EXPECT_EQ(states[0].spent_microusd, 50000);
  EXPECT_EQ(states[0].held_microusd, 0);
}

TEST(Ledger, AFailedCallGivesItsMoneyBack) {
  auto ledger = *Ledger::open({}, {});
  const auto key = key_with({{1000, Period::kTotal, ""}});
  {
    auto got = ledger->hold(key.get(), kModel, false, 800);
    ASSERT_TRUE(std::holds_alternative<Ledger::Hold>(got));
    auto other = ledger->hold(key.get(), kModel, false, 800);
    ASSERT_TRUE(std::holds_alternative<Ledger::Refusal>(other));
    EXPECT_EQ(std::get<Ledger::Refusal>(other).retry_after_ms, 1000) << "it may be given back";
  }
  EXPECT_TRUE(passes(*ledger, key.get(), 800));
  ledger->add(spent(key->id, 900));
  EXPECT_FALSE(passes(*ledger, key.get(), 101));
  EXPECT_TRUE(passes(*ledger, key.get(), 100));
}

TEST(Ledger, F3NegativeCostsChangeNothing) {
  auto ledger = *Ledger::open({}, {});
  const auto key = key_with({{1000, Period::kTotal, ""}});
  ledger->add(spent(key->id, -5000));
  EXPECT_FALSE(passes(*ledger, key.get(), 1001));
  EXPECT_TRUE(passes(*ledger, key.get(), 1000));
}

TEST(Ledger, F5LocalModelsWorkAtBudgetZeroAndUnknownPricesDoNot) {
  auto ledger = *Ledger::open({}, {});
  const auto key = key_with({{0, Period::kDay, ""}});
  EXPECT_TRUE(std::holds_alternative<Ledger::Hold>(ledger->hold(key.get(), "ollama/x", true, 0)));
  EXPECT_FALSE(passes(*ledger, key.get(), 0)) << "a hosted model is never for nothing";
  auto got = ledger->hold(key.get(), "openai/unknown", false, std::nullopt);
  ASSERT_TRUE(std::holds_alternative<Ledger::Refusal>(got));
  EXPECT_TRUE(std::get<Ledger::Refusal>(got).unpriced);
  EXPECT_TRUE(
      std::holds_alternative<Ledger::Hold>(ledger->hold(nullptr, "openai/x", false, std::nullopt)))
      << "no budget, no refusal";
}

TEST(Ledger, BudgetsOfSomeModelsAndOfEverybody) {
  auto ledger = *Ledger::open({}, {{5000, Period::kTotal, "openai/*"}});
  const auto key = key_with({{1000, Period::kTotal, "openai/gpt-4o*"}});
  EXPECT_FALSE(passes(*ledger, key.get(), 1001));
  EXPECT_TRUE(passes(*ledger, key.get(), 1001, "openai/o3"));
  EXPECT_TRUE(passes(*ledger, key.get(), 100000, "claude/claude-opus-5"));
  EXPECT_FALSE(passes(*ledger, nullptr, 5001, "openai/o3"));
  ledger->add(spent("", 4500, "o3"));
  EXPECT_FALSE(passes(*ledger, key.get(), 501)) << "everybody's budget counts for each key";
  EXPECT_TRUE(passes(*ledger, key.get(), 500));
}

TEST(Ledger, PeriodsEnd) {
  FakeClock clock;  // 2026-01-01
  auto ledger = *Ledger::open({}, {}, clock);
  const auto day = key_with({{1000, Period::kDay, ""}});
  const auto month = key_with({{1000, Period::kMonth, ""}}, "0000000b");
  const auto all = key_with({{1000, Period::kTotal, ""}}, "0000000c");
  for (const auto& k : {day, month, all}) ledger->add(spent(k->id, 1000));
  auto got = ledger->hold(day.get(), kModel, false, 1);
  ASSERT_TRUE(std::holds_alternative<Ledger::Refusal>(got));
  EXPECT_EQ(std::get<Ledger::Refusal>(got).retry_after_ms, 24 * 3600 * 1000);
  clock.advance(std::chrono::hours(24));
  EXPECT_TRUE(passes(*ledger, day.get(), 1));
  EXPECT_FALSE(passes(*ledger, month.get(), 1));
  clock.advance(std::chrono::hours(24 * 30));
  EXPECT_TRUE(passes(*ledger, month.get(), 1));
  EXPECT_FALSE(passes(*ledger, all.get(), 1));
}

TEST(Ledger, SumsOutliveTheProcess) {
  const test::TempFolder folder;
  const auto file = folder.path() / "usage.db";
  FakeClock clock;
  const auto key = key_with({{1000, Period::kDay, ""}, {5000, Period::kTotal, ""}});
  {
    auto ledger = Ledger::open(file, {}, clock);
    ASSERT_TRUE(ledger.ok()) << ledger.error().message();
    (*ledger)->add(spent(key->id, 600));
    (*ledger)->add(spent(key->id, 300));
    (*ledger)->add(spent("", 7));
  }
  auto again = Ledger::open(file, {}, clock);
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(passes(**again, key.get(), 101));
  EXPECT_TRUE(passes(**again, key.get(), 100));
  clock.advance(std::chrono::hours(24));
  auto next_day = Ledger::open(file, {}, clock);
  EXPECT_TRUE(passes(**next_day, key.get(), 1000)) << "a new day";
  EXPECT_FALSE(passes(**next_day, key.get(), 4200));
  const auto by_key = (*next_day)->usage(UsageBy::kKey, 2);
  ASSERT_TRUE(by_key.ok());
  ASSERT_EQ(by_key->size(), 2u);
  EXPECT_EQ((*by_key)[0].group, key->id);
  EXPECT_EQ((*by_key)[0].sum.cost_microusd, 900);
  EXPECT_EQ((*by_key)[0].sum.requests, 2);
  EXPECT_EQ((*by_key)[0].sum.input_tokens, 20);
  EXPECT_TRUE((*next_day)->usage(UsageBy::kKey, 1)->empty());
  EXPECT_EQ((*next_day)->usage(UsageBy::kDay, 30)->at(0).group, "2026-01-01");
  EXPECT_EQ((*next_day)->usage(UsageBy::kModel, 30)->at(0).group, "openai/gpt-4o");
}

// What services that share Redis call the same budget, and what a new one knows of it.
TEST(Ledger, BudgetsAsServicesShareThem) {
  auto ledger = *Ledger::open({}, {{9000, Period::kDay, "ollama/*"}, {5000, Period::kMonth, ""}});
  const auto key = key_with({{1000, Period::kTotal, "openai/*"}});
  ledger->add(spent(key->id, 300));
  const auto budgets = ledger->applying(key.get(), kModel);
  ASSERT_EQ(budgets.size(), 2u);  // not the one of other models
  EXPECT_TRUE(budgets[0].state.key.empty());
  EXPECT_EQ(budgets[1].state.key, key->id);
  for (const auto& b : budgets) EXPECT_EQ(b.own_microusd, 300);
  EXPECT_GT(budgets[0].keep_ms, 31 * 86400'000LL);  // longer than the period
  EXPECT_EQ(budgets[1].keep_ms, 0);
  EXPECT_NE(budgets[0].name, budgets[1].name);
  // A budget that is raised keeps what was spent; another key's is another one.
  const auto raised = key_with({{2000, Period::kTotal, "openai/*"}});
  EXPECT_EQ(ledger->applying(raised.get(), kModel)[1].name, budgets[1].name);
  EXPECT_EQ(ledger->applying(nullptr, kModel).size(), 1u);
  const auto refused = ledger->refusal(budgets[1].state.budget, true, 300, 600, 400);
  EXPECT_EQ(refused.retry_after_ms, 1000);  // the rest may be given back
  EXPECT_NE(refused.message.find("$0.0003 spent"), std::string::npos) << refused.message;
}

TEST(Ledger, ManyThreadsAddAndAsk) {
  const test::TempFolder folder;
  auto ledger = *Ledger::open(folder.path() / "usage.db", {});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) ledger->add(spent("key" + std::to_string(t), 2));
      (void)ledger->usage(UsageBy::kKey, 1);
    });
  }
  for (std::thread& t : threads) t.join();
  ledger->flush();
  const auto rows = *ledger->usage(UsageBy::kKey, 1);
  ASSERT_EQ(rows.size(), 4u);
  for (const UsageRow& row : rows) EXPECT_EQ(row.sum.cost_microusd, 400);
}

}  // namespace
}  // namespace samplemind::ai
