#include "library/store/mongo_link_internal.h"

#include <algorithm>
#include <iterator>

#include "library/store/mongoc_internal.h"

namespace samplemind::library {

namespace {

constexpr const char* kDefaultDatabase = "samplemind";
constexpr int kDuplicateKey = 11000;
constexpr int kAuthenticationFailed = 18;
constexpr int kUnauthorized = 13;
constexpr int kOutOfDiskSpace = 14031;
// Of a replica set that is choosing another primary, or a server that goes down.
constexpr int kPassing[] = {91, 189, 10107, 11600, 11602, 13435, 13436};

// A pointer of the driver's and what frees it.
using Uri =
    std::unique_ptr<mongoc_uri_t, decltype([](mongoc_uri_t* p) { mongoc().uri_destroy(p); })>;
using Cursor = std::unique_ptr<mongoc_cursor_t,
                               decltype([](mongoc_cursor_t* p) { mongoc().cursor_destroy(p); })>;
using Bulk = std::unique_ptr<mongoc_bulk_operation_t, decltype([](mongoc_bulk_operation_t* p) {
                               mongoc().bulk_operation_destroy(p);
                             })>;
using MongoCollection =
    std::unique_ptr<mongoc_collection_t,
                    decltype([](mongoc_collection_t* p) { mongoc().collection_destroy(p); })>;

// A client of the pool, for one call.
class Client {
 public:
  Client(mongoc_client_pool_t* pool, const std::string& database)
      : pool_(pool), raw_(mongoc().client_pool_pop(pool)), database_(database) {}
  ~Client() { mongoc().client_pool_push(pool_, raw_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  mongoc_client_t* raw() const { return raw_; }
  MongoCollection collection(const char* name) const {
    return MongoCollection(mongoc().client_get_collection(raw_, database_.c_str(), name));
  }

 private:
  mongoc_client_pool_t* pool_;
  mongoc_client_t* raw_;
  const std::string& database_;
};

Error store_error(const std::string& name, const bson_error_t& e) {
  const std::string message = "MongoDB " + name + ": " + e.message;
  const int code = static_cast<int>(e.code);
  if (e.domain == MONGOC_ERROR_SERVER_SELECTION || e.domain == MONGOC_ERROR_STREAM)
    return Error(ErrorCode::kUnavailable, message, "is it running, and does its address fit?");
  const bool refused = e.domain == MONGOC_ERROR_CLIENT && code == MONGOC_ERROR_CLIENT_AUTHENTICATE;
  const bool server = e.domain == MONGOC_ERROR_SERVER;
  if (refused || (server && (code == kAuthenticationFailed || code == kUnauthorized)))
    return Error(ErrorCode::kUnauthenticated, message,
                 "user and password stand in the address: mongodb://USER:PASSWORD@HOST/DATABASE");
  if (server && code == kDuplicateKey) return Error(ErrorCode::kAlreadyExists, message);
  if (server && code == kOutOfDiskSpace)
    return Error(ErrorCode::kResourceExhausted, message, "its disk is full");
  if (e.domain == MONGOC_ERROR_WRITE_CONCERN ||
      (server && std::find(std::begin(kPassing), std::end(kPassing), code) != std::end(kPassing)))
    return Error(ErrorCode::kUnavailable, message, "try again in a moment");
  return Error(ErrorCode::kInternal, message);
}

Result<void> walk(const std::string& name, mongoc_cursor_t* cursor, const MongoLink::Each& f) {
  const bson_t* one = nullptr;
  while (mongoc().cursor_next(cursor, &one)) SM_CHECK_OK(f(DocView(one)));
  bson_error_t e;
  if (mongoc().cursor_error(cursor, &e)) return store_error(name, e);
  return ok();
}

}  // namespace

// ---- documents ----

namespace {

// Appends an array whose elements `append` adds under their number.
template <typename List, typename Append>
void append_array(bson_t* to, const char* key, const List& list, Append append) {
  bson_t array;
  bson_append_array_begin(to, key, -1, &array);
  uint32_t n = 0;
  for (const auto& v : list) {
    char room[16];
    const char* number = nullptr;
    bson_uint32_to_string(n++, &number, room, sizeof room);
    append(&array, number, v);
  }
  bson_append_array_end(to, &array);
}

}  // namespace

Doc& Doc::integers(const char* key, const std::vector<int64_t>& v) {
  append_array(&bson_, key, v,
               [](bson_t* a, const char* n, int64_t one) { bson_append_int64(a, n, -1, one); });
  return *this;
}
Doc& Doc::blobs(const char* key, const std::vector<std::string>& v) {
  append_array(&bson_, key, v, [](bson_t* a, const char* n, const std::string& one) {
    bson_append_binary(a, n, -1, BSON_SUBTYPE_BINARY, reinterpret_cast<const uint8_t*>(one.data()),
                       static_cast<uint32_t>(one.size()));
  });
  return *this;
}
Doc& Doc::docs(const char* key, const std::vector<Doc>& v) {
  append_array(&bson_, key, v, [](bson_t* a, const char* n, const Doc& one) {
    bson_append_document(a, n, -1, one.raw());
  });
  return *this;
}

int64_t DocView::integer(const char* key) const {
  bson_iter_t i;
  return bson_iter_init_find(&i, bson_, key) ? bson_iter_as_int64(&i) : 0;
}
double DocView::real(const char* key) const {
  bson_iter_t i;
  return bson_iter_init_find(&i, bson_, key) ? bson_iter_as_double(&i) : 0;
}
bool DocView::flag(const char* key) const {
  bson_iter_t i;
  return bson_iter_init_find(&i, bson_, key) && bson_iter_as_bool(&i);
}
std::string DocView::text(const char* key) const {
  bson_iter_t i;
  if (!bson_iter_init_find(&i, bson_, key) || !BSON_ITER_HOLDS_UTF8(&i)) return {};
  uint32_t size = 0;
  const char* const data = bson_iter_utf8(&i, &size);
  return {data, size};
}
std::string DocView::blob(const char* key) const {
  bson_iter_t i;
  if (!bson_iter_init_find(&i, bson_, key) || !BSON_ITER_HOLDS_BINARY(&i)) return {};
  bson_subtype_t type{};
  uint32_t size = 0;
  const uint8_t* data = nullptr;
  bson_iter_binary(&i, &type, &size, &data);
  return {reinterpret_cast<const char*>(data), size};
}
std::vector<int64_t> DocView::integers(const char* key) const {
  std::vector<int64_t> list;
  bson_iter_t i, inner;
  if (!bson_iter_init_find(&i, bson_, key) || !BSON_ITER_HOLDS_ARRAY(&i) ||
      !bson_iter_recurse(&i, &inner))
    return list;
  while (bson_iter_next(&inner)) list.push_back(bson_iter_as_int64(&inner));
  return list;
}
DocView DocView::doc(const char* key, bson_t& room) const {
  bson_iter_t i;
  uint32_t size = 0;
  const uint8_t* data = nullptr;
  if (bson_iter_init_find(&i, bson_, key) && BSON_ITER_HOLDS_DOCUMENT(&i))
    bson_iter_document(&i, &size, &data);
  if (data == nullptr || !bson_init_static(&room, data, size)) bson_init(&room);
  return DocView(&room);
}

// ---- the link ----

Result<std::unique_ptr<MongoLink>> MongoLink::open(const std::string& address) {
  SM_CHECK_OK(load_mongoc());
  bson_error_t e;
  const Uri uri(mongoc().uri_new_with_error(address.c_str(), &e));
  if (!uri)
    return Error(ErrorCode::kInvalidArgument,
                 std::string("library.store is no address of a MongoDB: ") + e.message,
                 "--store mongodb://localhost:27017/samplemind");
  const auto limit = [&uri](const char* option, std::chrono::milliseconds time) {
    if (!mongoc().uri_has_option(uri.get(), option))
      mongoc().uri_set_option_as_int32(uri.get(), option, static_cast<int32_t>(time.count()));
  };
  limit(MONGOC_URI_SERVERSELECTIONTIMEOUTMS, kSelectMax);
  limit(MONGOC_URI_CONNECTTIMEOUTMS, kSelectMax);
  limit(MONGOC_URI_SOCKETTIMEOUTMS, kCallMax);
  mongoc().uri_set_appname(uri.get(), "samplemind");
  // What was answered as stored is not lost when another member of a replica set takes over.
  if (!mongoc().uri_has_option(uri.get(), MONGOC_URI_W)) {
    mongoc_write_concern_t* const concern = mongoc().write_concern_new();
    mongoc().write_concern_set_wmajority(concern, static_cast<int32_t>(10'000));
    mongoc().uri_set_write_concern(uri.get(), concern);
    mongoc().write_concern_destroy(concern);
  }
  std::unique_ptr<MongoLink> link(new MongoLink);
  const char* const database = mongoc().uri_get_database(uri.get());
  link->database_ = database != nullptr && *database != '\0' ? database : kDefaultDatabase;
  const mongoc_host_list_t* const host = mongoc().uri_get_hosts(uri.get());
  link->name_ = (host != nullptr ? std::string(host->host_and_port) : "?") + "/" + link->database_;
  link->pool_ = mongoc().client_pool_new_with_error(uri.get(), &e);
  if (link->pool_ == nullptr)
    return Error(ErrorCode::kInvalidArgument, std::string("library.store: ") + e.message);
  mongoc().client_pool_set_error_api(link->pool_, MONGOC_ERROR_API_VERSION_2);
  SM_CHECK_OK(link->command(Doc().integer("ping", 1)));
  return link;
}

MongoLink::~MongoLink() {
  if (pool_ != nullptr) mongoc().client_pool_destroy(pool_);
}

Result<void> MongoLink::find(const char* collection, const Doc& filter, const Each& f,
                             const Doc* sort, const Doc* projection, int64_t limit) {
  const Client client(pool_, database_);
  const auto in = client.collection(collection);
  Doc options;
  if (sort != nullptr) options.doc("sort", *sort);
  if (projection != nullptr) options.doc("projection", *projection);
  if (limit > 0) options.integer("limit", limit);
  const Cursor cursor(
      mongoc().collection_find_with_opts(in.get(), filter.raw(), options.raw(), nullptr));
  return walk(name_, cursor.get(), f);
}

Result<void> MongoLink::aggregate(const char* collection, const std::vector<Doc>& stages,
                                  const Each& f) {
  const Client client(pool_, database_);
  const auto in = client.collection(collection);
  Doc pipeline;
  pipeline.docs("pipeline", stages);
  const Cursor cursor(
      mongoc().collection_aggregate(in.get(), MONGOC_QUERY_NONE, pipeline.raw(), nullptr, nullptr));
  return walk(name_, cursor.get(), f);
}

Result<void> MongoLink::insert(const char* collection, const Doc& document) {
  const Client client(pool_, database_);
  bson_error_t e;
  if (!mongoc().collection_insert_one(client.collection(collection).get(), document.raw(), nullptr,
                                      nullptr, &e))
    return store_error(name_, e);
  return ok();
}

Result<int64_t> MongoLink::update(const char* collection, const Doc& filter, const Doc& change) {
  const Client client(pool_, database_);
  bson_error_t e;
  bson_t reply;
  const bool done = mongoc().collection_update_many(
      client.collection(collection).get(), filter.raw(), change.raw(), nullptr, &reply, &e);
  const int64_t matched = DocView(&reply).integer("matchedCount");
  bson_destroy(&reply);
  if (!done) return store_error(name_, e);
  return matched;
}

Result<int64_t> MongoLink::remove(const char* collection, const Doc& filter) {
  const Client client(pool_, database_);
  bson_error_t e;
  bson_t reply;
  const bool done = mongoc().collection_delete_many(client.collection(collection).get(),
                                                    filter.raw(), nullptr, &reply, &e);
  const int64_t removed = DocView(&reply).integer("deletedCount");
  bson_destroy(&reply);
  if (!done) return store_error(name_, e);
  return removed;
}

Result<void> MongoLink::put(const char* collection, const Doc& filter, const Doc& document) {
  const Client client(pool_, database_);
  const Doc options = Doc().flag("upsert", true);
  bson_error_t e;
  if (!mongoc().collection_replace_one(client.collection(collection).get(), filter.raw(),
                                       document.raw(), options.raw(), nullptr, &e))
    return store_error(name_, e);
  return ok();
}

Result<void> MongoLink::write(const char* collection, const std::vector<Write>& writes) {
  if (writes.empty()) return ok();
  const Client client(pool_, database_);
  const auto in = client.collection(collection);
  const Bulk bulk(mongoc().collection_create_bulk_operation_with_opts(in.get(), nullptr));
  const Doc options = Doc().flag("upsert", true);
  bson_error_t e;
  for (const Write& w : writes) {
    const Doc filter = Doc().integer("_id", w.id);
    const bool fits = w.replace ? mongoc().bulk_operation_replace_one_with_opts(
                                      bulk.get(), filter.raw(), w.change.raw(), options.raw(), &e)
                                : mongoc().bulk_operation_update_one_with_opts(
                                      bulk.get(), filter.raw(), w.change.raw(), nullptr, &e);
    if (!fits) return store_error(name_, e);
  }
  bson_t reply;
  const bool done = mongoc().bulk_operation_execute(bulk.get(), &reply, &e) != 0;
  bson_destroy(&reply);
  if (!done) return store_error(name_, e);
  return ok();
}

Result<int64_t> MongoLink::add(const char* collection, const char* id, const char* field,
                               int64_t by) {
  const Client client(pool_, database_);
  const Doc change = Doc().doc("$inc", Doc().integer(field, by));
  mongoc_find_and_modify_opts_t* const options = mongoc().find_and_modify_opts_new();
  mongoc().find_and_modify_opts_set_update(options, change.raw());
  mongoc().find_and_modify_opts_set_flags(
      options, static_cast<mongoc_find_and_modify_flags_t>(MONGOC_FIND_AND_MODIFY_UPSERT |
                                                           MONGOC_FIND_AND_MODIFY_RETURN_NEW));
  bson_error_t e;
  bson_t reply;
  const bool done = mongoc().collection_find_and_modify_with_opts(
      client.collection(collection).get(), Doc().text("_id", id).raw(), options, &reply, &e);
  bson_t room;
  const int64_t now = DocView(&reply).doc("value", room).integer(field);
  mongoc().find_and_modify_opts_destroy(options);
  bson_destroy(&reply);
  if (!done) return store_error(name_, e);
  return now;
}

Result<void> MongoLink::command(const Doc& command) {
  const Client client(pool_, database_);
  bson_error_t e;
  if (!mongoc().client_command_simple(client.raw(), database_.c_str(), command.raw(), nullptr,
                                      nullptr, &e))
    return store_error(name_, e);
  return ok();
}

}  // namespace samplemind::library
