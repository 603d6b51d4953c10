#include "server/service.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/files.h"
#include "base/process.h"
#include "server/test_support.h"

namespace samplemind::server::test {
namespace {

TEST(Service, OnlyThisMachineWithoutAKey) {
  EXPECT_TRUE(check_exposure("127.0.0.1", "").ok());
  EXPECT_TRUE(check_exposure("::1", "").ok());
  EXPECT_TRUE(check_exposure("localhost", "").ok());
  for (const char* host : {"0.0.0.0", "::", "192.168.1.7"}) {
    const auto refused = check_exposure(host, "");
    ASSERT_FALSE(refused.ok()) << host;
    EXPECT_EQ(refused.error().code(), ErrorCode::kPermissionDenied);
    EXPECT_NE(refused.error().hint().find("server.api_key"), std::string::npos);
    EXPECT_TRUE(check_exposure(host, "a-long-enough-key").ok()) << host;
  }
}

TEST(Service, RunFileOfALivingProcessOnly) {
  const TempDir home;
  std::filesystem::create_directories(home.path() / "run");
  bool stale = true;
  EXPECT_FALSE(read_run_file(home.path(), &stale));
  EXPECT_FALSE(stale);

  const auto write = [&home](pid_t pid, uint64_t ticks) {
    ASSERT_TRUE(write_file_atomic(home.path() / "run" / "samplemind.json",
                                  "{\"pid\":" + std::to_string(pid) +
                                      ",\"start_ticks\":" + std::to_string(ticks) +
                                      ",\"host\":\"0.0.0.0\",\"port\":8123,\"version\":\"0.1.0\"}")
                    .ok());
  };
  const uint64_t ticks = process_start_ticks(::getpid()).value();
  write(::getpid(), ticks);
  const auto run = read_run_file(home.path(), &stale);
  ASSERT_TRUE(run);
  EXPECT_FALSE(stale);
  EXPECT_EQ(run->address(), "http://127.0.0.1:8123");

  // The pid was given to another process since.
  write(::getpid(), ticks + 1);
  EXPECT_FALSE(read_run_file(home.path(), &stale));
  EXPECT_TRUE(stale);
  ASSERT_TRUE(write_file_atomic(home.path() / "run" / "samplemind.json", "{\"pid\":").ok());
  EXPECT_FALSE(read_run_file(home.path(), &stale));
  EXPECT_TRUE(stale);
}

TEST(Service, AddressOfIpv6) {
  RunFile run;
  run.host = "::1";
  run.port = 8000;
  EXPECT_EQ(run.address(), "http://[::1]:8000");
  run.host = "::";
  run.tls = true;
  EXPECT_EQ(run.address(), "https://[::1]:8000");
}

}  // namespace
}  // namespace samplemind::server::test
