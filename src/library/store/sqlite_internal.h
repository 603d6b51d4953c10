// SQLite behind small classes: a connection, a statement, a transaction. For one thread at a time.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/files.h"
#include "base/result.h"

namespace samplemind::library {

struct StatementDeleter {
  void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
};

class Connection;

class Statement {
 public:
  Statement(Connection& connection, sqlite3_stmt* raw) : connection_(connection), raw_(raw) {}
  Statement& text(std::string_view v) {
    sqlite3_bind_text(raw_.get(), ++bound_, v.data(), static_cast<int>(v.size()), SQLITE_TRANSIENT);
    return *this;
  }
  Statement& blob(std::string_view v) {
    sqlite3_bind_blob(raw_.get(), ++bound_, v.data(), static_cast<int>(v.size()), SQLITE_TRANSIENT);
    return *this;
  }
  Statement& integer(int64_t v) {
    sqlite3_bind_int64(raw_.get(), ++bound_, v);
    return *this;
  }
  Statement& real(double v) {
    sqlite3_bind_double(raw_.get(), ++bound_, v);
    return *this;
  }
  Statement& null() {
    sqlite3_bind_null(raw_.get(), ++bound_);
    return *this;
  }
  Statement& real(const std::optional<double>& v) { return v ? real(*v) : null(); }
  Statement& text(const std::optional<std::string>& v) {
    return v ? text(std::string_view(*v)) : null();
  }
  // True while there is a row.
  Result<bool> step();
  Result<void> run() {
    SM_TRY(const bool row, step());
    (void)row;
    return ok();
  }
  void reset() {
    sqlite3_reset(raw_.get());
    bound_ = 0;
  }

  sqlite3_stmt* raw() const { return raw_.get(); }

  int64_t get_integer(int c) const { return sqlite3_column_int64(raw_.get(), c); }
  double get_real(int c) const { return sqlite3_column_double(raw_.get(), c); }
  bool is_null(int c) const { return sqlite3_column_type(raw_.get(), c) == SQLITE_NULL; }
  std::optional<double> maybe_real(int c) const {
    return is_null(c) ? std::nullopt : std::optional(get_real(c));
  }
  std::optional<int> maybe_integer(int c) const {
    return is_null(c) ? std::nullopt : std::optional(static_cast<int>(get_integer(c)));
  }
  std::optional<std::string> maybe_text(int c) const {
    return is_null(c) ? std::nullopt : std::optional(get_bytes(c));
  }
  std::string get_bytes(int c) const {
    const void* p = sqlite3_column_blob(raw_.get(), c);
    return p == nullptr ? std::string()
                        : std::string(static_cast<const char*>(p),
                                      static_cast<size_t>(sqlite3_column_bytes(raw_.get(), c)));
  }

 private:
  Connection& connection_;
  std::unique_ptr<sqlite3_stmt, StatementDeleter> raw_;
  int bound_ = 0;
};

class Connection {
 public:
  ~Connection() { close(); }
  void close() {
    sqlite3_close_v2(db_);
    db_ = nullptr;
  }
  const std::string& file() const { return file_; }
  Result<void> open(const fs::path& file, int flags) {
    file_ = file.string();
    if (sqlite3_open_v2(file.c_str(), &db_, flags | SQLITE_OPEN_NOMUTEX, nullptr) != SQLITE_OK)
      return error("open");
    sqlite3_busy_timeout(db_, 5000);
    sqlite3_extended_result_codes(db_, 1);
    return ok();
  }
  Result<Statement> prepare(std::string_view sql) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(db_, sql.data(), static_cast<int>(sql.size()), &raw, nullptr) !=
        SQLITE_OK)
      return error("prepare");
    return Statement(*this, raw);
  }
  Result<void> run(const char* sql) {
    if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error("run");
    return ok();
  }
  Error error(std::string_view what) const {
    const int code = db_ != nullptr ? sqlite3_errcode(db_) : SQLITE_NOMEM;
    const std::string message = file_ + ": " + std::string(what) + ": " +
                                (db_ != nullptr ? sqlite3_errmsg(db_) : "out of memory");
    switch ((code & 0xFF) == SQLITE_IOERR && disk_is_full() ? SQLITE_FULL : code & 0xFF) {
      case SQLITE_CORRUPT:
      case SQLITE_NOTADB:
        return Error(
            ErrorCode::kDataLoss, message,
            "'samplemind library check --repair' saves what can be read; your sounds are not "
            "touched");
      case SQLITE_FULL:
        return Error(ErrorCode::kResourceExhausted, message, "the disk is full; nothing was lost");
      case SQLITE_CANTOPEN:
      case SQLITE_READONLY:
      case SQLITE_PERM:
        return Error(ErrorCode::kPermissionDenied, message);
      case SQLITE_BUSY:
      case SQLITE_LOCKED:
        return Error(ErrorCode::kUnavailable, message);
      default:
        return Error(ErrorCode::kInternal, message);
    }
  }
  sqlite3* raw() const { return db_; }

 private:
  // SQLite calls a log that cannot grow an I/O error.
  bool disk_is_full() const {
    std::error_code error;
    return fs::space(file_, error).available < 64 * 1024 && !error;
  }
  sqlite3* db_ = nullptr;
  std::string file_;
};

inline Result<bool> Statement::step() {
  const int code = sqlite3_step(raw_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return connection_.error("step");
}

// Rolls back unless committed.
class Transaction {
 public:
  explicit Transaction(Connection& c) : connection_(c) {}
  Result<void> begin() { return connection_.run("BEGIN IMMEDIATE"); }
  Result<void> commit() {
    SM_CHECK_OK(connection_.run("COMMIT"));
    done_ = true;
    return ok();
  }
  ~Transaction() {
    if (!done_) (void)!connection_.run("ROLLBACK").ok();
  }

 private:
  Connection& connection_;
  bool done_ = false;
};

}  // namespace samplemind::library
