// What a cached answer costs inside the AI layer, piece by piece. One thread; times are a request.
//   cmake -DSAMPLEMIND_BENCH=ON ... && build/.../bin/ai_micro
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "ai/cache/disk.h"
#include "ai/cache/memory.h"
#include "ai/cache/record.h"
#include "ai/canonical_json.h"
#include "ai/config_keys.h"
#include "ai/dialect/anthropic.h"
#include "ai/dialect/ollama.h"
#include "ai/dialect/openai.h"
#include "ai/fingerprint.h"
#include "ai/gateway.h"
#include "base/config.h"

namespace samplemind::ai {
namespace {

// A chat request of about `bytes`.
std::string request_of(size_t bytes, int n = 0) {
  std::string text = "number " + std::to_string(n) + ": ";
  while (text.size() + 150 < bytes) text += "What tempo has this loop, and in which key is it? ";
  return R"({"model":"openai/gpt-4o-mini","temperature":0.2,"messages":[{"role":"system","content":)"
         R"("You are a careful listener."},{"role":"user","content":")" +
         text + R"("}],"max_tokens":400})";
}

std::shared_ptr<CacheRecord> record_of(uint64_t n, size_t bytes) {
  auto r = std::make_shared<CacheRecord>();
  r->key = blake3(std::to_string(n));
  r->key_hex = r->key.hex();
  r->expires_ms = INT64_MAX;
  r->answer.id = "chatcmpl-123456789";
  r->answer.model = "gpt-4o-mini-2024-07-18";
  r->answer.provider = "openai";
  while (r->answer.text.size() < bytes) r->answer.text += "about 120 beats a minute, in A minor; ";
  r->answer.finish_reason = "stop";
  r->answer.usage.reported = true;
  r->openai_body = write_openai_answer(r->answer);
  return r;
}

void Fingerprint(benchmark::State& state) {
  const std::string body = request_of(static_cast<size_t>(state.range(0)));
  FingerprintScope scope;
  scope.tenant = "local";
  scope.provider = "openai api.openai.com/v1";
  scope.model = "gpt-4o-mini";
  for (auto _ : state) benchmark::DoNotOptimize(fingerprint(scope, body));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(body.size()));
}
BENCHMARK(Fingerprint)->Arg(1 << 10)->Arg(16 << 10)->Arg(256 << 10);

void CanonicalJson(benchmark::State& state) {
  const std::string body = request_of(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(canonical_json(body));
}
BENCHMARK(CanonicalJson)->Arg(1 << 10);

void ReadRequest(benchmark::State& state) {
  const std::string body = request_of(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(read_openai_request(body));
}
BENCHMARK(ReadRequest)->Arg(1 << 10);

void TranslateForOllama(benchmark::State& state) {
  const std::string body = request_of(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    const auto request = read_openai_request(body);
    benchmark::DoNotOptimize(write_ollama_request(*request, "m", true));
  }
}
BENCHMARK(TranslateForOllama)->Arg(1 << 10);

// A request of OpenAI's dialect for Anthropic, and Anthropic's answer for OpenAI's client: what a
// translation adds to a request.
void TranslateToAnthropicAndBack(benchmark::State& state) {
  const std::string body = request_of(static_cast<size_t>(state.range(0)));
  ChatAnswer said;
  said.id = "msg_1";
  said.model = "claude-sonnet-4-5";
  while (said.text.size() < static_cast<size_t>(state.range(0)))
    said.text += "about 120 beats a minute, in A minor; ";
  said.finish_reason = "stop";
  said.usage.reported = true;
  const std::string answer = write_anthropic_answer(said);
  Target target;
  target.dialect = Dialect::kAnthropic;
  target.model = "claude-sonnet-4-5";
  for (auto _ : state) {
    const auto request = read_openai_request(body);
    benchmark::DoNotOptimize(write_request(target, *request));
    const auto back = make_answer_reader(Dialect::kAnthropic)->whole(answer);
    benchmark::DoNotOptimize(write_openai_answer(*back));
  }
}
BENCHMARK(TranslateToAnthropicAndBack)->Arg(4 << 10);

// One event of Anthropic's stream, read and written as OpenAI's.
void TranslateStreamEvent(benchmark::State& state) {
  const auto reader = make_answer_reader(Dialect::kAnthropic);
  std::vector<ChatDelta> pieces;
  (void)reader->event(
      "message_start",
      R"({"type":"message_start","message":{"id":"msg_1","model":"claude-sonnet-4-5","usage":{}}})",
      pieces);
  const std::string event =
      R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" beats a"}})";
  Form form;
  form.stream = true;
  const auto writer = make_stream_writer(form);
  for (auto _ : state) {
    pieces.clear();
    (void)reader->event("content_block_delta", event, pieces);
    std::string out;
    for (const ChatDelta& d : pieces) writer->delta(out, reader->head, d);
    benchmark::DoNotOptimize(out);
  }
}
BENCHMARK(TranslateStreamEvent);

void CanonicalRequest(benchmark::State& state) {
  const std::string body = request_of(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    const auto request = read_openai_request(body);
    benchmark::DoNotOptimize(canonical_request(*request));
  }
}
BENCHMARK(CanonicalRequest)->Arg(1 << 10);

void MemoryLookup(benchmark::State& state) {
  MemoryCache cache(256 << 20);
  constexpr uint64_t kEntries = 10000;
  std::vector<Digest> keys;
  for (uint64_t i = 0; i < kEntries; ++i) {
    const auto r = record_of(i, 500);
    keys.push_back(r->key);
    cache.put(r);
  }
  size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(cache.get(keys[i++ * 7919 % kEntries], 0));
}
BENCHMARK(MemoryLookup);

void EncodeRecord(benchmark::State& state) {
  const auto r = record_of(1, static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(encode_record(*r));
}
BENCHMARK(EncodeRecord)->Arg(1 << 10)->Arg(16 << 10);

void DiskRead(benchmark::State& state) {
  std::string folder = (std::filesystem::temp_directory_path() / "sm_ai_micro_XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return state.SkipWithError("no temporary folder");
  {
    auto disk = DiskCache::open(folder, 256 << 20);
    if (!disk.ok()) return state.SkipWithError(disk.error().message().c_str());
    constexpr uint64_t kEntries = 1000;
    std::vector<Digest> keys;
    for (uint64_t i = 0; i < kEntries; ++i) {
      const auto r = record_of(i, static_cast<size_t>(state.range(0)));
      keys.push_back(r->key);
      (*disk)->put(r);
    }
    (*disk)->flush();
    size_t i = 0;
    for (auto _ : state) benchmark::DoNotOptimize((*disk)->get(keys[i++ * 7919 % kEntries], 0));
  }
  std::filesystem::remove_all(folder);
}
BENCHMARK(DiskRead)->Arg(500)->Arg(16 << 10)->Arg(256 << 10);

// --- The whole way of a hit, without sockets
// ------------------------------------------------------

class NullSink final : public ResponseSink {
 public:
  net::Task<Result<void>> respond(int, net::Headers headers, std::string_view body) override {
    bytes += body.size() + headers.fields().size();
    hits += headers.get("x-samplemind-cache").value_or("").starts_with("hit");
    co_return ok();
  }
  net::Task<Result<void>> start(int, net::Headers) override { co_return ok(); }
  net::Task<Result<void>> write(std::string_view) override { co_return ok(); }
  net::Task<Result<void>> finish() override { co_return ok(); }
  void abort() override {}
  size_t bytes = 0;
  int64_t hits = 0;
};

// An upstream inside the process, so that the cache can be filled the usual way: a disk tier that
// already holds the answers.
struct Filled {
  explicit Filled(size_t bodies_in, bool stream, size_t answer_bytes = 500) {
    folder = (std::filesystem::temp_directory_path() / "sm_ai_micro_XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) std::abort();
    const std::string url = "http://127.0.0.1:1/v1";
    auto config = Config::load(config_keys(), "/nonexistent", false,
                               {{"ai.openai.base_url", url}, {"cache.memory", "512MiB"}});
    {
      auto disk = DiskCache::open(folder, 256 << 20);
      FingerprintScope scope;
      scope.tenant = "local";
      scope.provider = "openai 127.0.0.1:1/v1";
      scope.model = "gpt-4o-mini";
      for (size_t i = 0; i < bodies_in; ++i) {
        std::string body = request_of(1 << 10, static_cast<int>(i));
        if (stream) body.insert(1, "\"stream\":true,");
        const auto r = record_of(i, answer_bytes);
        r->key = fingerprint_canonical(scope, canonical_request(*read_openai_request(body)));
        (*disk)->put(r);
        bodies.push_back(std::move(body));
        if (i % 1000 == 999) (*disk)->flush();
      }
    }
    gateway = *Gateway::create(*config, folder, metrics);
    shard = GatewayShard::create(gateway, loop);
  }
  ~Filled() {
    shard.reset();
    gateway.reset();
    std::filesystem::remove_all(folder);
  }
  net::Task<void> serve(benchmark::State& state, bool shuffle_spelling) {
    net::Headers headers;
    for (const char* name : {"host", "user-agent", "accept", "content-type", "authorization"})
      headers.add(name, "something of usual length");
    CallContext context;
    context.headers = &headers;
    for (const std::string& body : bodies) co_await shard->openai_chat(context, body, sink);
    sink.hits = 0;
    size_t i = 0;
    int64_t n = 0;
    for (auto _ : state) {
      std::string& body = bodies[i++ * 7919 % bodies.size()];
      // White space in front: the bytes are new, the meaning is not.
      if (shuffle_spelling) body.insert(1, 1, ' ');
      co_await shard->openai_chat(context, body, sink);
      if (shuffle_spelling && body.find_first_not_of(' ', 1) > 900) body.erase(1, 899);
      ++n;
    }
    if (sink.hits != n) state.SkipWithError("not all were hits");
  }
  std::string folder;
  Metrics metrics;
  net::Loop loop;
  std::vector<std::string> bodies;
  NullSink sink;
  std::shared_ptr<Gateway> gateway;
  std::unique_ptr<GatewayShard> shard;
};

void HitSameBytes(benchmark::State& state) {
  Filled filled(static_cast<size_t>(state.range(0)), false);
  filled.loop.run_until_done(filled.serve(state, false));
}
BENCHMARK(HitSameBytes)->Arg(1)->Arg(1000);

void HitOtherSpelling(benchmark::State& state) {
  Filled filled(static_cast<size_t>(state.range(0)), false);
  filled.loop.run_until_done(filled.serve(state, true));
}
BENCHMARK(HitOtherSpelling)->Arg(1)->Arg(1000);

void HitStreamed(benchmark::State& state) {
  Filled filled(static_cast<size_t>(state.range(0)), true);
  filled.loop.run_until_done(filled.serve(state, false));
}
BENCHMARK(HitStreamed)->Arg(1000);

}  // namespace
}  // namespace samplemind::ai

BENCHMARK_MAIN();
