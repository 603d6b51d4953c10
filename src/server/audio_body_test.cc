#include "server/audio_body.h"

#include <gtest/gtest.h>

namespace samplemind::server {
namespace {

struct Outcome {
  bool part = false;
  bool unsatisfiable = false;
  uint64_t first = 0, last = 0;
};
Outcome parse(std::string_view header, uint64_t size) {
  Outcome o;
  const auto range = parse_byte_range(header, size, o.unsatisfiable);
  if (range) {
    o.part = true;
    o.first = range->first;
    o.last = range->last;
  }
  return o;
}

TEST(ByteRange, Parts) {
  struct Case {
    const char* header;
    uint64_t first, last;
  };
  for (const Case& c : {Case{"bytes=0-0", 0, 0}, Case{"bytes=0-99", 0, 99}, Case{"bytes=5-", 5, 99},
                        Case{"bytes=-1", 99, 99}, Case{"bytes=-1000", 0, 99},
                        Case{"bytes=90-1000", 90, 99}, Case{"bytes=99-99", 99, 99}}) {
    const Outcome o = parse(c.header, 100);
    EXPECT_TRUE(o.part) << c.header;
    EXPECT_EQ(o.first, c.first) << c.header;
    EXPECT_EQ(o.last, c.last) << c.header;
  }
}

TEST(ByteRange, BeyondTheEnd) {
  for (const char* header : {"bytes=100-", "bytes=100-200", "bytes=-0"}) {
    EXPECT_TRUE(parse(header, 100).unsatisfiable) << header;
    EXPECT_FALSE(parse(header, 100).part) << header;
  }
  for (const char* header : {"bytes=0-", "bytes=-5", "bytes=0-0"})
    EXPECT_TRUE(parse(header, 0).unsatisfiable) << header;
}

TEST(ByteRange, WhatIsNoRangeGivesAll) {
  for (const char* header :
       {"", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=0-1,5-6", "items=0-1", "0-1",
        "bytes=0", "bytes= 0-1", "bytes=-1-", "bytes=99999999999999999999999-", "bytes=0-x"}) {
    EXPECT_FALSE(parse(header, 100).part) << header;
    EXPECT_FALSE(parse(header, 100).unsatisfiable) << header;
  }
}

}  // namespace
}  // namespace samplemind::server
