// libmongoc, loaded when the first library in a MongoDB is opened and not with the program: loading
// it takes longer than most commands run, and makes a file in /dev/shm for each process.
#pragma once

#include <mongoc/mongoc.h>

#include "base/result.h"

#define SAMPLEMIND_MONGOC_CALLS(X)              \
  X(bulk_operation_destroy)                     \
  X(bulk_operation_execute)                     \
  X(bulk_operation_replace_one_with_opts)       \
  X(bulk_operation_update_one_with_opts)        \
  X(client_command_simple)                      \
  X(client_get_collection)                      \
  X(client_pool_destroy)                        \
  X(client_pool_new_with_error)                 \
  X(client_pool_pop)                            \
  X(client_pool_push)                           \
  X(client_pool_set_error_api)                  \
  X(collection_aggregate)                       \
  X(collection_create_bulk_operation_with_opts) \
  X(collection_delete_many)                     \
  X(collection_destroy)                         \
  X(collection_find_and_modify_with_opts)       \
  X(collection_find_with_opts)                  \
  X(collection_insert_one)                      \
  X(collection_replace_one)                     \
  X(collection_update_many)                     \
  X(cursor_destroy)                             \
  X(cursor_error)                               \
  X(cursor_next)                                \
  X(find_and_modify_opts_destroy)               \
  X(find_and_modify_opts_new)                   \
  X(find_and_modify_opts_set_flags)             \
  X(find_and_modify_opts_set_update)            \
  X(log_set_handler)                            \
  X(uri_destroy)                                \
  X(uri_get_database)                           \
  X(uri_get_hosts)                              \
  X(uri_has_option)                             \
  X(uri_new_with_error)                         \
  X(uri_set_appname)                            \
  X(uri_set_option_as_int32)                    \
  X(uri_set_write_concern)                      \
  X(write_concern_destroy)                      \
  X(write_concern_new)                          \
  X(write_concern_set_wmajority)

namespace samplemind::library {

// mongoc().client_pool_pop is mongoc_client_pool_pop.
struct Mongoc {
#define SAMPLEMIND_MONGOC_FIELD(name) decltype(&::mongoc_##name) name = nullptr;
  SAMPLEMIND_MONGOC_CALLS(SAMPLEMIND_MONGOC_FIELD)
#undef SAMPLEMIND_MONGOC_FIELD
};

// Loads it once, for any thread. kUnsupported, with what to install, when it is not there.
Result<void> load_mongoc();
// REQUIRES: load_mongoc() was ok.
const Mongoc& mongoc();

}  // namespace samplemind::library
