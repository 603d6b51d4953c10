// Virtual keys: what people and programs are given instead of a provider's key. A key is shown
// once, when it is made; what is kept is its BLAKE3 hash, in a file that only its owner can read.
// Keys are 160 random bits, so that a plain hash is enough.
//
// KeyStore is thread-safe. It sees changes that another process made within a second. find() costs
// one hash of the key (about 0.2 us) and compares in constant time.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/result.h"

namespace samplemind::ai {

enum class Period { kDay, kMonth, kTotal };  // UTC days and months
std::string_view period_name(Period period);
std::optional<Period> parse_period(std::string_view name);

struct Budget {
  int64_t microusd = 0;
  Period period = Period::kTotal;
  std::string model;  // a pattern such as "openai/*"; empty: all models together
};
// "10/month", "2.50/day", "100", "5/day:openai/gpt-4o*".
Result<Budget> parse_budget(std::string_view text);
std::string to_string(const Budget& budget);

// Letters, digits, '-', '_' and '.', at most 100.
bool usable_tenant(std::string_view tenant);

// '*' stands for any text, also for none. Case counts.
bool matches_pattern(std::string_view pattern, std::string_view text);

struct VirtualKey {
  std::string id;      // eight hex digits, part of the key; tells keys apart in logs and lists
  std::string name;    // its owner's word for it
  std::string tenant;  // answers are shared within a tenant only
  Digest hash;
  std::vector<std::string> models;  // patterns of "provider/model"; empty: all
  std::vector<Budget> budgets;
  int64_t requests_per_minute = 0;  // 0: no limit
  int64_t tokens_per_minute = 0;
  bool local_only = false;  // nothing asked with it leaves the machine
  bool library = false;     // may use the library and the coach, too
  std::string sampling;     // "cache", "bypass"; empty: as cache.sampling says
  int64_t created_ms = 0;
  int64_t expires_ms = 0;  // 0: never
  int64_t revoked_ms = 0;  // 0: not revoked
  // After a rotation the old one serves until then.
  std::optional<Digest> old_hash;
  int64_t old_until_ms = 0;

  // `model` is "provider/model".
  bool may_use(std::string_view model) const;
};
using VirtualKeyPtr = std::shared_ptr<const VirtualKey>;

void write_json(JsonWriter& w, const VirtualKey& key, int64_t now_ms);  // without its hash

inline constexpr size_t kKeysMax = 10000;

struct KeyIssue {
  VirtualKey key;
  std::string secret;  // the whole key, told once
};

class KeyStore {
 public:
  // `file` need not exist. kPermissionDenied when others can read it, kDataLoss when it is damaged.
  static Result<std::unique_ptr<KeyStore>> open(std::filesystem::path file,
                                                const Clock& clock = system_clock());
  // No file: keys live as long as the process.
  static std::unique_ptr<KeyStore> in_memory(const Clock& clock = system_clock());

  // True once any key was made that is not revoked: then one is needed.
  bool any() const;

  enum class Verdict { kGood, kUnknown, kExpired, kRevoked };
  struct Found {
    Verdict verdict = Verdict::kUnknown;
    VirtualKeyPtr key;  // with kGood
  };
  Found find(std::string_view secret) const;

  // `wanted`: everything but id, hash and created_ms.
  Result<KeyIssue> create(VirtualKey wanted);
  // By id, or by a name that only one key has. The old key serves for `grace_ms` more.
  Result<KeyIssue> rotate(std::string_view which, int64_t grace_ms);
  Result<VirtualKey> revoke(std::string_view which);
  std::vector<VirtualKey> list() const;  // in order of creation

 private:
  struct Table {
    std::vector<VirtualKeyPtr> order;
    std::unordered_map<std::string, VirtualKeyPtr> by_id;
    bool any = false;
  };
  using TablePtr = std::shared_ptr<const Table>;
  KeyStore(std::filesystem::path file, const Clock& clock);
  static TablePtr make_table(std::vector<VirtualKey> keys);
  TablePtr table() const;
  Result<void> reload() const;
  Result<void> save(const std::vector<VirtualKey>& keys);
  // Reads what is there now, changes it, writes it: under the file's lock.
  Result<VirtualKey*> pick(std::vector<VirtualKey>& keys, std::string_view which) const;
  template <class Change>
  Result<KeyIssue> change(Change how);

  std::filesystem::path file_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  mutable TablePtr table_;
  mutable uint64_t stamp_ = 0;  // of the file as it was read
  mutable std::atomic<int64_t> looked_ms_{0};
};

}  // namespace samplemind::ai
