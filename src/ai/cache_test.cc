#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "ai/cache/disk.h"
#include "ai/cache/key_filter.h"
#include "ai/cache/memory.h"
#include "ai/cache/record.h"
#include "ai/dialect/anthropic.h"
#include "ai/dialect/openai.h"
#include "ai/test_support.h"

namespace samplemind::ai {
namespace {

using test::TempFolder;

constexpr int64_t kForever = 1'000'000'000'000;

Digest key_of(uint64_t n) {
  return blake3("key " + std::to_string(n));
}

// A record with something in each field.
std::shared_ptr<CacheRecord> record_of(uint64_t n, size_t text_bytes = 20) {
  auto r = std::make_shared<CacheRecord>();
  r->key = key_of(n);
  r->key_hex = r->key.hex();
  r->stored_ms = static_cast<int64_t>(n);
  r->expires_ms = kForever;
  r->cost_microusd = 123;
  r->tenant = "tenant";
  r->model = "model";
  ChatAnswer& a = r->answer;
  a.id = "chatcmpl-" + std::to_string(n);
  a.created_s = 1700000000;
  a.model = "model-2024";
  a.provider = "openai";
  std::mt19937_64 random(n);
  for (size_t i = 0; i < text_bytes; ++i) a.text += static_cast<char>('a' + random() % 26);
  a.reasoning = "because é";
  a.reasoning_field = "reasoning";
  a.refusal = "no";
  a.tool_calls = {{"call_1", "f", "{\"a\":1}", false, "sig"},
                  {"call_2", "g", "free text", true, ""}};
  a.blocks = {{Block::Kind::kReasoning, a.reasoning.size(), "signature", "", {}},
              {Block::Kind::kRedacted, 0, "", "data", {}},
              {Block::Kind::kText, a.text.size(), "", "", {{"citations", "[1]"}}},
              {Block::Kind::kToolCall, 0, "", "", {}},
              {Block::Kind::kToolCall, 0, "", "", {}}};
  a.finish_detail = "tool_use";
  a.stop_sequence = "END";
  a.usage.cache_write_1h_tokens = 1;
  a.logprobs = R"({"token":"a","logprob":-0.5})";
  a.refusal_logprobs = R"({"token":"n","logprob":-1})";
  a.extra = {{"system_fingerprint", "\"fp\""}};
  a.choice_extra = {{"stop_reason", "null"}};
  a.message_extra = {{"annotations", "[]"}};
  a.finish_reason = "tool_calls";
  a.usage.input_tokens = 10;
  a.usage.cached_input_tokens = 4;
  a.usage.cache_write_tokens = 3;
  a.usage.output_tokens = 5;
  a.usage.reasoning_tokens = 2;
  a.usage.reported = true;
  r->openai_body = write_openai_answer(a);
  return r;
}

// --- Record
// ---------------------------------------------------------------------------------------

TEST(Record, KeepsEverything) {
  for (const size_t bytes : {0u, 20u, 5000u, 300000u}) {
    const auto r = record_of(7, bytes);
    const std::string encoded = encode_record(*r);
    auto back = decode_record(encoded, r->key);
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(write_openai_answer(back->answer), r->openai_body);
    EXPECT_EQ(write_openai_stream(back->answer, true), write_openai_stream(r->answer, true));
    EXPECT_EQ(back->stored_ms, r->stored_ms);
    EXPECT_EQ(back->expires_ms, r->expires_ms);
    EXPECT_EQ(back->cost_microusd, r->cost_microusd);
    EXPECT_EQ(back->tenant, r->tenant);
    EXPECT_EQ(back->model, r->model);
    EXPECT_EQ(back->key_hex, r->key_hex);
    EXPECT_EQ(back->answer.usage.cache_write_tokens, 3);
    EXPECT_EQ(back->answer.usage.cache_write_1h_tokens, 1);
    EXPECT_EQ(write_anthropic_answer(back->answer), write_anthropic_answer(r->answer));
    EXPECT_EQ(encode_record(*back), encoded);
  }
}

TEST(Record, AnyDamageIsNoticed) {
  const auto r = record_of(7, 2000);
  const std::string encoded = encode_record(*r);
  EXPECT_FALSE(decode_record(encoded, key_of(8)).ok()) << "stored under another key";
  for (size_t i = 0; i < encoded.size(); ++i) {
    std::string damaged = encoded;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    ASSERT_FALSE(decode_record(damaged, r->key).ok()) << i;
    ASSERT_FALSE(decode_record(std::string_view(encoded).substr(0, i), r->key).ok()) << i;
  }
  EXPECT_FALSE(decode_record(encoded + "x", r->key).ok());
}

// --- Memory
// ---------------------------------------------------------------------------------------

TEST(Memory, GivesTheSameObjectUntilItExpires) {
  MemoryCache cache(1 << 20);
  const auto r = record_of(1);
  r->expires_ms = 1000;
  cache.put(r);
  EXPECT_EQ(cache.get(r->key, 999).get(), r.get()) << "no copy";
  EXPECT_EQ(cache.get(key_of(2), 0), nullptr);
  EXPECT_EQ(cache.get(r->key, 1000), nullptr);
  EXPECT_EQ(cache.entries(), 0u);
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(Memory, StaysWithinItsBytes) {
  constexpr size_t kMax = 1 << 20;
  MemoryCache cache(kMax);
  std::mt19937_64 random(1);
  for (uint64_t i = 0; i < 6000; ++i) {
    cache.put(record_of(random() % 3000, random() % 4000));
    if (i % 3 == 0) cache.get(key_of(random() % 3000), 0);
    if (i % 7 == 0) cache.erase(key_of(random() % 3000));
    ASSERT_LE(cache.bytes(), kMax);
  }
  EXPECT_GT(cache.bytes(), kMax / 2);
  cache.put(record_of(1, kMax));
  EXPECT_EQ(cache.get(key_of(1), 0), nullptr) << "one answer must not push out all others";
  cache.clear();
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(Memory, OnlyWhatIsStillThereIsReplaced) {
  MemoryCache cache(1 << 20);
  const auto first = record_of(1), second = record_of(1), third = record_of(1, 500);
  cache.put(first);
  cache.replace(*first, third);
  EXPECT_EQ(cache.get(key_of(1), 0), third);
  EXPECT_EQ(cache.bytes(), third->bytes());
  cache.put(second);  // a newer answer
  cache.replace(*third, first);
  EXPECT_EQ(cache.get(key_of(1), 0), second);
  cache.erase(key_of(1));
  cache.replace(*second, first);
  EXPECT_EQ(cache.get(key_of(1), 0), nullptr);
}

TEST(Memory, ReplacingAnEntryCountsItOnce) {
  MemoryCache cache(1 << 20);
  for (int i = 0; i < 1000; ++i) cache.put(record_of(1, static_cast<size_t>(i)));
  EXPECT_EQ(cache.entries(), 1u);
  EXPECT_EQ(cache.bytes(), record_of(1, 999)->bytes());
}

TEST(Memory, WhatIsAskedAgainSurvivesAScan) {
  MemoryCache cache(1 << 20);
  for (uint64_t i = 0; i < 50; ++i) {
    cache.put(record_of(i));
    cache.get(key_of(i), 0);
  }
  for (uint64_t i = 1000; i < 6000; ++i) cache.put(record_of(i));  // each asked once
  int left = 0;
  for (uint64_t i = 0; i < 50; ++i) left += cache.get(key_of(i), 0) != nullptr;
  EXPECT_EQ(left, 50);
}

TEST(Memory, ManyThreads) {
  MemoryCache cache(1 << 20);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&cache, t] {
      std::mt19937_64 random(static_cast<uint64_t>(t));
      for (int i = 0; i < 3000; ++i) {
        const uint64_t n = random() % 500;
        const RecordPtr r = cache.get(key_of(n), 0);
        if (r) {
          ASSERT_EQ(r->key, key_of(n));
        }
        if (!r) cache.put(record_of(n, 500));
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_LE(cache.bytes(), 1u << 20);
}

// --- The filter before the disk

// Against a multiset: whatever is added and removed in whatever order, nothing that is there is
// denied, and what is not there is (nearly always) denied.
TEST(KeyFilter, KnowsWhatIsThere) {
  KeyFilter filter;
  EXPECT_FALSE(filter.may_have(key_of(1)));
  filter.remove(key_of(1));
  std::mt19937_64 random(7);
  std::map<uint64_t, int> there;
  for (int i = 0; i < 60000; ++i) {
    const uint64_t n = random() % 5000;
    if (random() % 2 == 0) {
      filter.add(key_of(n));
      ++there[n];
    } else if (there[n] > 0) {
      filter.remove(key_of(n));
      --there[n];
    }
  }
  size_t wrong = 0;
  for (uint64_t n = 0; n < 10000; ++n) {
    if (there[n] > 0) {
      ASSERT_TRUE(filter.may_have(key_of(n))) << n;
    }
    if (there[n] == 0 && filter.may_have(key_of(n))) ++wrong;
  }
  EXPECT_LE(wrong, 1u);
  filter.clear();
  for (uint64_t n = 0; n < 5000; ++n) ASSERT_FALSE(filter.may_have(key_of(n)));
}

// --- Disk
// -----------------------------------------------------------------------------------------

std::unique_ptr<DiskCache> open_disk(const std::filesystem::path& folder,
                                     uint64_t bytes_max = 64 << 20) {
  auto disk = DiskCache::open(folder, bytes_max);
  EXPECT_TRUE(disk.ok()) << (disk.ok() ? "" : disk.error().message());
  return disk.ok() ? std::move(*disk) : nullptr;
}

TEST(Disk, SurvivesARestart) {
  const TempFolder folder;
  {
    auto disk = open_disk(folder.path() / "c");
    for (uint64_t i = 0; i < 500; ++i) disk->put(record_of(i, i * 10));
  }  // the destructor writes what is queued
  auto disk = open_disk(folder.path() / "c");
  EXPECT_EQ(disk->entries(), 500u);
  for (uint64_t i = 0; i < 500; ++i) {
    const RecordPtr r = disk->get(key_of(i), 0);
    ASSERT_NE(r, nullptr) << i;
    EXPECT_EQ(r->answer.text, record_of(i, i * 10)->answer.text);
  }
  EXPECT_EQ(disk->dropped(), 0u);
}

TEST(Disk, IsPrivateAndOfOneProcess) {
  const TempFolder folder;
  auto disk = open_disk(folder.path() / "c");
  const auto again = DiskCache::open(folder.path() / "c", 1 << 20);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code(), ErrorCode::kAlreadyExists);
  for (const auto& file : std::filesystem::directory_iterator(folder.path() / "c")) {
    EXPECT_EQ(static_cast<unsigned>(file.status().permissions()) & 077u, 0u) << file.path();
  }
}

TEST(Disk, ExpiredAndErasedEntriesGo) {
  const TempFolder folder;
  auto disk = open_disk(folder.path() / "c");
  const auto r = record_of(1);
  r->expires_ms = 1000;
  disk->put(r);
  disk->put(record_of(2));
  disk->flush();
  EXPECT_NE(disk->get(key_of(1), 999), nullptr);
  EXPECT_EQ(disk->get(key_of(1), 1000), nullptr);
  disk->erase(key_of(2));
  disk->flush();
  EXPECT_EQ(disk->entries(), 0u);
  EXPECT_EQ(disk->bytes(), 0u);
}

// Values of every size, among them those that LMDB gives pages of their own: the bound must hold
// and the map never be full.
TEST(Disk, StaysWithinItsBytes) {
  for (const size_t text : {100u, 2500u, 20000u}) {
    const TempFolder folder;
    constexpr uint64_t kMax = 4 << 20;
    auto disk = open_disk(folder.path() / "c", kMax);
    for (uint64_t i = 0; i < 1500; ++i) {
      disk->put(record_of(i, text + i % 1000));
      if (i % 100 == 99) disk->flush();
    }
    disk->flush();
    EXPECT_LE(disk->bytes(), kMax);
    EXPECT_EQ(disk->dropped(), 0u) << text;
    EXPECT_NE(disk->get(key_of(1499), 0), nullptr);
    EXPECT_LE(std::filesystem::file_size(folder.path() / "c" / "data.mdb"),
              kMax * 3 / 2 + (16 << 20));
    if (text > 1000) {
      EXPECT_EQ(disk->get(key_of(0), 0), nullptr) << "the oldest goes first";
    }
  }
}

TEST(Disk, DamagedEntryIsAMissAndRemoved) {
  const TempFolder folder;
  const auto r = record_of(5, 500);
  {
    auto disk = open_disk(folder.path() / "c");
    disk->put(r);
    disk->put(record_of(6, 500));
  }
  const auto file = folder.path() / "c" / "data.mdb";
  std::ifstream in(file, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), {});
  size_t hits = 0;
  for (size_t at = bytes.find(r->answer.text); at != std::string::npos;
       at = bytes.find(r->answer.text, at + 1)) {
    bytes[at + 10] ^= 1;
    ++hits;
  }
  ASSERT_GT(hits, 0u);
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
  auto disk = open_disk(folder.path() / "c");
  EXPECT_EQ(disk->get(r->key, 0), nullptr);
  EXPECT_EQ(disk->damaged(), 1u);
  disk->flush();
  EXPECT_EQ(disk->entries(), 1u);
  EXPECT_NE(disk->get(key_of(6), 0), nullptr);
  disk->put(r);
  disk->flush();
  EXPECT_NE(disk->get(r->key, 0), nullptr);
}

TEST(Disk, FileThatIsNoDatabaseBeginsAnew) {
  const TempFolder folder;
  std::filesystem::create_directories(folder.path() / "c");
  std::ofstream(folder.path() / "c" / "data.mdb") << std::string(40960, 'x');
  auto disk = open_disk(folder.path() / "c");
  ASSERT_NE(disk, nullptr);
  disk->put(record_of(1));
  disk->flush();
  EXPECT_NE(disk->get(key_of(1), 0), nullptr);
}

TEST(Disk, SaysWhatItMayHaveWithoutReading) {
  const TempFolder folder;
  {
    auto disk = open_disk(folder.path() / "c");
    EXPECT_FALSE(disk->may_have(key_of(1)));
    disk->put(record_of(1));
    disk->put(record_of(2));
    disk->put(record_of(2));  // replaced: once there
    disk->flush();
    EXPECT_TRUE(disk->may_have(key_of(1)));
    disk->erase(key_of(2));
    disk->flush();
    EXPECT_FALSE(disk->may_have(key_of(2)));
    disk->put(record_of(3));
  }
  auto disk = open_disk(folder.path() / "c");
  EXPECT_TRUE(disk->may_have(key_of(1)));
  EXPECT_FALSE(disk->may_have(key_of(2)));
  EXPECT_TRUE(disk->may_have(key_of(3)));
}

TEST(Disk, ScansTheOldestFirstAndGoesOnWhereItWas) {
  const TempFolder folder;
  auto disk = open_disk(folder.path() / "c");
  for (uint64_t i = 0; i < 25; ++i) {
    const auto r = record_of(i);
    r->stored_ms = static_cast<int64_t>(1000 - i);
    disk->put(r);
  }
  disk->flush();
  std::vector<Digest> seen;
  std::string cursor;
  int calls = 0;
  while (disk->scan(cursor, 10, [&](const CacheRecord& r) { seen.push_back(r.key); })) ++calls;
  EXPECT_EQ(calls, 2);
  ASSERT_EQ(seen.size(), 25u);
  for (uint64_t i = 0; i < 25; ++i) EXPECT_EQ(seen[i], key_of(24 - i)) << i;
}

// The child writes and says what is on disk for certain; then it is killed in the middle of more.
TEST(Disk, SurvivesKill) {
  const TempFolder folder;
  for (int round = 0; round < 3; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto disk = DiskCache::open(folder.path() / "c", 64 << 20);
      if (!disk.ok()) _exit(1);
      for (uint64_t i = 0;; ++i) {
        (*disk)->put(record_of(i, 3000));
        if (i % 50 != 49) continue;
        (*disk)->flush();
        if (write(pipe_ends[1], &i, sizeof i) != sizeof i) _exit(1);
      }
    }
    close(pipe_ends[1]);
    uint64_t certain = 0;
    for (int i = 0; i < 3 + round; ++i)
      ASSERT_EQ(read(pipe_ends[0], &certain, sizeof certain), static_cast<ssize_t>(sizeof certain));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    close(pipe_ends[0]);
    auto disk = open_disk(folder.path() / "c");
    ASSERT_NE(disk, nullptr);
    for (uint64_t i = 0; i <= certain; ++i) ASSERT_NE(disk->get(key_of(i), 0), nullptr) << i;
    EXPECT_EQ(disk->damaged(), 0u);
  }
}

TEST(Disk, ReadersAndTheWriterAtOnce) {
  const TempFolder folder;
  auto disk = open_disk(folder.path() / "c", 4 << 20);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&disk, t] {
      std::mt19937_64 random(static_cast<uint64_t>(t));
      for (int i = 0; i < 500; ++i) {
        const uint64_t n = random() % 200;
        const RecordPtr r = disk->get(key_of(n), 0);
        if (r) {
          ASSERT_EQ(r->key, key_of(n));
        }
        if (!r) disk->put(record_of(n, 5000));
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(disk->damaged(), 0u);
}

}  // namespace
}  // namespace samplemind::ai
