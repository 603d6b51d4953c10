// Bodies that were answered from the cache before, with the key that each led to: such a body needs
// neither parsing nor fingerprint again. Bodies are compared byte for byte (long ones by their
// BLAKE3-256), so that no two can be taken for each other, whoever made them. One loop only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "ai/gateway/plan.h"
#include "base/hash.h"

namespace samplemind::ai {

class SeenBodies {
 public:
  struct Entry {
    Digest key;
    Form form;
    int64_t until_ms = 0;
    std::string route;
  };
  static constexpr size_t kWhole = 16u << 10;  // longer bodies are kept as their digest

  // Keeps about the last `max_bytes` of bodies, at least half of that.
  explicit SeenBodies(size_t max_bytes = 16u << 20);

  // Null when this body was not seen in this scope, or its time is over. `scope`: whatever beside
  // the body decides on the key, spelt without ambiguity. Good until the next call.
  const Entry* find(std::string_view scope, std::string_view body, int64_t now_ms);
  void remember(std::string_view scope, std::string_view body, Entry entry);

 private:
  struct Kept {
    std::string scope, body;
    size_t body_size = 0;
    Entry entry;
  };
  using Map = std::unordered_map<uint64_t, Kept>;

  uint64_t hash(std::string_view scope, std::string_view body) const;
  Entry* keep(uint64_t h, Kept kept);

  size_t half_;
  uint64_t seed_;
  Map young_, old_;  // when the young have filled their half, they are the old
  size_t young_bytes_ = 0;
};

}  // namespace samplemind::ai
