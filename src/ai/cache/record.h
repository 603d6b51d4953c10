// What a cache tier keeps of an answer.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "ai/chat.h"
#include "base/hash.h"
#include "base/result.h"

namespace samplemind::ai {

// The finish reason of a record that holds an embedding: `answer.text` is its vector, float32 in
// base64.
inline constexpr const char* kEmbeddingRecord = "embedding";

// Immutable once made; shared between threads by shared_ptr. A rendered body is there so that a hit
// costs one write.
struct CacheRecord {
  Digest key;
  ChatAnswer answer;
  int64_t stored_ms = 0;  // Unix time
  int64_t expires_ms = 0;
  int64_t cost_microusd = -1;  // what the answer cost; -1: unknown
  std::string tenant;
  std::string model;  // the one that answered, as the router named it
  // The answer whole, in OpenAI's dialect; empty until somebody wanted it so.
  std::string openai_body;
  std::string key_hex;

  bool embedding() const { return answer.finish_reason == kEmbeddingRecord; }
  size_t bytes() const {
    size_t n = sizeof(CacheRecord) + openai_body.size() + answer.text.size() +
               answer.reasoning.size() + answer.logprobs.size() + 512;
    for (const ToolCall& t : answer.tool_calls) n += sizeof t + t.arguments.size();
    return n;
  }
};
using RecordPtr = std::shared_ptr<const CacheRecord>;

// MessagePack, compressed with zstd above 1.8 KB, with a checksum over all of it.
std::string encode_record(const CacheRecord& record);
// kDataLoss when a byte is wrong. The key must be the one the record was stored under.
Result<CacheRecord> decode_record(std::string_view bytes, const Digest& key);

}  // namespace samplemind::ai
