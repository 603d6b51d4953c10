// What a request is, once read and resolved, and why one is refused.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ai/dialect/dialect.h"
#include "ai/keys.h"
#include "ai/provider.h"
#include "ai/router.h"
#include "base/hash.h"
#include "net/http.h"

namespace samplemind::ai {

// A model that may answer.
struct Candidate {
  Provider* provider = nullptr;
  std::string model;
  std::string why;  // the rule that named it
  std::string id() const { return provider->name() + "/" + model; }
  std::string place() const { return provider->label() + "/" + model; }
  // Another endpoint for the same model.
  bool twin_of(const Candidate& c) const {
    return provider->name() == c.provider->name() && model == c.model;
  }
};

struct Plan {
  std::shared_ptr<const ChatRequest> request;  // shared with the call that answers it
  Form form;                                   // of the answer
  // Who is asked: the first, and the next when that one fails. `provider` and `model` are the one
  // whose turn it is.
  std::vector<Candidate> candidates;
  Provider* provider = nullptr;
  Provider* twin = nullptr;  // where the same model answers as well, when that is who comes next
  std::string model;
  RequestFacts facts;
  std::string rule, why;             // how it was routed
  std::string route;                 // in one line, for people
  std::vector<std::string> skipped;  // who else was thought of, and why not
  bool chained = false;              // others than the first may answer
  bool local_only = false;           // nothing of it leaves this machine
  VirtualKeyPtr key_holder;          // null: nobody in particular
  Digest key;                        // of the answer in the cache
  Digest flight_key;                 // of the call: what a chain answers is no named model's answer
  std::string scope_headers;         // part of the key
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

// Whether all its candidates are endpoints for one model.
bool one_model(const Plan& p);

// The key of this request's answer by `provider`'s `model`.
Digest key_of(const Plan& p, const Provider& provider, std::string_view model);

// As a client is told, in its own dialect.
struct Failure {
  int status;
  std::string type, code, message;
  std::optional<int64_t> retry_after_ms;
  int64_t age_ms = -1;  // repeated from the cache, so old; -1: fresh
  bool spent = false;   // our own tries are used up: the client's would multiply them
  bool once = false;    // asked once: a client may try again itself
};

AnswerError to_answer_error(const Failure& f);
Failure to_failure(const UpstreamError& e);
// For programs that ask without HTTP.
Error to_error(const Failure& f);

}  // namespace samplemind::ai
