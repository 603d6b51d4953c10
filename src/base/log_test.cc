#include "base/log.h"

#include <gtest/gtest.h>

namespace samplemind::log {
namespace {

TEST(Log, JsonAndText) {
  EXPECT_EQ(
      format_record(Format::kJson, Level::kInfo, 1767225600123, "request",
                    {{"status", 200}, {"path", "/x y"}, {"ok", true}}),
      R"({"time":"2026-01-01T00:00:00.123Z","level":"info","event":"request","status":200,"path":"/x y","ok":true})");
  EXPECT_EQ(format_record(Format::kText, Level::kWarn, 1767225600123, "slow",
                          {{"ms", 1.5}, {"path", "a\nb"}}),
            R"(00:00:00.123 warn  slow  ms=1.5  path="a\nb")");
}

TEST(Log, SecretsAreReplaced) {
  redact("sk-very-secret-1");
  redact("short");
  EXPECT_EQ(redacted("key sk-very-secret-1, sk-very-secret-1 short"),
            "key [redacted], [redacted] short");
}

TEST(Log, NamesAreChecked) {
  EXPECT_EQ(*parse_level("warn"), Level::kWarn);
  EXPECT_FALSE(parse_level("loud").ok());
  EXPECT_FALSE(parse_format("xml").ok());
}

}  // namespace
}  // namespace samplemind::log
