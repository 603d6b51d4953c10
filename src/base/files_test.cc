#include "base/files.h"

#include "base/json.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/process.h"

namespace samplemind {
namespace {

class FilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "files_test.XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder_); }
  static unsigned mode(const fs::path& p) {
    struct stat s {};
    return ::stat(p.c_str(), &s) == 0 ? s.st_mode & 0777 : 0;
  }
  fs::path folder_;
};

TEST_F(FilesTest, WritesWholeAndPrivate) {
  const fs::path file = folder_ / "a";
  ASSERT_TRUE(write_file_atomic(file, "one").ok());
  ASSERT_TRUE(write_file_atomic(file, "two").ok());
  EXPECT_EQ(*read_file(file), "two");
  EXPECT_EQ(mode(file), 0600u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "no temporary file is left";
  ASSERT_TRUE(make_private_dir(folder_ / "x/y").ok());
  EXPECT_EQ(mode(folder_ / "x"), 0700u);
}

TEST_F(FilesTest, SaysWhatIsWrong) {
  EXPECT_EQ(read_file(folder_ / "none").error().code(), ErrorCode::kNotFound);
  ASSERT_TRUE(write_file_atomic(folder_ / "big", std::string(100, 'x')).ok());
  EXPECT_EQ(read_file(folder_ / "big", 99).error().code(), ErrorCode::kTooLarge);
  EXPECT_FALSE(write_file_atomic(folder_ / "no/such/folder", "x").ok());
  EXPECT_FALSE(make_private_dir(folder_ / "big/below").ok());
}

TEST_F(FilesTest, LockIsExclusive) {
  {
    auto lock = FileLock::acquire(folder_ / "lock");
    ASSERT_TRUE(lock.ok());
    EXPECT_EQ(FileLock::acquire(folder_ / "lock").error().code(), ErrorCode::kAlreadyExists);
  }
  EXPECT_TRUE(FileLock::acquire(folder_ / "lock").ok());
}

TEST_F(FilesTest, ProcessesRunWithoutAShell) {
  ProcessOptions o;
  o.argv = {"sh", "-c", "echo \"$GREETING $1\"; exit 7", "sh", "a;b"};
  o.environment = {{"GREETING", "hello"}};
  o.output = folder_ / "out";
  const auto pid = start_process(o);
  ASSERT_TRUE(pid.ok());
  EXPECT_TRUE(process_start_ticks(*pid).has_value());
  EXPECT_EQ(wait_process(*pid, std::chrono::seconds(10)), 7);
  EXPECT_EQ(*read_file(folder_ / "out"), "hello a;b\n");
  EXPECT_FALSE(process_alive(*pid));

  // A bare one finds programs, and none of our secrets.
  ASSERT_EQ(::setenv("OPENAI_API_KEY", "sk-planted-0123456789", 1), 0);
  o.argv = {"env"};
  for (const bool bare : {false, true}) {
    o.bare = bare;
    o.output = folder_ / (bare ? "bare" : "full");
    const auto env = start_process(o);
    ASSERT_TRUE(env.ok());
    EXPECT_EQ(wait_process(*env, std::chrono::seconds(10)), 0);
    const std::string all = *read_file(o.output);
    EXPECT_EQ(all.find("sk-planted") == std::string::npos, bare) << all;
    EXPECT_NE(all.find("PATH="), std::string::npos) << all;
    EXPECT_NE(all.find("GREETING=hello"), std::string::npos) << all;
  }
  ::unsetenv("OPENAI_API_KEY");

  o.argv = {"no-such-program-anywhere"};
  EXPECT_EQ(start_process(o).error().code(), ErrorCode::kNotFound);
  o.argv = {(folder_ / "out").string()};
  EXPECT_FALSE(start_process(o).ok());
}

TEST_F(FilesTest, PathsSurviveAsText) {
  for (const std::string path :
       {"/a b/ü/kick.wav", "relative 100%.wav", "/a\xff\xfe %41\n/\xc3(.wav", "/\xed\xa0\x80",
        "file", "/100%.wav"}) {
    const std::string text = path_to_text(path);
    EXPECT_TRUE(is_utf8(text));
    EXPECT_EQ(path_from_text(text).native(), path);
  }
  EXPECT_EQ(path_to_text("/ü%41"), "/ü%41");
  EXPECT_EQ(path_to_text("/\xff ?"), "file:///%FF%20%3F");
  EXPECT_EQ(path_from_text("file:///a%2").native(), "/a%2");
  EXPECT_EQ(path_from_text("file://host/a").native(), "file://host/a");
}

}  // namespace
}  // namespace samplemind
