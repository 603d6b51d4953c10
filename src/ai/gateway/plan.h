// What a request is, once read and resolved, and why one is refused.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "ai/dialect/dialect.h"
#include "ai/provider.h"
#include "base/hash.h"
#include "net/http.h"

namespace samplemind::ai {

struct Plan {
  std::shared_ptr<const ChatRequest> request;  // shared with the call that answers it
  Form form;                                   // of the answer
  Provider* provider = nullptr;
  std::string model;
  Digest key;
  bool use_cache =
      true;  // may be answered from and stored in the cache, and joined with equal ones
  bool read_cache = true;
  bool store = true;
  net::Headers forward;
  std::string tenant;
  int64_t max_age_ms = -1;  // an older answer is not wanted; -1: any
  bool only_if_cached = false;
  int64_t ttl_ms = 0;  // of the answer, when it is stored
  std::string cache_namespace;
  std::string note;  // why the cache is not used
};

// As a client is told, in its own dialect.
struct Failure {
  int status;
  std::string type, code, message;
  std::optional<int64_t> retry_after_ms;
  int64_t age_ms = -1;  // repeated from the cache, so old; -1: fresh
};

AnswerError to_answer_error(const Failure& f);
Failure to_failure(const UpstreamError& e);
// For programs that ask without HTTP.
Error to_error(const Failure& f);

}  // namespace samplemind::ai
