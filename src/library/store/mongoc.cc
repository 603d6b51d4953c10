#include <dlfcn.h>

#include <cstdlib>
#include <string>

#include "library/store/mongoc_internal.h"

namespace samplemind::library {

namespace {

struct Loaded {
  Mongoc calls;
  std::string error;  // empty: all is there
};

Loaded load() {
  Loaded loaded;
  // Its counters, which nobody reads, then stay in the process's own memory.
  ::setenv("MONGOC_DISABLE_SHM", "1", 0);
  void* const library = ::dlopen("libmongoc-1.0.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    loaded.error = ::dlerror();
    return loaded;
  }
  const auto find = [&](const char* name, auto& call) {
    call = reinterpret_cast<std::remove_reference_t<decltype(call)>>(::dlsym(library, name));
    if (call == nullptr) loaded.error = std::string("libmongoc-1.0.so.0 has no ") + name;
  };
#define SAMPLEMIND_MONGOC_FIND(name) find("mongoc_" #name, loaded.calls.name);
  SAMPLEMIND_MONGOC_CALLS(SAMPLEMIND_MONGOC_FIND)
#undef SAMPLEMIND_MONGOC_FIND
  // The program has its own log.
  if (loaded.error.empty())
    loaded.calls.log_set_handler([](mongoc_log_level_t, const char*, const char*, void*) {},
                                 nullptr);
  return loaded;
}

const Loaded& the_library() {
  static const Loaded loaded = load();
  return loaded;
}

}  // namespace

Result<void> load_mongoc() {
  if (the_library().error.empty()) return ok();
  return Error(ErrorCode::kUnsupported,
               "a library in MongoDB needs MongoDB's C driver: " + the_library().error,
               "apt-get install libmongoc-1.0-0");
}

const Mongoc& mongoc() {
  return the_library().calls;
}

}  // namespace samplemind::library
