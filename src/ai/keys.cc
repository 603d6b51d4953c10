#include "ai/keys.h"

#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "ai/money.h"
#include "base/files.h"
#include "base/log.h"

namespace samplemind::ai {

namespace {

constexpr std::string_view kPrefix = "sm-";
constexpr size_t kIdDigits = 8;
constexpr size_t kSecretDigits = 40;
constexpr size_t kNameMax = 100;
constexpr int64_t kLookEveryMs = 1000;

std::string random_hex(size_t digits) {
  std::string bytes(digits / 2, '\0');
  // Only fails where the kernel has no such call.
  SM_ASSERT(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  std::string out;
  for (const char c : bytes) {
    out += "0123456789abcdef"[(static_cast<unsigned char>(c)) >> 4];
    out += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

Digest key_hash(std::string_view secret) {
  Hasher h("SampleMind 2026 virtual key");
  h.update(secret);
  return h.finish();
}

bool equal_digests(const Digest& a, const Digest& b) {
  unsigned difference = 0;
  for (size_t i = 0; i < a.bytes.size(); ++i)
    difference |= static_cast<unsigned>(a.bytes[i] ^ b.bytes[i]);
  return difference == 0;
}

Result<VirtualKey> read_key(const JsonValue& v) {
  VirtualKey k;
  k.id = v["id"].string_or("");
  k.name = v["name"].string_or("");
  k.tenant = v["tenant"].string_or("local");
  SM_TRY(k.hash, Digest::from_hex(v["hash"].string_or("")));
  for (const JsonValue& m : v["models"].items()) k.models.push_back(m.string_or(""));
  for (const JsonValue& b : v["budgets"].items()) {
    const auto period = parse_period(b["period"].string_or(""));
    if (!period) return Error(ErrorCode::kDataLoss, "a budget of the key " + k.id + " is damaged");
    k.budgets.push_back({b["microusd"].integer_or(0), *period, b["model"].string_or("")});
  }
  k.requests_per_minute = v["requests_per_minute"].integer_or(0);
  k.tokens_per_minute = v["tokens_per_minute"].integer_or(0);
  k.local_only = v["local_only"].bool_or(false);
  k.library = v["library"].bool_or(false);
  k.sampling = v["sampling"].string_or("");
  k.created_ms = v["created_ms"].integer_or(0);
  k.expires_ms = v["expires_ms"].integer_or(0);
  k.revoked_ms = v["revoked_ms"].integer_or(0);
  if (const auto old = v["old_hash"].string()) {
    SM_TRY(k.old_hash, Digest::from_hex(*old));
    k.old_until_ms = v["old_until_ms"].integer_or(0);
  }
  if (k.id.size() != kIdDigits) return Error(ErrorCode::kDataLoss, "a key has no id");
  return k;
}

void write_fields(JsonWriter& w, const VirtualKey& k) {
  w.field("id", k.id).field("name", k.name).field("tenant", k.tenant).field("models", k.models);
  w.key("budgets").begin_array();
  for (const Budget& b : k.budgets) {
    w.begin_object()
        .field("microusd", b.microusd)
        .field("period", period_name(b.period))
        .field("model", b.model)
        .end_object();
  }
  w.end_array()
      .field("requests_per_minute", k.requests_per_minute)
      .field("tokens_per_minute", k.tokens_per_minute)
      .field("local_only", k.local_only)
      .field("library", k.library)
      .field("created_ms", k.created_ms)
      .field("expires_ms", k.expires_ms)
      .field("revoked_ms", k.revoked_ms);
  if (!k.sampling.empty()) w.field("sampling", k.sampling);
}

// Changes whenever the file was replaced.
uint64_t stamp_of(const fs::path& file) {
  struct stat s {};
  if (file.empty() || ::stat(file.c_str(), &s) != 0) return 0;
  return static_cast<uint64_t>(s.st_mtim.tv_sec) * 1000000007u +
         static_cast<uint64_t>(s.st_mtim.tv_nsec) * 31u + s.st_ino + 1;
}

}  // namespace

bool usable_tenant(std::string_view tenant) {
  return !tenant.empty() && tenant.size() <= kNameMax &&
         std::all_of(tenant.begin(), tenant.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

std::string_view period_name(Period period) {
  return period == Period::kDay ? "day" : period == Period::kMonth ? "month" : "total";
}
std::optional<Period> parse_period(std::string_view name) {
  for (const Period p : {Period::kDay, Period::kMonth, Period::kTotal})
    if (name == period_name(p)) return p;
  return std::nullopt;
}

Result<Budget> parse_budget(std::string_view text) {
  Budget b;
  std::string_view amount = text.substr(0, text.find(':'));
  if (amount.size() < text.size()) b.model = text.substr(amount.size() + 1);
  const size_t slash = amount.find('/');
  const auto period = slash == std::string_view::npos ? std::optional(Period::kTotal)
                                                      : parse_period(amount.substr(slash + 1));
  auto dollars = parse_dollars(amount.substr(0, slash));
  if (!period || !dollars.ok() || (b.model.empty() && text.ends_with(':'))) {
    return Error(ErrorCode::kInvalidArgument, "'" + std::string(text) + "' is no budget",
                 "write dollars with a period: 10/month, 2.50/day, 100 (in all); for some models "
                 "only: 5/day:openai/*");
  }
  b.microusd = *dollars;
  b.period = *period;
  return b;
}

std::string to_string(const Budget& b) {
  std::string text = dollars(b.microusd);
  text += b.period == Period::kTotal ? " in all" : " a " + std::string(period_name(b.period));
  if (!b.model.empty()) text += " for " + b.model;
  return text;
}

bool matches_pattern(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool VirtualKey::may_use(std::string_view model) const {
  if (models.empty()) return true;
  // A pattern without a provider fits the model of any.
  const std::string_view bare = model.substr(model.find('/') + 1);
  return std::any_of(models.begin(), models.end(), [&](const std::string& pattern) {
    return matches_pattern(pattern, pattern.find('/') == std::string::npos ? bare : model);
  });
}

void write_json(JsonWriter& w, const VirtualKey& key, int64_t now_ms) {
  w.begin_object();
  write_fields(w, key);
  const char* state = "active";
  if (key.expires_ms > 0 && key.expires_ms <= now_ms) state = "expired";
  if (key.revoked_ms > 0) state = "revoked";
  w.field("state", state);
  if (key.old_hash && key.old_until_ms > now_ms) w.field("old_until_ms", key.old_until_ms);
  w.end_object();
}

KeyStore::KeyStore(fs::path file, const Clock& clock) : file_(std::move(file)), clock_(clock) {
  table_ = make_table({});
}

std::unique_ptr<KeyStore> KeyStore::in_memory(const Clock& clock) {
  return std::unique_ptr<KeyStore>(new KeyStore({}, clock));
}

Result<std::unique_ptr<KeyStore>> KeyStore::open(fs::path file, const Clock& clock) {
  std::unique_ptr<KeyStore> store(new KeyStore(std::move(file), clock));
  SM_CHECK_OK(store->reload());
  return store;
}

KeyStore::TablePtr KeyStore::make_table(std::vector<VirtualKey> keys) {
  auto table = std::make_shared<Table>();
  for (VirtualKey& k : keys) {
    table->any |= k.revoked_ms == 0;
    auto shared = std::make_shared<const VirtualKey>(std::move(k));
    table->by_id[shared->id] = shared;
    table->order.push_back(std::move(shared));
  }
  return table;
}

Result<void> KeyStore::reload() const {
  const uint64_t stamp = stamp_of(file_);
  {
    const std::lock_guard lock(mutex_);
    if (stamp == stamp_) return ok();
  }
  std::vector<VirtualKey> keys;
  if (stamp != 0) {
    struct stat s {};
    if (::stat(file_.c_str(), &s) == 0 && (s.st_mode & 077) != 0) {
      return Error(ErrorCode::kPermissionDenied, "others can read " + file_.string(),
                   "chmod 600 " + file_.string());
    }
    SM_TRY(const std::string text, read_file(file_, 64u << 20));
    auto v = JsonValue::parse(text);
    if (!v.ok() || !(*v)["keys"].is_array())
      return Error(ErrorCode::kDataLoss, file_.string() + " is damaged",
                   "restore it from a backup, or move it away and make new keys");
    for (const JsonValue& each : (*v)["keys"].items()) {
      auto key = read_key(each);
      if (!key.ok()) return std::move(key).error().with_context(file_.string());
      keys.push_back(std::move(*key));
    }
  }
  TablePtr made = make_table(std::move(keys));
  const std::lock_guard lock(mutex_);
  table_ = std::move(made);
  stamp_ = stamp;
  return ok();
}

KeyStore::TablePtr KeyStore::table() const {
  if (!file_.empty()) {
    const int64_t now = clock_.unix_ms();
    int64_t looked = looked_ms_.load(std::memory_order_relaxed);
    if ((now - looked >= kLookEveryMs || now < looked) &&
        looked_ms_.compare_exchange_strong(looked, now)) {
      // What was read before stays in force: a damaged file must not open the door.
      if (auto read = reload(); !read.ok())
        log::warn("keys not read again", {{"error", read.error().message()}});
    }
  }
  const std::lock_guard lock(mutex_);
  return table_;
}

bool KeyStore::any() const {
  return table()->any;
}

KeyStore::Found KeyStore::find(std::string_view secret) const {
  Found found;
  if (!secret.starts_with(kPrefix) ||
      secret.size() != kPrefix.size() + kIdDigits + 1 + kSecretDigits)
    return found;
  const TablePtr now_known = table();
  const Digest given = key_hash(secret);
  const auto it = now_known->by_id.find(std::string(secret.substr(kPrefix.size(), kIdDigits)));
  if (it == now_known->by_id.end()) return found;
  const VirtualKey& key = *it->second;
  const int64_t now = clock_.unix_ms();
  bool good = equal_digests(given, key.hash);
  if (key.old_hash && key.old_until_ms > now) good |= equal_digests(given, *key.old_hash);
  if (!good) return found;
  found.verdict = key.revoked_ms > 0                            ? Verdict::kRevoked
                  : key.expires_ms > 0 && key.expires_ms <= now ? Verdict::kExpired
                                                                : Verdict::kGood;
  if (found.verdict == Verdict::kGood) found.key = it->second;
  return found;
}

std::vector<VirtualKey> KeyStore::list() const {
  std::vector<VirtualKey> keys;
  for (const VirtualKeyPtr& k : table()->order) keys.push_back(*k);
  return keys;
}

Result<void> KeyStore::save(const std::vector<VirtualKey>& keys) {
  if (!file_.empty()) {
    std::string json;
    JsonWriter w(json);
    w.begin_object().field("version", 1).key("keys").begin_array();
    for (const VirtualKey& k : keys) {
      w.begin_object();
      write_fields(w, k);
      w.field("hash", k.hash.hex());
      if (k.old_hash) w.field("old_hash", k.old_hash->hex()).field("old_until_ms", k.old_until_ms);
      w.end_object();
    }
    w.end_array().end_object();
    SM_CHECK_OK(make_private_dir(file_.parent_path()));
    SM_CHECK_OK(write_file_atomic(file_, json + "\n", 0600));
  }
  TablePtr made = make_table(keys);
  const std::lock_guard lock(mutex_);
  table_ = std::move(made);
  stamp_ = stamp_of(file_);
  return ok();
}

Result<VirtualKey*> KeyStore::pick(std::vector<VirtualKey>& keys, std::string_view which) const {
  std::vector<VirtualKey*> fits;
  for (VirtualKey& k : keys) {
    if (k.id == which) return &k;
    if (k.name == which && k.revoked_ms == 0) fits.push_back(&k);
  }
  if (fits.size() == 1) return fits[0];
  if (fits.size() > 1)
    return Error(ErrorCode::kInvalidArgument,
                 std::to_string(fits.size()) + " keys are named '" + std::string(which) + "'",
                 "use the id that 'samplemind keys ls' shows");
  return Error(ErrorCode::kNotFound, "there is no key '" + std::string(which) + "'",
               "'samplemind keys ls' lists them");
}

template <class Change>
Result<KeyIssue> KeyStore::change(Change how) {
  std::optional<FileLock> lock;
  if (!file_.empty()) {
    SM_CHECK_OK(make_private_dir(file_.parent_path()));
    auto taken = FileLock::acquire(file_.string() + ".lock");
    if (!taken.ok())
      return taken.error().code() == ErrorCode::kAlreadyExists
                 ? Error(ErrorCode::kAlreadyExists, "another process is changing the keys",
                         "try again in a moment")
                 : std::move(taken).error();
    lock.emplace(std::move(*taken));
    SM_CHECK_OK(reload());
  }
  std::vector<VirtualKey> keys = list();
  SM_TRY(KeyIssue issue, how(keys));
  SM_CHECK_OK(save(keys));
  return issue;
}

Result<KeyIssue> KeyStore::create(VirtualKey wanted) {
  if (wanted.name.empty() || wanted.name.size() > kNameMax)
    return Error(ErrorCode::kInvalidArgument, "a key needs a name of at most 100 characters");
  if (wanted.tenant.empty()) wanted.tenant = "local";
  if (!usable_tenant(wanted.tenant))
    return Error(ErrorCode::kInvalidArgument,
                 "a tenant's name is made of letters, digits, '-', '_' and '.', not '" +
                     wanted.tenant + "'");
  if (!wanted.sampling.empty() && wanted.sampling != "cache" && wanted.sampling != "bypass")
    return Error(ErrorCode::kInvalidArgument,
                 "sampling must be 'cache' or 'bypass', not '" + wanted.sampling + "'");
  if (wanted.requests_per_minute < 0 || wanted.tokens_per_minute < 0)
    return Error(ErrorCode::kInvalidArgument, "a limit cannot be negative");
  if (wanted.expires_ms != 0 && wanted.expires_ms <= clock_.unix_ms())
    return Error(ErrorCode::kInvalidArgument, "the key would be expired at once");
  return change([&](std::vector<VirtualKey>& keys) -> Result<KeyIssue> {
    if (keys.size() >= kKeysMax)
      return Error(ErrorCode::kResourceExhausted,
                   "there are " + std::to_string(kKeysMax) + " keys already");
    VirtualKey k = wanted;
    do {
      k.id = random_hex(kIdDigits);
    } while (std::any_of(keys.begin(), keys.end(),
                         [&k](const VirtualKey& other) { return other.id == k.id; }));
    KeyIssue issue;
    issue.secret = std::string(kPrefix) + k.id + "-" + random_hex(kSecretDigits);
    k.hash = key_hash(issue.secret);
    k.created_ms = clock_.unix_ms();
    keys.push_back(k);
    issue.key = std::move(k);
    return issue;
  });
}

Result<KeyIssue> KeyStore::rotate(std::string_view which, int64_t grace_ms) {
  return change([&](std::vector<VirtualKey>& keys) -> Result<KeyIssue> {
    SM_TRY(VirtualKey* const k, pick(keys, which));
    if (k->revoked_ms > 0)
      return Error(ErrorCode::kInvalidArgument, "the key '" + k->id + "' is revoked",
                   "make a new one");
    KeyIssue issue;
    issue.secret = std::string(kPrefix) + k->id + "-" + random_hex(kSecretDigits);
    k->old_hash.reset();
    if (grace_ms > 0) {
      k->old_hash = k->hash;
      k->old_until_ms = clock_.unix_ms() + grace_ms;
    }
    k->hash = key_hash(issue.secret);
    issue.key = *k;
    return issue;
  });
}

Result<VirtualKey> KeyStore::revoke(std::string_view which) {
  SM_TRY(KeyIssue done, change([&](std::vector<VirtualKey>& keys) -> Result<KeyIssue> {
           SM_TRY(VirtualKey* const k, pick(keys, which));
           if (k->revoked_ms == 0) k->revoked_ms = clock_.unix_ms();
           return KeyIssue{*k, {}};
         }));
  return std::move(done.key);
}

}  // namespace samplemind::ai
