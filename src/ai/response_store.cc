#include "ai/response_store.h"

#include <sqlite3.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <zstd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/log.h"

namespace samplemind::ai {

namespace {

constexpr size_t kIdBytes = 24;
constexpr uint64_t kWaitingBytesMax = 64u << 20;
constexpr std::chrono::milliseconds kWriteEvery{100};
constexpr unsigned long long kUnpackedMax = 256u << 20;  // a damaged length asks for no more

constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS responses("
    "id TEXT PRIMARY KEY, tenant TEXT NOT NULL, created_ms INTEGER NOT NULL,"
    "input BLOB NOT NULL, response BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS responses_by_age ON responses(created_ms)";

std::string packed(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  const size_t n = ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3);
  SM_ASSERT(ZSTD_isError(n) == 0);  // the room is enough by its own word
  out.resize(n);
  return out;
}

// Nothing when it is damaged.
std::optional<std::string> unpacked(std::string_view bytes) {
  const auto size = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (size > kUnpackedMax) return std::nullopt;  // also the marks of an error
  std::string out(size, '\0');
  const size_t n = ZSTD_decompress(out.data(), out.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(n) != 0 || n != size) return std::nullopt;
  return out;
}

}  // namespace

std::string new_response_id() {
  unsigned char bytes[kIdBytes];
  // Only fails where the kernel has no such call.
  SM_ASSERT(::getrandom(bytes, sizeof bytes, 0) == static_cast<ssize_t>(sizeof bytes));
  std::string out = "resp_";
  for (const unsigned char c : bytes) {
    out += "0123456789abcdef"[c >> 4];
    out += "0123456789abcdef"[c & 15];
  }
  return out;
}

struct ResponseStore::Database {
  // One statement, finalized at its end.
  struct Statement {
    Statement(Database& d, const char* sql) {
      if (sqlite3_prepare_v2(d.db, sql, -1, &s, nullptr) != SQLITE_OK) s = nullptr;
    }
    ~Statement() { sqlite3_finalize(s); }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;
    void bind(int at, std::string_view text, bool blob = false) {
      const auto size = static_cast<int>(text.size());
      if (blob) {
        sqlite3_bind_blob(s, at, text.data(), size, SQLITE_TRANSIENT);
      } else {
        sqlite3_bind_text(s, at, text.data(), size, SQLITE_TRANSIENT);
      }
    }
    void bind(int at, int64_t n) { sqlite3_bind_int64(s, at, n); }
    int step() { return s == nullptr ? SQLITE_ERROR : sqlite3_step(s); }
    std::string_view bytes(int at) const {
      return {static_cast<const char*>(sqlite3_column_blob(s, at)),
              static_cast<size_t>(sqlite3_column_bytes(s, at))};
    }
    sqlite3_stmt* s = nullptr;
  };

  ~Database() { sqlite3_close(db); }
  Result<void> open(const std::filesystem::path& file) {
    if (!file.empty()) SM_CHECK_OK(make_private_dir(file.parent_path()));
    const std::string name = file.empty() ? ":memory:" : file.string();
    if (sqlite3_open_v2(name.c_str(), &db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                        nullptr) != SQLITE_OK)
      return failed("open " + name);
    if (!file.empty()) ::chmod(file.c_str(), 0600);
    sqlite3_busy_timeout(db, 2000);
    for (const char* sql : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL",
                            "PRAGMA secure_delete=ON", kSchema}) {
      if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failed(name);
    }
    Statement sum(*this, "SELECT COALESCE(SUM(LENGTH(input)+LENGTH(response)),0) FROM responses");
    if (sum.step() != SQLITE_ROW) return failed(name);
    bytes = static_cast<uint64_t>(sqlite3_column_int64(sum.s, 0));
    return ok();
  }
  Error failed(const std::string& what) const {
    return Error(ErrorCode::kUnavailable,
                 what + ": " + (db != nullptr ? sqlite3_errmsg(db) : "out of memory"),
                 "if the file is damaged, move it away: conversations then begin anew");
  }
  bool insert(const StoredResponse& r) {
    const std::string input = packed(r.input), response = packed(r.response);
    Statement s(*this, "INSERT OR REPLACE INTO responses VALUES(?1,?2,?3,?4,?5)");
    s.bind(1, r.id);
    s.bind(2, r.tenant);
    s.bind(3, r.created_ms);
    s.bind(4, input, true);
    s.bind(5, response, true);
    if (s.step() != SQLITE_DONE) return false;
    bytes += input.size() + response.size();
    return true;
  }
  bool remove(std::string_view where, int64_t number) {
    const std::string sql = "DELETE FROM responses WHERE " + std::string(where) +
                            " RETURNING LENGTH(input)+LENGTH(response)";
    Statement s(*this, sql.c_str());
    s.bind(1, number);
    bool any = false;
    while (s.step() == SQLITE_ROW) {
      any = true;
      bytes -= std::min(bytes, static_cast<uint64_t>(sqlite3_column_int64(s.s, 0)));
    }
    return any;
  }
  Result<void> write(const std::vector<std::shared_ptr<const StoredResponse>>& list, int64_t now_ms,
                     uint64_t bytes_max) {
    const std::lock_guard lock(mutex);
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) != SQLITE_OK)
      return failed("responses");
    bool good = true;
    for (const auto& r : list) good = good && insert(*r);
    if (good) (void)remove("created_ms<=?1", now_ms - kResponseKeptMs);
    while (good && bytes > bytes_max &&
           remove("id IN (SELECT id FROM responses ORDER BY created_ms LIMIT ?1)", 1)) {
    }
    Result<void> outcome = good ? Result<void>() : Result<void>(failed("responses"));
    if (sqlite3_exec(db, good ? "COMMIT" : "ROLLBACK", nullptr, nullptr, nullptr) != SQLITE_OK &&
        good)
      outcome = failed("responses");
    return outcome;
  }
  sqlite3* db = nullptr;
  uint64_t bytes = 0;  // of all that is kept
  std::mutex mutex;
};

ResponseStore::ResponseStore(const Clock& clock, uint64_t bytes_max)
    : clock_(clock), bytes_max_(bytes_max) {}

Result<std::unique_ptr<ResponseStore>> ResponseStore::open(const std::filesystem::path& file,
                                                           const Clock& clock, uint64_t bytes_max) {
  std::unique_ptr<ResponseStore> store(new ResponseStore(clock, bytes_max));
  store->database_ = std::make_unique<Database>();
  SM_CHECK_OK(store->database_->open(file));
  store->writer_ = std::thread([raw = store.get()] { raw->write_behind(); });
  return store;
}

ResponseStore::~ResponseStore() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (writer_.joinable()) writer_.join();
}

void ResponseStore::put(StoredResponse response) {
  const uint64_t bytes = response.input.size() + response.response.size();
  const std::lock_guard lock(mutex_);
  if (waiting_bytes_ + bytes > kWaitingBytesMax && !waiting_.empty()) {
    ++dropped_;
    return;
  }
  waiting_bytes_ += bytes;
  waiting_.push_back(std::make_shared<const StoredResponse>(std::move(response)));
  wake_.notify_all();
}

Result<std::optional<StoredResponse>> ResponseStore::get(const std::string& tenant,
                                                         const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& r : waiting_) {
      if (r->id == id && r->tenant == tenant) return std::optional<StoredResponse>(*r);
    }
  }
  const std::lock_guard lock(database_->mutex);
  Database::Statement s(*database_,
                        "SELECT created_ms,input,response FROM responses WHERE id=?1 AND "
                        "tenant=?2 AND created_ms>?3");
  s.bind(1, id);
  s.bind(2, tenant);
  s.bind(3, clock_.unix_ms() - kResponseKeptMs);
  const int state = s.step();
  if (state == SQLITE_DONE) return std::optional<StoredResponse>();
  if (state != SQLITE_ROW) return database_->failed("responses");
  StoredResponse r;
  r.id = id;
  r.tenant = tenant;
  r.created_ms = sqlite3_column_int64(s.s, 0);
  auto input = unpacked(s.bytes(1));
  auto response = unpacked(s.bytes(2));
  if (!input || !response) return std::optional<StoredResponse>();
  r.input = std::move(*input);
  r.response = std::move(*response);
  return std::optional<StoredResponse>(std::move(r));
}

Result<bool> ResponseStore::erase(const std::string& tenant, const std::string& id) {
  flush();
  const std::lock_guard lock(database_->mutex);
  Database::Statement s(*database_,
                        "DELETE FROM responses WHERE id=?1 AND tenant=?2 RETURNING "
                        "LENGTH(input)+LENGTH(response)");
  s.bind(1, id);
  s.bind(2, tenant);
  const int state = s.step();
  if (state == SQLITE_DONE) return false;
  if (state != SQLITE_ROW) return database_->failed("responses");
  database_->bytes -=
      std::min(database_->bytes, static_cast<uint64_t>(sqlite3_column_int64(s.s, 0)));
  (void)s.step();  // to its end, which is the deletion's
  return true;
}

void ResponseStore::flush() {
  std::unique_lock lock(mutex_);
  wake_.notify_all();
  written_.wait(lock, [this] { return waiting_.empty(); });
}

uint64_t ResponseStore::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

void ResponseStore::write_behind() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    // They stay where get() finds them until they are on disk.
    const std::vector<std::shared_ptr<const StoredResponse>> batch(waiting_.begin(),
                                                                   waiting_.end());
    lock.unlock();
    const auto outcome = database_->write(batch, clock_.unix_ms(), bytes_max_);
    lock.lock();
    if (!outcome.ok()) {
      log::warn("responses are not kept", {{"error", outcome.error().message()}});
      dropped_ += batch.size();
    }
    for (size_t i = 0; i < batch.size(); ++i) {
      waiting_bytes_ -= waiting_.front()->input.size() + waiting_.front()->response.size();
      waiting_.pop_front();
    }
    written_.notify_all();
    // Those that come meanwhile make one transaction.
    if (!stop_ && waiting_.empty()) wake_.wait_for(lock, kWriteEvery, [this] { return stop_; });
  }
}

}  // namespace samplemind::ai
