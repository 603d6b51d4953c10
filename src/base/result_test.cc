#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

#include "base/clock.h"

namespace samplemind {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return Error(ErrorCode::kInvalidArgument, "odd", "give an even number");
  return n / 2;
}
Result<int> quarter(int n) {
  SM_TRY(const int h, half(n));
  SM_TRY(const int q, half(h));
  return q;
}
Result<void> check(int n) {
  SM_CHECK_OK([&]() -> Result<void> {
    if (n < 0) return Error(ErrorCode::kNotFound, "negative");
    return ok();
  }());
  return ok();
}

TEST(Result, CarriesValuesAndErrors) {
  EXPECT_EQ(*quarter(12), 3);
  const auto failed = quarter(6);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().hint(), "give an even number");
  EXPECT_EQ(std::move(half(3).error()).with_context("halving").message(), "halving: odd");
  EXPECT_TRUE(check(1).ok());
  EXPECT_EQ(check(-1).error().code(), ErrorCode::kNotFound);
  Result<std::unique_ptr<int>> moved = std::make_unique<int>(4);
  EXPECT_EQ(*std::move(moved).value(), 4);
}

TEST(Error, ErrnoMapsToCodes) {
  EXPECT_EQ(errno_error(ENOENT, "open /x").code(), ErrorCode::kNotFound);
  EXPECT_EQ(errno_error(EACCES, "open /x").message(), "open /x: Permission denied");
  EXPECT_EQ(errno_error(ENOSPC, "write").code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(http_status(ErrorCode::kTooLarge), 413);
  EXPECT_EQ(exit_code(ErrorCode::kInvalidArgument), 2);
}

TEST(Clock, FakeMovesOnlyWhenTold) {
  FakeClock clock;
  EXPECT_EQ(format_rfc3339(clock.wall()), "2026-01-01T00:00:00Z");
  const auto before = clock.steady();
  clock.advance(std::chrono::seconds(61));
  EXPECT_EQ(clock.steady() - before, std::chrono::seconds(61));
  EXPECT_EQ(format_rfc3339(clock.wall()), "2026-01-01T00:01:01Z");
}

}  // namespace
}  // namespace samplemind
