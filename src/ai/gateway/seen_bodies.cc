#include "ai/gateway/seen_bodies.h"

#include <cstring>
#include <random>
#include <utility>

namespace samplemind::ai {

namespace {

constexpr size_t kOverhead = 256;  // bytes of an entry beside its strings, about
constexpr uint64_t kPrime = 0x9E3779B97F4A7C15u;

uint64_t mix(uint64_t h, uint64_t v) {
  h = (h ^ v) * kPrime;
  return h ^ h >> 32;
}

// Four lanes of eight bytes a step.
uint64_t quick_hash(uint64_t seed, std::string_view bytes) {
  uint64_t lane[4] = {seed, seed + kPrime, seed ^ bytes.size(), ~seed};
  uint64_t v[4];
  for (; bytes.size() >= sizeof v; bytes.remove_prefix(sizeof v)) {
    std::memcpy(v, bytes.data(), sizeof v);
    for (int i = 0; i < 4; ++i) lane[i] = mix(lane[i], v[i]);
  }
  std::memset(v, 0, sizeof v);
  std::memcpy(v, bytes.data(), bytes.size());
  for (int i = 0; i < 4; ++i) lane[i] = mix(lane[i], v[i]);
  return mix(mix(mix(lane[0], lane[1]), lane[2]), lane[3]);
}

std::string kept_form(std::string_view body) {
  if (body.size() <= SeenBodies::kWhole) return std::string(body);
  const Digest d = blake3(body);
  return std::string(reinterpret_cast<const char*>(d.bytes.data()), d.bytes.size());
}

bool same_body(std::string_view kept, size_t kept_size, std::string_view body) {
  if (kept_size != body.size()) return false;
  return body.size() <= SeenBodies::kWhole ? kept == body : kept == kept_form(body);
}

}  // namespace

SeenBodies::SeenBodies(size_t max_bytes) : half_(max_bytes / 2) {
  std::random_device random;
  seed_ = uint64_t{random()} << 32 | random();
}

// Only finds the place: bodies made to collide push each other out.
uint64_t SeenBodies::hash(std::string_view scope, std::string_view body) const {
  return mix(quick_hash(seed_, scope), quick_hash(seed_, body));
}

const SeenBodies::Entry* SeenBodies::find(std::string_view scope, std::string_view body,
                                          int64_t now_ms) {
  const uint64_t h = hash(scope, body);
  bool young = true;
  auto it = young_.find(h);
  if (it == young_.end()) {
    it = old_.find(h);
    if (it == old_.end()) return nullptr;
    young = false;
  }
  Kept& kept = it->second;
  if (kept.entry.until_ms <= now_ms || kept.scope != scope ||
      !same_body(kept.body, kept.body_size, body))
    return nullptr;
  // What is asked for again stays among the young.
  return young ? &kept.entry : keep(h, Kept(kept));
}

void SeenBodies::remember(std::string_view scope, std::string_view body, Entry entry) {
  keep(hash(scope, body), {std::string(scope), kept_form(body), body.size(), std::move(entry)});
}

SeenBodies::Entry* SeenBodies::keep(uint64_t h, Kept kept) {
  const auto size = [](const Kept& k) { return k.scope.size() + k.body.size() + kOverhead; };
  if (const auto it = young_.find(h); it != young_.end()) {
    young_bytes_ -= size(it->second);
    young_.erase(it);
  }
  if (young_bytes_ + size(kept) > half_) {
    old_ = std::exchange(young_, {});
    young_bytes_ = 0;
  }
  young_bytes_ += size(kept);
  return &young_.emplace(h, std::move(kept)).first->second.entry;
}

}  // namespace samplemind::ai
