#include "ai/cache/admin.h"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <vector>

#include "base/json.h"

namespace samplemind::ai {

namespace {

constexpr size_t kScanStep = 500;
constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    uint32_t v = 0;
    for (size_t k = 0; k < 3; ++k)
      v = v << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += k <= n ? kDigits[v >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  static const std::array<int8_t, 256> values = [] {
    std::array<int8_t, 256> table{};
    table.fill(-1);
    for (size_t i = 0; i < kDigits.size(); ++i)
      table[static_cast<unsigned char>(kDigits[i])] = static_cast<int8_t>(i);
    return table;
  }();
  if (text.size() % 4 != 0) return std::nullopt;
  for (int padding = 0; padding < 2 && text.ends_with('='); ++padding) text.remove_suffix(1);
  std::string out;
  uint32_t v = 0;
  int bits = 0;
  for (const char c : text) {
    const int8_t digit = values[static_cast<unsigned char>(c)];
    if (digit < 0) return std::nullopt;
    v = v << 6 | static_cast<uint32_t>(digit);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>(v >> bits & 0xFF);
  }
  return out;
}

}  // namespace

bool CacheFilter::fits(const CacheRecord& r, int64_t now_ms) const {
  if (!key.empty() && !r.key_hex.starts_with(key)) return false;
  if (!provider.empty() && r.answer.provider != provider) return false;
  if (!tenant.empty() && r.tenant != tenant) return false;
  if (!model.empty() && r.model != model && r.answer.provider + "/" + r.model != model)
    return false;
  return older_than_ms <= 0 || now_ms - r.stored_ms > older_than_ms;
}

bool CacheAdmin::page(std::string& cursor, size_t max, const CacheFilter& filter, int64_t now_ms,
                      const std::function<void(const CacheRecord&)>& each) {
  if (disk_ == nullptr) {
    // In the order of their keys, which serve as the cursor.
    std::vector<RecordPtr> found;
    memory_.each([&](const RecordPtr& r) {
      if (r->key_hex > cursor && r->expires_ms > now_ms && filter.fits(*r, now_ms))
        found.push_back(r);
    });
    const size_t n = std::min(max, found.size());
    const auto middle = found.begin() + static_cast<std::ptrdiff_t>(n);
    std::partial_sort(found.begin(), middle, found.end(),
                      [](const auto& a, const auto& b) { return a->key_hex < b->key_hex; });
    for (auto it = found.begin(); it != middle; ++it) {
      each(**it);
      cursor = (*it)->key_hex;
    }
    return found.size() > n;
  }
  if (cursor.empty()) disk_->flush();
  size_t given = 0;
  bool more = true;
  // Fewer at a time than are still wanted, so that the cursor never runs past what was given.
  while (more && given < max) {
    more = disk_->scan(cursor, std::min(kScanStep, max - given), [&](const CacheRecord& r) {
      if (r.expires_ms <= now_ms || !filter.fits(r, now_ms)) return;
      each(r);
      ++given;
    });
  }
  return more;
}

RecordPtr CacheAdmin::get(const Digest& key, int64_t now_ms) {
  if (RecordPtr hit = memory_.get(key, now_ms)) return hit;
  return disk_ != nullptr ? disk_->get(key, now_ms) : nullptr;
}

uint64_t CacheAdmin::erase(const CacheFilter& filter, int64_t now_ms) {
  std::unordered_set<Digest> gone;
  std::vector<Digest> keys;
  memory_.each([&](const RecordPtr& r) {
    if (filter.fits(*r, now_ms)) keys.push_back(r->key);
  });
  for (const Digest& key : keys) {
    memory_.erase(key);
    gone.insert(key);
  }
  if (disk_ == nullptr) return gone.size();
  disk_->flush();
  std::string cursor;
  bool more = true;
  while (more) {
    keys.clear();
    more = disk_->scan(cursor, kScanStep, [&](const CacheRecord& r) {
      if (filter.fits(r, now_ms)) keys.push_back(r.key);
    });
    for (const Digest& key : keys) {
      memory_.erase(key);  // read back from the disk in the meantime
      disk_->erase(key);
      gone.insert(key);
    }
    disk_->flush();  // also keeps the queue short
  }
  return gone.size();
}

void CacheAdmin::add(const RecordPtr& record) {
  memory_.put(record);
  if (disk_ != nullptr) disk_->put(record);
}

std::string write_export_line(const CacheRecord& r) {
  std::string out;
  JsonWriter w(out);
  w.begin_object()
      .field("key", r.key_hex)
      .field("model", r.answer.provider + "/" + r.model)
      .field("tenant", r.tenant)
      .field("stored_ms", r.stored_ms)
      .field("expires_ms", r.expires_ms)
      .field("record", base64(encode_record(r)))
      .end_object();
  return out;
}

Result<RecordPtr> read_export_line(std::string_view line) {
  SM_TRY(const JsonValue value, JsonValue::parse(line));
  const auto text = value["record"].string();
  const auto key = Digest::from_hex(value["key"].string_or(""));
  if (!text || !key.ok())
    return Error(ErrorCode::kInvalidArgument, "not a line of 'samplemind cache export'");
  const auto bytes = from_base64(*text);
  if (!bytes) return Error(ErrorCode::kDataLoss, "the record is no Base64");
  SM_TRY(CacheRecord record, decode_record(*bytes, *key));
  return RecordPtr(std::make_shared<CacheRecord>(std::move(record)));
}

}  // namespace samplemind::ai
