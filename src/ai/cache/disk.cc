#include "ai/cache/disk.h"

#include <lmdb.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>
#include <vector>

#include "ai/cache/key_filter.h"
#include "base/files.h"
#include "base/log.h"

namespace samplemind::ai {

namespace {

constexpr size_t kQueueMax = 16384;
constexpr uint64_t kQueueBytesMax = 64u << 20;
// A commit copies every page it touches and waits for the disk: it pays only for many entries at
// once.
constexpr size_t kBatchMax = 4096;
constexpr std::chrono::milliseconds kLinger{250};
constexpr uint64_t kFreeDiskMin = 64u << 20;  // below this nothing more is written

Error lmdb_error(int code, std::string_view what) {
  const ErrorCode kind = code == EACCES ? ErrorCode::kPermissionDenied
                         : code == MDB_CORRUPTED || code == MDB_INVALID ? ErrorCode::kDataLoss
                                                                        : ErrorCode::kUnavailable;
  return Error(kind, "disk cache: " + std::string(what) + ": " + mdb_strerror(code));
}

MDB_val value(std::string_view bytes) {
  return {bytes.size(), const_cast<char*>(bytes.data())};
}
std::string_view view(const MDB_val& v) {
  return {static_cast<const char*>(v.mv_data), v.mv_size};
}
std::string_view view(const Digest& d) {
  return {reinterpret_cast<const char*>(d.bytes.data()), d.bytes.size()};
}

// Key of a record: the time it was stored, big-endian so that the oldest comes first and new ones
// fill page after page, then the digest.
std::string record_key(int64_t stored_ms, const Digest& key) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8)
    out += static_cast<char>(static_cast<uint64_t>(stored_ms) >> shift);
  out += view(key);
  return out;
}
constexpr size_t kRecordKeySize = 40;

// What the index says of a digest.
struct Place {
  int64_t stored_ms = 0;
  uint64_t size = 0;  // on disk
};
Place place_of(const MDB_val& v) {
  Place place;
  if (v.mv_size == sizeof place) std::memcpy(&place, v.mv_data, sizeof place);
  return place;
}
Digest digest_of(const MDB_val& v, size_t offset) {
  Digest key;
  if (v.mv_size >= offset + key.bytes.size())
    std::memcpy(key.bytes.data(), static_cast<const char*>(v.mv_data) + offset, key.bytes.size());
  return key;
}

bool network_file_system(const fs::path& folder) {
  struct statfs s {};
  if (::statfs(folder.c_str(), &s) != 0) return false;
  constexpr std::array<unsigned long, 8> kNetwork{
      0x6969,     0x517B,     0xFF534D42, 0xFE534D42, 0x01021997,  // NFS, SMB, CIFS, SMB2, 9P
      0x5346414F, 0x00C36400, 0x0BD00BD0};                         // AFS, Ceph, Lustre
  for (const unsigned long type : kNetwork) {
    if (static_cast<unsigned long>(s.f_type) == type) return true;
  }
  return false;
}

class LmdbCache final : public DiskCache {
 public:
  ~LmdbCache() override {
    if (writer_.joinable()) {
      {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
      }
      wake_.notify_all();
      writer_.join();
    }
    if (env_ != nullptr) mdb_env_close(env_);
  }

  Result<void> open(const fs::path& folder, uint64_t bytes_max) {
    bytes_max_ = bytes_max;
    folder_ = folder;
    SM_CHECK_OK(make_private_dir(folder));
    if (network_file_system(folder)) {
      return Error(ErrorCode::kUnsupported,
                   folder.string() +
                       " lies on a network file system, where the disk cache cannot work safely",
                   "set SAMPLEMIND_HOME to a local disk, or cache.disk = 0");
    }
    SM_TRY(FileLock lock, FileLock::acquire(folder / "owner.lock"));
    lock_.emplace(std::move(lock));
    Result<void> opened = open_environment();
    if (!opened.ok() && opened.error().code() == ErrorCode::kDataLoss) {
      // A cache may be thrown away: begin anew rather than not at all.
      log::warn("disk cache is damaged and begins anew", {{"folder", folder.string()}});
      mdb_env_close(env_);
      env_ = nullptr;
      std::error_code ignored;
      fs::remove(folder / "data.mdb", ignored);
      fs::remove(folder / "lock.mdb", ignored);
      opened = open_environment();
    }
    SM_CHECK_OK(opened);
    writer_ = std::thread([this] { write_loop(); });
    return ok();
  }

  bool may_have(const Digest& key) const override { return filter_.may_have(key); }

  RecordPtr get(const Digest& key, int64_t now_ms) override {
    if (!filter_.may_have(key)) return nullptr;
    MDB_txn* txn = nullptr;
    if (mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn) != 0) return nullptr;
    MDB_val k = value(view(key));
    MDB_val v{};
    std::optional<Result<CacheRecord>> found;
    if (mdb_get(txn, index_db_, &k, &v) == 0) {
      const std::string at = record_key(place_of(v).stored_ms, key);
      MDB_val rk = value(at);
      MDB_val rv{};
      if (mdb_get(txn, records_db_, &rk, &rv) == 0) {
        found = decode_record(view(rv), key);
      } else {
        found = Error(ErrorCode::kDataLoss, "an indexed record is not there");
      }
    }
    mdb_txn_abort(txn);
    if (!found) return nullptr;
    if (!found->ok()) {
      ++damaged_;
      erase(key);
      return nullptr;
    }
    if ((**found).expires_ms <= now_ms) {
      erase(key);
      return nullptr;
    }
    return std::make_shared<CacheRecord>(std::move(*found).value());
  }

  bool scan(std::string& cursor, size_t max,
            const std::function<void(const CacheRecord&)>& each) override {
    MDB_txn* txn = nullptr;
    if (mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn) != 0) return false;
    MDB_cursor* at = nullptr;
    if (mdb_cursor_open(txn, records_db_, &at) != 0) {
      mdb_txn_abort(txn);
      return false;
    }
    // Copied out first: what the caller does with a record must not keep old pages alive.
    std::vector<CacheRecord> found;
    size_t seen = 0;
    MDB_val k = value(cursor);
    MDB_val v{};
    int code = mdb_cursor_get(at, &k, &v, cursor.empty() ? MDB_FIRST : MDB_SET_RANGE);
    if (code == 0 && !cursor.empty() && view(k) == cursor)
      code = mdb_cursor_get(at, &k, &v, MDB_NEXT);
    for (; code == 0 && seen < max; code = mdb_cursor_get(at, &k, &v, MDB_NEXT), ++seen) {
      if (k.mv_size == kRecordKeySize) {
        if (auto record = decode_record(view(v), digest_of(k, 8)); record.ok())
          found.push_back(std::move(*record));
      }
      cursor = std::string(view(k));
    }
    mdb_cursor_close(at);
    mdb_txn_abort(txn);
    for (const CacheRecord& record : found) each(record);
    return code == 0;
  }

  void put(RecordPtr record) override { queue(std::move(record)); }
  void erase(const Digest& key) override { queue(key); }

  void flush() override {
    std::unique_lock lock(mutex_);
    const uint64_t until = queued_;
    hurry_until_ = std::max(hurry_until_, until);
    wake_.notify_one();
    written_wake_.wait(lock, [&] { return written_ >= until || stopping_; });
  }

  uint64_t bytes() const override { return bytes_; }
  uint64_t entries() const override {
    MDB_stat stat{};
    MDB_txn* txn = nullptr;
    if (mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn) != 0) return 0;
    mdb_stat(txn, index_db_, &stat);
    mdb_txn_abort(txn);
    return stat.ms_entries;
  }
  uint64_t dropped() const override { return dropped_; }
  uint64_t damaged() const override { return damaged_; }

 private:
  using Job = std::variant<RecordPtr, Digest>;

  Result<void> open_environment() {
    if (int code = mdb_env_create(&env_)) return lmdb_error(code, "create");
    mdb_env_set_maxdbs(env_, 4);
    // Pages of deleted entries are used again only once no reader needs them: room for half as much
    // again.
    mdb_env_set_mapsize(env_, static_cast<size_t>(bytes_max_ + bytes_max_ / 2 + (16u << 20)));
    // NOMETASYNC: a power cut may lose the last batch, never the file's integrity. No WRITEMAP: a
    // stray write could damage the file.
    if (int code = mdb_env_open(env_, folder_.c_str(), MDB_NOTLS | MDB_NOMETASYNC, 0600))
      return lmdb_error(code, "open " + folder_.string());
    MDB_txn* txn = nullptr;
    if (int code = mdb_txn_begin(env_, nullptr, 0, &txn)) return lmdb_error(code, "begin");
    drop_old_tables(txn);
    int code = mdb_dbi_open(txn, "records", MDB_CREATE, &records_db_);
    if (code == 0) code = mdb_dbi_open(txn, "index", MDB_CREATE, &index_db_);
    if (code != 0) {
      mdb_txn_abort(txn);
      return lmdb_error(code, "open tables");
    }
    read_index(txn);
    if (int commit = mdb_txn_commit(txn)) return lmdb_error(commit, "commit");
    return ok();
  }

  // Those of the first versions, whose records lay in the order of their digests.
  static void drop_old_tables(MDB_txn* txn) {
    for (const char* name : {"entries", "ages"}) {
      MDB_dbi old = 0;
      if (mdb_dbi_open(txn, name, 0, &old) == 0) mdb_drop(txn, old, 1);
    }
  }

  // Sizes and keys of all records; quick even for a million of them.
  void read_index(MDB_txn* txn) {
    filter_.clear();
    bytes_ = 0;
    MDB_cursor* cursor = nullptr;
    if (mdb_cursor_open(txn, index_db_, &cursor) != 0) return;
    MDB_val k{}, v{};
    while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0) {
      bytes_ += place_of(v).size;
      filter_.add(digest_of(k, 0));
    }
    mdb_cursor_close(cursor);
  }
  // What an entry takes on disk: a large value has whole pages of its own.
  static uint64_t footprint(uint64_t bytes) {
    constexpr uint64_t kPage = 4096;
    constexpr uint64_t kInPage = 1900;  // LMDB keeps two entries a page at least
    constexpr uint64_t kNode = 160;     // keys and nodes of both tables
    if (bytes <= kInPage) return bytes + kNode;
    return (bytes + 16 + kPage - 1) / kPage * kPage + kNode;
  }
  static uint64_t weight(const Job& job) {
    const auto* record = std::get_if<RecordPtr>(&job);
    return record != nullptr ? (*record)->bytes() : sizeof(Job);
  }

  void queue(Job job) {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      const uint64_t bytes = weight(job);
      if (queue_.size() >= kQueueMax || queue_bytes_ + bytes > kQueueBytesMax) {
        ++dropped_;
        return;
      }
      queue_.push_back(std::move(job));
      queue_bytes_ += bytes;
      ++queued_;
      // Only the first and the one that fills a batch wake the writer: a wake costs more than the
      // rest of this.
      wake = queue_.size() == 1 || queue_.size() == kBatchMax;
    }
    if (wake) wake_.notify_one();
  }

  void write_loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      wake_.wait_for(lock, kLinger, [this] {
        return stopping_ || queue_.size() >= kBatchMax || hurry_until_ > written_;
      });
      std::vector<Job> batch;
      while (!queue_.empty() && batch.size() < kBatchMax) {
        queue_bytes_ -= weight(queue_.front());
        batch.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
      lock.unlock();
      write(batch);
      lock.lock();
      written_ += batch.size();
      written_wake_.notify_all();
    }
  }

  void write(const std::vector<Job>& batch) {
    std::error_code ignored;
    const bool room = fs::space(folder_, ignored).available > kFreeDiskMin || ignored;
    int code = write_batch(batch, room);
    if (code == MDB_MAP_FULL) {
      // Free pages are too scattered: give up the oldest eighth and try once more.
      code = shrink();
      if (code == 0) code = write_batch(batch, room);
    }
    if (code != 0) {
      dropped_ += batch.size();
      log::warn("disk cache could not write", {{"error", mdb_strerror(code)}});
    }
  }

  int write_batch(const std::vector<Job>& batch, bool room) {
    MDB_txn* txn = nullptr;
    if (const int code = mdb_txn_begin(env_, nullptr, 0, &txn)) return code;
    const uint64_t bytes_before = bytes_;
    int code = 0;
    for (const Job& job : batch) {
      if (const auto* key = std::get_if<Digest>(&job)) {
        remove(txn, *key);
      } else if (room) {
        code = insert(txn, *std::get<RecordPtr>(job));
        if (code != 0) break;
      } else {
        ++dropped_;
      }
    }
    return finish(txn, code, bytes_before);
  }

  int shrink() {
    MDB_txn* txn = nullptr;
    if (const int code = mdb_txn_begin(env_, nullptr, 0, &txn)) return code;
    const uint64_t bytes_before = bytes_;
    while (bytes_ > bytes_before - bytes_before / 8 && remove_oldest(txn)) {
    }
    return finish(txn, 0, bytes_before);
  }

  int finish(MDB_txn* txn, int code, uint64_t bytes_before) {
    if (code == 0) {
      code = mdb_txn_commit(txn);
    } else {
      mdb_txn_abort(txn);
    }
    if (code != 0) {
      // What the filter and the count were told did not happen.
      bytes_ = bytes_before;
      MDB_txn* reader = nullptr;
      if (mdb_txn_begin(env_, nullptr, MDB_RDONLY, &reader) == 0) {
        read_index(reader);
        mdb_txn_abort(reader);
      }
    }
    return code;
  }

  int insert(MDB_txn* txn, const CacheRecord& record) {
    const std::string encoded = encode_record(record);
    if (encoded.size() > bytes_max_ / 8) {
      ++dropped_;
      return 0;
    }
    remove(txn, record.key);
    const Place place{record.stored_ms, footprint(encoded.size())};
    while (bytes_ + place.size > bytes_max_ && remove_oldest(txn)) {
    }
    const std::string at = record_key(record.stored_ms, record.key);
    MDB_val rk = value(at);
    MDB_val rv = value(encoded);
    if (int code = mdb_put(txn, records_db_, &rk, &rv, 0)) return code;
    MDB_val k = value(view(record.key));
    MDB_val v = value({reinterpret_cast<const char*>(&place), sizeof place});
    if (int code = mdb_put(txn, index_db_, &k, &v, 0)) return code;
    bytes_ += place.size;
    filter_.add(record.key);
    return 0;
  }

  void remove(MDB_txn* txn, const Digest& key) {
    if (!filter_.may_have(key)) return;
    MDB_val k = value(view(key));
    MDB_val v{};
    if (mdb_get(txn, index_db_, &k, &v) != 0) return;
    const Place place = place_of(v);
    mdb_del(txn, index_db_, &k, nullptr);
    const std::string at = record_key(place.stored_ms, key);
    MDB_val rk = value(at);
    mdb_del(txn, records_db_, &rk, nullptr);
    forget(key, place);
  }

  bool remove_oldest(MDB_txn* txn) {
    MDB_cursor* cursor = nullptr;
    if (mdb_cursor_open(txn, records_db_, &cursor) != 0) return false;
    MDB_val k{}, v{};
    const bool found = mdb_cursor_get(cursor, &k, &v, MDB_FIRST) == 0;
    if (found) {
      const Digest key = digest_of(k, 8);
      mdb_cursor_del(cursor, 0);
      MDB_val ik = value(view(key));
      MDB_val iv{};
      if (mdb_get(txn, index_db_, &ik, &iv) == 0) {
        const Place place = place_of(iv);
        mdb_del(txn, index_db_, &ik, nullptr);
        forget(key, place);
      }
    }
    mdb_cursor_close(cursor);
    return found;
  }

  void forget(const Digest& key, const Place& place) {
    bytes_ -= std::min<uint64_t>(bytes_, place.size);
    filter_.remove(key);
  }

  MDB_env* env_ = nullptr;
  MDB_dbi records_db_ = 0;  // stored_ms and digest: the record
  MDB_dbi index_db_ = 0;    // digest: its Place
  KeyFilter filter_;        // the digests
  fs::path folder_;
  uint64_t bytes_max_ = 0;
  std::optional<FileLock> lock_;
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> dropped_{0};
  std::atomic<uint64_t> damaged_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable written_wake_;
  std::deque<Job> queue_;
  uint64_t queue_bytes_ = 0;
  uint64_t queued_ = 0;
  uint64_t hurry_until_ = 0;  // as many are waited for: no lingering before
  uint64_t written_ = 0;
  bool stopping_ = false;
  std::thread writer_;
};

}  // namespace

Result<std::unique_ptr<DiskCache>> DiskCache::open(const fs::path& folder, uint64_t bytes_max) {
  auto cache = std::make_unique<LmdbCache>();
  SM_CHECK_OK(cache->open(folder, bytes_max));
  return std::unique_ptr<DiskCache>(std::move(cache));
}

}  // namespace samplemind::ai
