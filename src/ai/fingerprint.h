// The cache key of a request: BLAKE3-256 over everything that can change the answer, and nothing
// else. Pure, thread-safe.
#pragma once

#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"

namespace samplemind::ai {

// Raised when the key's or the record's meaning changes: old entries are then never met again.
inline constexpr int kCacheSchema = 2;

struct FingerprintScope {
  std::string_view tenant;  // answers are never shared between tenants
  std::string_view cache_namespace;
  std::string_view provider;
  std::string_view
      model;  // the one that is to answer: aliases, 'auto' and routes are resolved before
  std::string_view headers;  // answer-changing headers (OpenAI-Beta, anthropic-beta, ...), joined
};

// `body` is the request as the client sent it. Left out of the key, because they cannot change the
// answer: user, metadata, stream, stream_options, store, service_tier, safety_identifier,
// prompt_cache_key, prompt_cache_retention; and model, which the scope names. Every other member
// counts, known or not. kInvalidArgument when the body is no JSON.
Result<Digest> fingerprint(const FingerprintScope& scope, std::string_view body);

// The same over what is one text for all spellings already (canonical_request).
Digest fingerprint_canonical(const FingerprintScope& scope, std::string_view canonical);

}  // namespace samplemind::ai
