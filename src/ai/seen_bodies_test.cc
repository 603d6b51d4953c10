#include "ai/gateway/seen_bodies.h"

#include <gtest/gtest.h>

#include <string>

namespace samplemind::ai {
namespace {

SeenBodies::Entry leads_to(const std::string& what, int64_t until_ms = 1000) {
  return {blake3(what), {}, until_ms, what};
}

std::string route_of(SeenBodies& seen, std::string_view scope, std::string_view body,
                     int64_t now_ms = 0) {
  const SeenBodies::Entry* e = seen.find(scope, body, now_ms);
  return e != nullptr ? e->route : "unknown";
}

TEST(SeenBodies, EveryByteAndTheScopeCount) {
  SeenBodies seen;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{31}, size_t{32}, size_t{1000},
                            SeenBodies::kWhole, SeenBodies::kWhole + 1, size_t{100000}}) {
    const std::string body(size, 'a');
    seen.remember("ann", body, leads_to("ann's"));
    seen.remember("bob", body, leads_to("bob's"));
    EXPECT_EQ(route_of(seen, "ann", body), "ann's") << size;
    EXPECT_EQ(route_of(seen, "bob", body), "bob's") << size;
    EXPECT_EQ(route_of(seen, "eve", body), "unknown") << size;
    EXPECT_EQ(route_of(seen, "ann", body + "a"), "unknown") << size;
    for (size_t at = 0; at < size; at += size / 40 + 1) {
      std::string other = body;
      other[at] = 'b';
      EXPECT_EQ(route_of(seen, "ann", other), "unknown") << size << " at " << at;
    }
  }
}

// A long body is kept as its digest: those 32 bytes are another body.
TEST(SeenBodies, TheDigestOfABodyIsNotThatBody) {
  SeenBodies seen;
  const std::string body(SeenBodies::kWhole + 1, 'a');
  seen.remember("", body, leads_to("long"));
  const Digest d = blake3(body);
  const std::string digest(reinterpret_cast<const char*>(d.bytes.data()), d.bytes.size());
  EXPECT_EQ(route_of(seen, "", digest), "unknown");
}

TEST(SeenBodies, TimeEndsAndIsRenewed) {
  SeenBodies seen;
  seen.remember("", "body", leads_to("first", 1000));
  EXPECT_EQ(route_of(seen, "", "body", 999), "first");
  EXPECT_EQ(route_of(seen, "", "body", 1000), "unknown");
  seen.remember("", "body", leads_to("second", 2000));
  EXPECT_EQ(route_of(seen, "", "body", 1500), "second");
}

TEST(SeenBodies, WhatIsAskedForStaysAndTheRestGoes) {
  SeenBodies seen(64u << 10);
  const auto body = [](int i) { return std::string(500, 'x') + std::to_string(i); };
  seen.remember("", body(0), leads_to("often asked"));
  for (int i = 1; i < 1000; ++i) {
    seen.remember("", body(i), leads_to("once"));
    ASSERT_EQ(route_of(seen, "", body(0)), "often asked") << i;
  }
  int known = 0;
  for (int i = 1; i < 1000; ++i) known += route_of(seen, "", body(i)) == "once";
  EXPECT_GE(known, 30);
  EXPECT_LE(known, 90);
}

}  // namespace
}  // namespace samplemind::ai
