#include "base/hash.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/files.h"
#include "base/hex.h"

namespace samplemind {
namespace {

// BLAKE3's official test_vectors.json: the input of n bytes is 0,1,...,250,0,1,...
struct Vector {
  size_t size;
  const char* hash;
};
constexpr Vector kVectors[] = {
    {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
    {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
    {1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"},
    {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"},
    {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"},
    {2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"},
    {31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47"},
    {102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"},
};

TEST(Hex, ThereAndBackAndNothingElse) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(from_hex(to_hex(all)), all);
  EXPECT_EQ(to_hex("\n~"), "0a7e");
  for (const char* bad : {"0", "0g", "0A", "zz", "0a7"})
    EXPECT_EQ(from_hex(bad), std::nullopt) << bad;
  EXPECT_EQ(from_hex(""), "");
}

TEST(Blake3, OfficialVectors) {
  for (const Vector& v : kVectors) {
    std::string input;
    for (size_t i = 0; i < v.size; ++i) input.push_back(static_cast<char>(i % 251));
    EXPECT_EQ(blake3(input).hex(), v.hash) << v.size;
  }
}

TEST(Blake3, FieldsAreSeparated) {
  Hasher a, b;
  a.update_field("ab");
  a.update_field("c");
  b.update_field("a");
  b.update_field("bc");
  EXPECT_NE(a.finish(), b.finish());
  EXPECT_NE(Hasher("one context").finish(), Hasher("another").finish());
}

TEST(Digest, HexRoundTrip) {
  const Digest d = blake3("x");
  EXPECT_EQ(*Digest::from_hex(d.hex()), d);
  EXPECT_FALSE(Digest::from_hex("zz").ok());
  EXPECT_FALSE(Digest::from_hex(std::string(64, 'g')).ok());
}

TEST(Blake3, FileEqualsMemory) {
  const fs::path path = fs::temp_directory_path() / ("hash_test." + std::to_string(::getpid()));
  const std::string content(3 << 20, 'q');
  ASSERT_TRUE(write_file_atomic(path, content).ok());
  EXPECT_EQ(*blake3_file(path), blake3(content));
  fs::remove(path);
  EXPECT_EQ(blake3_file(path).error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace samplemind
