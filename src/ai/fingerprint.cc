#include "ai/fingerprint.h"

#include <algorithm>
#include <array>

#include "ai/canonical_json.h"

namespace samplemind::ai {

namespace {
constexpr std::array<std::string_view, 10> kIgnored{
    "model", "user",         "metadata",          "stream",           "stream_options",
    "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"};
}  // namespace

Result<Digest> fingerprint(const FingerprintScope& scope, std::string_view body) {
  SM_TRY(const std::string canonical, canonical_json(body, [](std::string_view member) {
           return std::find(kIgnored.begin(), kIgnored.end(), member) != kIgnored.end();
         }));
  return fingerprint_canonical(scope, canonical);
}

Digest fingerprint_canonical(const FingerprintScope& scope, std::string_view canonical) {
  static const Hasher kBase("samplemind chat fingerprint");
  Hasher h = kBase;
  h.update_field(std::to_string(kCacheSchema));
  h.update_field(scope.tenant);
  h.update_field(scope.cache_namespace);
  h.update_field(scope.provider);
  h.update_field(scope.model);
  h.update_field(scope.headers);
  h.update_field(canonical);
  return h.finish();
}

}  // namespace samplemind::ai
