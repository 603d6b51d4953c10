// Tables, progress lines, words on the command line, and the control of services with a stub.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/files.h"
#include "base/process.h"
#include "cli/api_client.h"
#include "cli/app.h"
#include "cli/service_control.h"
#include "cli/terminal.h"

namespace samplemind::cli {
namespace {

Terminal plain(bool unicode = true) {
  Terminal t;
  t.unicode = unicode;
  return t;
}

class Home {
 public:
  Home() {
    char pattern[] = "/tmp/samplemind-cli-XXXXXX";
    path = ::mkdtemp(pattern);
  }
  ~Home() { fs::remove_all(path); }
  fs::path path;
};

// A listener of this process on a free port.
class Listening {
 public:
  Listening() {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd_, 4), 0);
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
  }
  ~Listening() { ::close(fd_); }
  uint16_t port = 0;

 private:
  int fd_;
};

TEST(Width, CountsColumnsNotBytes) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("Ä…"), 2);
  EXPECT_EQ(display_width("日本"), 4);
  EXPECT_EQ(display_width("e\u0301"), 1);
  EXPECT_EQ(display_width("🥁"), 2);
}

TEST(Width, FitCutsAtCharacters) {
  EXPECT_EQ(fit("kick_01.wav", 11, true), "kick_01.wav");
  EXPECT_EQ(fit("kick_01.wav", 6, true), "kick_…");
  EXPECT_EQ(fit("kick_01.wav", 6, false), "kic...");
  EXPECT_EQ(fit("/home/me/Samples", 8, true, true), "…Samples");
  EXPECT_EQ(display_width(fit("日本語の名前", 6, true)), 5);  // a wide one is never halved
}

TEST(Printable, NamesCannotDriveTheTerminal) {
  EXPECT_EQ(printable("a\033[2Jb\n"), "a?[2Jb?");
  EXPECT_EQ(printable("a\nb", true), "a\nb");
  EXPECT_EQ(printable("\xff\xfe"), "??");
  EXPECT_EQ(printable("gpj.\u202Eexe"), "gpj.?exe");
}

TEST(Human, Forms) {
  EXPECT_EQ(human_duration(0), "0 s");
  EXPECT_EQ(human_duration(0.0042), "4 ms");
  EXPECT_EQ(human_duration(3.21), "3.2 s");
  EXPECT_EQ(human_duration(65), "1 min 05 s");
  EXPECT_EQ(human_duration(7800), "2 h 10 min");
  EXPECT_EQ(human_length(3.2), "0:03.2");
  EXPECT_EQ(human_length(59.96), "1:00.0");
  EXPECT_EQ(human_bytes(512), "512 B");
  EXPECT_EQ(human_bytes(1.4 * 1024 * 1024), "1.4 MiB");
  EXPECT_EQ(human_count(1234567), "1,234,567");
  EXPECT_EQ(human_count(999), "999");
}

TEST(Tables, AreNeverWiderThanTheTerminal) {
  Table t({{.header = "name", .shrink_to = 8},
           {.header = "bpm", .right = true},
           {.header = "folder", .shrink_to = 6, .optional = true, .from_left = true}});
  t.add({"a_rather_long_name_of_a_loop.wav", "124.0", "/home/someone/Samples/Loops"});
  t.add({"k.wav", "9.5", ""});
  for (const int width : {20, 30, 40, 80, 120}) {
    std::istringstream lines(t.render(plain(), width));
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count)
      EXPECT_LE(display_width(line), width) << width << ": " << line;
    EXPECT_EQ(count, 3);
  }
  EXPECT_EQ(t.render(plain(), 20).find("folder"), std::string::npos);
  const std::string wide = t.render(plain(), 120);
  EXPECT_NE(wide.find("a_rather_long_name_of_a_loop.wav  124.0  /home/someone/Samples/Loops\n"),
            std::string::npos)
      << wide;
  EXPECT_NE(wide.find("k.wav                               9.5\n"), std::string::npos) << wide;
}

TEST(ProgressLine, FitsAndNeedsNoUnicode) {
  for (const int width : {20, 40, 79, 119}) {
    const std::string line = Progress::line(plain(), width, "Listening", 0.34,
                                            "21/60  18 files/s  2 s left", "Kick_01.wav", 3);
    EXPECT_LE(display_width(line), width) << line;
  }
  const std::string ascii = Progress::line(plain(false), 79, "Listening", 0.5, "1/2", "", 0);
  for (const char c : ascii) EXPECT_LT(static_cast<unsigned char>(c), 0x80) << ascii;
  EXPECT_NE(ascii.find("50%"), std::string::npos);
  Terminal coloured = plain();
  coloured.colour = true;
  EXPECT_NE(Progress::line(coloured, 79, "x", 0.5, "", "", 0).find("\033["), std::string::npos);
}

std::pair<int, std::string> run(std::vector<std::string> words) {
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  const int status = run_command_line(std::move(words));
  std::string text = ::testing::internal::GetCapturedStdout();
  return {status, text + ::testing::internal::GetCapturedStderr()};
}

TEST(Words, WrongOnesNameTheNearest) {
  auto [status, text] = run({"serch", "kick"});
  EXPECT_EQ(status, 2);
  EXPECT_NE(text.find("did you mean 'samplemind search'?"), std::string::npos) << text;
  std::tie(status, text) = run({"search", "--jsno"});
  EXPECT_EQ(status, 2);
  EXPECT_NE(text.find("did you mean --json?"), std::string::npos) << text;
  std::tie(status, text) = run({"analyze"});
  EXPECT_EQ(status, 2);
  EXPECT_NE(text.find("'samplemind analyze --help'"), std::string::npos) << text;
  std::tie(status, text) = run({"up", "--port", "99999"});
  EXPECT_EQ(status, 2) << text;
}

TEST(Words, HelpTeaches) {
  auto [status, text] = run({"search", "--help"});
  EXPECT_EQ(status, 0);
  EXPECT_NE(text.find("Examples\n  samplemind search"), std::string::npos) << text;
  std::tie(status, text) = run({});
  EXPECT_EQ(status, 0);
  EXPECT_NE(text.find("samplemind up"), std::string::npos);
  std::tie(status, text) = run({"test", "--fast"});
  EXPECT_NE(status, 0);
  EXPECT_NE(text.find("run ./samplemind test there"), std::string::npos) << text;
}

TEST(Words, AnalyzeOfAMissingFileFailsWithItsPath) {
  const auto [status, text] = run({"analyze", "--json", "/nowhere/kick.wav"});
  EXPECT_EQ(status, 1);
  EXPECT_NE(text.find("{\"path\":\"/nowhere/kick.wav\",\"error\":"), std::string::npos) << text;
}

TEST(Ports, OneInUseNamesItsHolder) {
  const Listening held;
  const auto taken = check_port_free("127.0.0.1", held.port);
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().code(), ErrorCode::kAlreadyExists);
  EXPECT_NE(taken.error().message().find("(pid " + std::to_string(::getpid()) + ")"),
            std::string::npos)
      << taken.error().message();
  EXPECT_NE(taken.error().hint().find("--port"), std::string::npos);
  EXPECT_TRUE(answers("127.0.0.1", held.port, std::chrono::milliseconds(1000)));
  EXPECT_EQ(check_port_free("192.0.2.1", held.port).error().code(), ErrorCode::kInvalidArgument);
}

TEST(Services, AnotherProcessWithTheSamePidIsLeftAlone) {
  ProcessOptions options;
  options.argv = {"sleep", "60"};
  options.new_session = true;
  const auto pid = start_process(options);
  ASSERT_TRUE(pid.ok());
  const ProcessId other{*pid, process_start_ticks(*pid).value_or(0) + 1};
  EXPECT_TRUE(stop_process(other, std::chrono::milliseconds(10)));
  EXPECT_TRUE(process_alive(*pid));
  const ProcessId real{*pid, process_start_ticks(*pid).value_or(0)};
  EXPECT_TRUE(stop_process(real, std::chrono::seconds(10)));
  EXPECT_FALSE(real.alive());
}

TEST(Services, OneThatIgnoresTheSignalIsKilled) {
  Home home;
  const std::string mark = (home.path / "ready").string();
  ProcessOptions options;
  options.argv = {"/bin/sh", "-c", "trap '' TERM; touch " + mark + "; while :; do sleep 1; done"};
  options.new_session = true;
  const auto pid = start_process(options);
  ASSERT_TRUE(pid.ok());
  while (!fs::exists(mark)) ASSERT_FALSE(wait_process(*pid, std::chrono::milliseconds(5)));
  EXPECT_FALSE(
      stop_process({*pid, process_start_ticks(*pid).value_or(0)}, std::chrono::milliseconds(100)));
  EXPECT_FALSE(process_alive(*pid));
}

TEST(Services, OllamaIsStartedWhenNobodyAnswersAndStoppedAgain) {
  Home home;
  const fs::path program = home.path / "bin" / "ollama";
  fs::create_directories(program.parent_path());
  std::ofstream(program) << "#!/bin/sh\necho serving on $OLLAMA_HOST\nexec sleep 60\n";
  ::chmod(program.c_str(), 0700);
  const std::string old = ::getenv("PATH");
  ::setenv("PATH", (program.parent_path().string() + ":" + old).c_str(), 1);
  uint16_t port = 0;
  {
    const Listening free_in_a_moment;
    port = free_in_a_moment.port;
  }
  const std::string where = "127.0.0.1:" + std::to_string(port);
  const auto config = Config::load({{"ai.ollama.host", ConfigType::kString, where, "here"}}, "");
  ASSERT_TRUE(config.ok());
  const auto started = start_ollama(*config, home.path);
  ASSERT_TRUE(started.ok()) << started.error().message();
  EXPECT_TRUE(*started);
  const auto again = start_ollama(*config, home.path);
  EXPECT_TRUE(again.ok() && !*again);  // one is enough
  EXPECT_TRUE(ollama_state(*config, home.path).ours.has_value());
  EXPECT_TRUE(stop_ollama(home.path, std::chrono::seconds(10)));
  EXPECT_FALSE(stop_ollama(home.path, std::chrono::seconds(10)));
  ::setenv("PATH", old.c_str(), 1);
}

TEST(Services, ARunningOllamaIsLeftToItsOwner) {
  Home home;
  const Listening theirs;
  const std::string where = "127.0.0.1:" + std::to_string(theirs.port);
  const auto config = Config::load({{"ai.ollama.host", ConfigType::kString, where, "here"}}, "");
  const auto started = start_ollama(*config, home.path);
  EXPECT_TRUE(started.ok() && !*started);
  EXPECT_FALSE(stop_ollama(home.path, std::chrono::seconds(1)));
}

TEST(HostPorts, TakesOllamasManyForms) {
  const auto check = [](const char* text, const char* host, uint16_t port) {
    const HostPort got = parse_host_port(text, 11434);
    EXPECT_EQ(got.host, host) << text;
    EXPECT_EQ(got.port, port) << text;
  };
  check("127.0.0.1", "127.0.0.1", 11434);
  check("127.0.0.1:1234", "127.0.0.1", 1234);
  check(":1234", "127.0.0.1", 1234);
  check("http://box:1234/", "box", 1234);
  check("[::1]:99", "::1", 99);
  check("::1", "::1", 11434);
  check("0.0.0.0:8", "127.0.0.1", 8);
}

TEST(Keys, AreStoredForTheOwnerAlone) {
  Home home;
  EXPECT_EQ(stored_api_key(home.path), "");
  const auto key = generate_api_key(home.path);
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(key->size(), 3u + 64u);
  EXPECT_EQ(stored_api_key(home.path), *key);
  EXPECT_EQ(fs::status(home.path / "api_key").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_NE(*generate_api_key(home.path), *key);
}

TEST(Logs, LastLinesOverBlocks) {
  Home home;
  const fs::path file = home.path / "a.log";
  {
    std::ofstream out(file);
    for (int i = 0; i < 20000; ++i) out << "line " << i << "\n";
  }
  const auto lines = last_lines(file, 10000);
  ASSERT_EQ(lines.size(), 10000u);
  EXPECT_EQ(lines.front(), "line 10000");
  EXPECT_EQ(lines.back(), "line 19999");
  EXPECT_TRUE(last_lines(file, 0).empty());
  EXPECT_TRUE(last_lines(home.path / "none.log", 5).empty());
  EXPECT_TRUE(last_lines(file, 5, fs::file_size(file)).empty());
}

TEST(ArgumentsOfCommands, AnOutOfRangeNumberIsAnErrorThatSaysTheRange) {
  for (const char* word : {"9", "-1", "many", "nan"}) {
    const auto [status, said] = run({"edit", "--rating", word});
    EXPECT_EQ(status, exit_code(ErrorCode::kInvalidArgument)) << word;
    EXPECT_NE(said.find("'" + std::string(word) + "' is no number from 0 to 5"), std::string::npos)
        << said;
  }
}

TEST(Problems, BecomeErrors) {
  const auto problem = JsonValue::parse(
      R"({"type":"error","title":"Not Found","status":404,"detail":"there is no sample 7","hint":"look","code":"not-found"})");
  const Error e = error_from_problem(*problem, 500);
  EXPECT_EQ(e.code(), ErrorCode::kNotFound);
  EXPECT_EQ(e.message(), "there is no sample 7");
  EXPECT_EQ(e.hint(), "look");
  EXPECT_EQ(error_from_problem(JsonValue(), 503).code(), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace samplemind::cli
