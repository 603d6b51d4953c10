// libmongoc behind small classes: a document that is built, one that is read, and a link to one
// database. A link is for any thread; each call takes a connection of the pool for its time and
// waits at most kCallMax for the server.
#pragma once

#include <bson/bson.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct _mongoc_client_pool_t;

namespace samplemind::library {

// A document under construction: Doc().integer("_id", 1).text("name", "x").
class Doc {
 public:
  Doc() { bson_init(&bson_); }
  Doc(const Doc& other) { bson_copy_to(&other.bson_, &bson_); }
  Doc& operator=(const Doc&) = delete;
  ~Doc() { bson_destroy(&bson_); }
  Doc& integer(const char* key, int64_t v) {
    bson_append_int64(&bson_, key, -1, v);
    return *this;
  }
  Doc& real(const char* key, double v) {
    bson_append_double(&bson_, key, -1, v);
    return *this;
  }
  Doc& flag(const char* key, bool v) {
    bson_append_bool(&bson_, key, -1, v);
    return *this;
  }
  Doc& text(const char* key, std::string_view v) {
    bson_append_utf8(&bson_, key, -1, v.data(), static_cast<int>(v.size()));
    return *this;
  }
  // Any bytes: paths, descriptors.
  Doc& blob(const char* key, std::string_view v) {
    bson_append_binary(&bson_, key, -1, BSON_SUBTYPE_BINARY,
                       reinterpret_cast<const uint8_t*>(v.data()), static_cast<uint32_t>(v.size()));
    return *this;
  }
  Doc& doc(const char* key, const Doc& v) {
    bson_append_document(&bson_, key, -1, &v.bson_);
    return *this;
  }
  Doc& append(const Doc& other) {
    bson_concat(&bson_, &other.bson_);
    return *this;
  }
  Doc& integers(const char* key, const std::vector<int64_t>& v);
  Doc& blobs(const char* key, const std::vector<std::string>& v);
  Doc& docs(const char* key, const std::vector<Doc>& v);
  const bson_t* raw() const { return &bson_; }

 private:
  bson_t bson_;
};

// A document that the server gave, for as long as the callback that gets it runs. A field that is
// not there or of another type is 0 or empty.
class DocView {
 public:
  explicit DocView(const bson_t* bson) : bson_(bson) {}
  int64_t integer(const char* key) const;
  double real(const char* key) const;
  bool flag(const char* key) const;
  std::string text(const char* key) const;
  std::string blob(const char* key) const;
  std::vector<int64_t> integers(const char* key) const;
  DocView doc(const char* key, bson_t& room) const;  // `room` holds it

 private:
  const bson_t* bson_;
};

class MongoLink {
 public:
  static constexpr std::chrono::seconds kSelectMax{5};  // for a server that can be asked
  static constexpr std::chrono::seconds kCallMax{60};

  // "mongodb://host/database?options"; the database is "samplemind" when none is named.
  // kInvalidArgument for anything else. Asks the server once: kUnavailable, kUnauthenticated.
  static Result<std::unique_ptr<MongoLink>> open(const std::string& address);
  ~MongoLink();

  using Each = std::function<Result<void>(const DocView&)>;
  // Gives the documents that fit, in the order of `sort` (optional), without what `projection`
  // leaves out; at most `limit` (0: all).
  Result<void> find(const char* collection, const Doc& filter, const Each& f,
                    const Doc* sort = nullptr, const Doc* projection = nullptr, int64_t limit = 0);
  Result<void> aggregate(const char* collection, const std::vector<Doc>& stages, const Each& f);
  // kAlreadyExists when a unique field is taken.
  Result<void> insert(const char* collection, const Doc& document);
  // How many were changed.
  Result<int64_t> update(const char* collection, const Doc& filter, const Doc& change);
  Result<int64_t> remove(const char* collection, const Doc& filter);
  // Puts a document in the place of the one that fits; makes it when there is none.
  Result<void> put(const char* collection, const Doc& filter, const Doc& document);
  // One change of one document each, in their order; replaced ones are made when missing.
  struct Write {
    int64_t id;
    Doc change;            // a whole document or {"$set": ...}
    bool replace = false;  // whole
  };
  Result<void> write(const char* collection, const std::vector<Write>& writes);
  // Adds to a number of a document that is made when missing; gives the number after that.
  Result<int64_t> add(const char* collection, const char* id, const char* field, int64_t by);
  Result<void> command(const Doc& command);

  const std::string& name() const { return name_; }  // host:port/database, without a password

 private:
  MongoLink() = default;
  _mongoc_client_pool_t* pool_ = nullptr;
  std::string database_, name_;
};

}  // namespace samplemind::library
