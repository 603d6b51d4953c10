#include "ai/cache/record.h"

#include <msgpuck.h>
#include <zstd.h>

#include <cstring>
#include <vector>

namespace samplemind::ai {

namespace {

// Layout: 16 bytes of BLAKE3 over the rest, 1 byte of flags, 8 bytes of unpacked size, payload.
constexpr size_t kChecksum = 16;
constexpr size_t kHeader = kChecksum + 1 + 8;
constexpr char kCompressed = 1;
// Below this LMDB keeps a record within a page that it shares with others: compressing it costs
// five times as much as all the rest and saves nothing that is ever counted.
constexpr size_t kCompressAbove = 1800;
constexpr uint64_t kUnpackedMax = 256u << 20;
constexpr uint32_t kFields = 31;

class Packer {
 public:
  void text(std::string_view s) {
    const size_t at = out.size();
    out.resize(at + mp_sizeof_str(static_cast<uint32_t>(s.size())));
    mp_encode_str(out.data() + at, s.data(), static_cast<uint32_t>(s.size()));
  }
  void number(int64_t v) {
    char buffer[9];
    const char* end =
        v >= 0 ? mp_encode_uint(buffer, static_cast<uint64_t>(v)) : mp_encode_int(buffer, v);
    out.append(buffer, static_cast<size_t>(end - buffer));
  }
  void array(size_t n) {
    char buffer[5];
    const char* end = mp_encode_array(buffer, static_cast<uint32_t>(n));
    out.append(buffer, static_cast<size_t>(end - buffer));
  }
  std::string out;
};

// Every read checks the type: a record is ours, but a disk is not to be trusted.
class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : at_(bytes.data()) {
    const char* p = bytes.data();
    good = mp_check(&p, bytes.data() + bytes.size()) == 0 && p == bytes.data() + bytes.size();
  }
  std::string text() {
    if (!good || mp_typeof(*at_) != MP_STR) return fail(), std::string();
    uint32_t n = 0;
    const char* s = mp_decode_str(&at_, &n);
    return std::string(s, n);
  }
  int64_t number() {
    if (good && mp_typeof(*at_) == MP_UINT) return static_cast<int64_t>(mp_decode_uint(&at_));
    if (good && mp_typeof(*at_) == MP_INT) return mp_decode_int(&at_);
    fail();
    return 0;
  }
  size_t array() {
    if (!good || mp_typeof(*at_) != MP_ARRAY) return fail(), 0;
    return mp_decode_array(&at_);
  }
  void fail() { good = false; }
  bool good = true;

 private:
  const char* at_;
};

std::string checksum(std::string_view bytes) {
  const Digest d = blake3(bytes);
  return std::string(reinterpret_cast<const char*>(d.bytes.data()), kChecksum);
}

void pack_members(Packer& p, const ExtraMembers& members) {
  p.array(members.size());
  for (const auto& [name, json] : members) {
    p.array(2);
    p.text(name);
    p.text(json);
  }
}

void unpack_members(Unpacker& u, ExtraMembers& members) {
  const size_t n = u.array();
  for (size_t i = 0; i < n && u.good; ++i) {
    if (u.array() != 2) return u.fail();
    std::string name = u.text();
    members.emplace_back(std::move(name), u.text());
  }
}

}  // namespace

std::string encode_record(const CacheRecord& r) {
  const ChatAnswer& a = r.answer;
  Packer p;
  p.array(kFields);
  p.text({reinterpret_cast<const char*>(r.key.bytes.data()), r.key.bytes.size()});
  p.number(r.stored_ms);
  p.number(r.expires_ms);
  p.number(r.cost_microusd);
  p.text(r.tenant);
  p.text(r.model);
  p.text(a.id);
  p.number(a.created_s);
  p.text(a.model);
  p.text(a.provider);
  p.text(a.text);
  p.text(a.reasoning);
  p.text(a.refusal);
  p.array(a.tool_calls.size());
  for (const ToolCall& t : a.tool_calls) {
    p.array(5);
    p.text(t.id);
    p.text(t.name);
    p.text(t.arguments);
    p.number(t.custom ? 1 : 0);
    p.text(t.signature);
  }
  p.text(a.logprobs);
  p.text(a.refusal_logprobs);
  p.text(a.reasoning_field);
  for (const ExtraMembers* members : {&a.extra, &a.choice_extra, &a.message_extra})
    pack_members(p, *members);
  p.array(a.blocks.size());
  for (const Block& b : a.blocks) {
    p.array(5);
    p.number(static_cast<int64_t>(b.kind));
    p.number(static_cast<int64_t>(b.size));
    p.text(b.signature);
    p.text(b.data);
    pack_members(p, b.extra);
  }
  p.text(a.finish_reason);
  p.text(a.finish_detail);
  p.text(a.stop_sequence);
  p.number(a.usage.input_tokens);
  p.number(a.usage.cached_input_tokens);
  p.number(a.usage.output_tokens);
  p.number(a.usage.cache_write_tokens);
  p.number(a.usage.cache_write_1h_tokens);
  p.number(a.usage.reported ? a.usage.reasoning_tokens : -1);
  p.text(a.usage.openai_json);

  std::string body(1, '\0');
  const uint64_t size = p.out.size();
  body.append(reinterpret_cast<const char*>(&size), sizeof size);
  if (p.out.size() > kCompressAbove) {
    // A context is worth keeping: making one costs more than compressing a short answer.
    thread_local const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(),
                                                                                  ZSTD_freeCCtx);
    std::string packed(ZSTD_compressBound(p.out.size()), '\0');
    const size_t n = ZSTD_compressCCtx(context.get(), packed.data(), packed.size(), p.out.data(),
                                       p.out.size(), 1);
    if (ZSTD_isError(n) == 0 && n < p.out.size()) {
      body[0] = kCompressed;
      body.append(packed, 0, n);
    } else {
      body += p.out;
    }
  } else {
    body += p.out;
  }
  return checksum(body) + body;
}

Result<CacheRecord> decode_record(std::string_view bytes, const Digest& key) {
  const Error damaged(ErrorCode::kDataLoss, "a cached answer is damaged");
  if (bytes.size() < kHeader || checksum(bytes.substr(kChecksum)) != bytes.substr(0, kChecksum))
    return damaged;
  uint64_t size = 0;
  std::memcpy(&size, bytes.data() + kChecksum + 1, sizeof size);
  std::string_view payload = bytes.substr(kHeader);
  std::string unpacked;
  if (bytes[kChecksum] == kCompressed) {
    if (size > kUnpackedMax) return damaged;
    thread_local const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                                  ZSTD_freeDCtx);
    unpacked.resize(size);
    if (ZSTD_decompressDCtx(context.get(), unpacked.data(), unpacked.size(), payload.data(),
                            payload.size()) != size)
      return damaged;
    payload = unpacked;
  } else if (payload.size() != size) {
    return damaged;
  }
  Unpacker u(payload);
  CacheRecord r;
  ChatAnswer& a = r.answer;
  if (u.array() != kFields) return damaged;
  const std::string stored_key = u.text();
  if (stored_key !=
      std::string_view(reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size()))
    return damaged;
  r.key = key;
  r.key_hex = key.hex();
  r.stored_ms = u.number();
  r.expires_ms = u.number();
  r.cost_microusd = u.number();
  r.tenant = u.text();
  r.model = u.text();
  a.id = u.text();
  a.created_s = u.number();
  a.model = u.text();
  a.provider = u.text();
  a.text = u.text();
  a.reasoning = u.text();
  a.refusal = u.text();
  const size_t tools = u.array();
  for (size_t i = 0; i < tools && u.good; ++i) {
    if (u.array() != 5) return damaged;
    ToolCall t;
    t.id = u.text();
    t.name = u.text();
    t.arguments = u.text();
    t.custom = u.number() != 0;
    t.signature = u.text();
    a.tool_calls.push_back(std::move(t));
  }
  a.logprobs = u.text();
  a.refusal_logprobs = u.text();
  a.reasoning_field = u.text();
  for (ExtraMembers* members : {&a.extra, &a.choice_extra, &a.message_extra})
    unpack_members(u, *members);
  const size_t blocks = u.array();
  for (size_t i = 0; i < blocks && u.good; ++i) {
    if (u.array() != 5) return damaged;
    Block b;
    const int64_t kind = u.number();
    if (kind < 0 || kind > static_cast<int64_t>(Block::Kind::kOther)) return damaged;
    b.kind = static_cast<Block::Kind>(kind);
    b.size = static_cast<size_t>(u.number());
    b.signature = u.text();
    b.data = u.text();
    unpack_members(u, b.extra);
    a.blocks.push_back(std::move(b));
  }
  a.finish_reason = u.text();
  a.finish_detail = u.text();
  a.stop_sequence = u.text();
  a.usage.input_tokens = u.number();
  a.usage.cached_input_tokens = u.number();
  a.usage.output_tokens = u.number();
  a.usage.cache_write_tokens = u.number();
  a.usage.cache_write_1h_tokens = u.number();
  a.usage.reasoning_tokens = u.number();
  a.usage.openai_json = u.text();
  a.usage.reported = a.usage.reasoning_tokens >= 0;
  if (!a.usage.reported) a.usage.reasoning_tokens = 0;
  if (!u.good || !(a.complete() || a.cut_by_length() || r.embedding())) return damaged;
  return r;
}

}  // namespace samplemind::ai
