#include "base/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/files.h"

extern char** environ;

namespace samplemind {

namespace {
void limit(int resource, uint64_t value) {
  const rlimit both{value, value};
  (void)::setrlimit(static_cast<__rlimit_resource_t>(resource), &both);
}

// Between fork and exec only async-signal-safe calls are allowed: everything is prepared before.
struct Prepared {
  const char* path;
  char* const* argv;
  char* const* envp;
  int out;
  int err;
  pid_t parent;
};

[[noreturn]] void become(const Prepared& p, const ProcessOptions& o, int report) {
  if (o.new_session) ::setsid();
  if (o.die_with_parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != p.parent) ::_exit(127);
  }
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, 0);
  ::dup2(p.out, 1);
  ::dup2(p.err, 2);
  if (report != 3) {
    ::dup2(report, 3);
    report = 3;
  }
  ::fcntl(report, F_SETFD, FD_CLOEXEC);
  (void)::syscall(SYS_close_range, 4U, ~0U, 0U);
  if (o.address_space_max_bytes != 0) limit(RLIMIT_AS, o.address_space_max_bytes);
  if (o.cpu_max_seconds != 0) limit(RLIMIT_CPU, o.cpu_max_seconds);
  if (o.no_new_files) {
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_CORE, 0);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::execve(p.path, p.argv, p.envp);
  const int error = errno;
  (void)!::write(report, &error, sizeof error);
  ::_exit(127);
}

// What a program needs of our environment that is none of our secrets.
bool is_harmless(std::string_view variable) {
  const std::string_view name = variable.substr(0, variable.find('='));
  return name == "PATH" || name == "LD_LIBRARY_PATH" || name == "LANG" || name == "TZ" ||
         name.starts_with("LC_") || name.ends_with("SAN_OPTIONS");
}
}  // namespace

Result<pid_t> start_process(const ProcessOptions& options) {
  SM_ASSERT(!options.argv.empty());
  const std::optional<fs::path> program = find_program(options.argv.front());
  if (!program)
    return Error(ErrorCode::kNotFound,
                 "program '" + options.argv.front() + "' was not found on PATH");

  std::vector<char*> argv;
  for (const std::string& arg : options.argv) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  std::vector<std::string> variables;
  for (char** e = environ; *e != nullptr; ++e) {
    const std::string_view entry(*e);
    bool replaced = options.bare && !is_harmless(entry);
    for (const auto& [name, value] : options.environment) replaced |= entry.starts_with(name + "=");
    if (!replaced) variables.emplace_back(entry);
  }
  for (const auto& [name, value] : options.environment) variables.push_back(name + "=" + value);
  std::vector<char*> envp;
  for (std::string& v : variables) envp.push_back(v.data());
  envp.push_back(nullptr);

  const int log = options.output.empty() ? ::open("/dev/null", O_WRONLY | O_CLOEXEC)
                                         : ::open(options.output.c_str(),
                                                  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) return errno_error(errno, "open " + options.output.string());
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) {
    ::close(log);
    return errno_error(errno, "pipe");
  }
  const Prepared prepared{program->c_str(),
                          argv.data(),
                          envp.data(),
                          options.stdout_fd >= 0 ? options.stdout_fd : log,
                          log,
                          ::getpid()};
  const pid_t pid = ::fork();
  if (pid == 0) become(prepared, options, report[1]);
  const int fork_errno = errno;
  ::close(log);
  ::close(report[1]);
  if (pid < 0) {
    ::close(report[0]);
    return errno_error(fork_errno, "fork");
  }
  int exec_errno = 0;
  ssize_t n;
  do n = ::read(report[0], &exec_errno, sizeof exec_errno);
  while (n < 0 && errno == EINTR);
  ::close(report[0]);
  if (n > 0) {
    ::waitpid(pid, nullptr, 0);
    return errno_error(exec_errno, "run " + program->string());
  }
  return pid;
}

std::optional<int> wait_process(pid_t pid, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  auto pause = std::chrono::microseconds(200);
  for (;;) {
    int status = 0;
    const pid_t got = ::waitpid(pid, &status, WNOHANG);
    if (got == pid) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (got < 0 && errno != EINTR) return process_alive(pid) ? std::nullopt : std::optional<int>(0);
    if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(10000));
  }
}

std::optional<fs::path> find_program(std::string_view name) {
  const auto runnable = [](const fs::path& p) {
    std::error_code ignored;
    return fs::is_regular_file(p, ignored) && ::access(p.c_str(), X_OK) == 0;
  };
  if (name.find('/') != std::string_view::npos)
    return runnable(name) ? std::optional<fs::path>(name) : std::nullopt;
  std::istringstream path(env("PATH").value_or("/usr/local/bin:/usr/bin:/bin"));
  for (std::string folder; std::getline(path, folder, ':');) {
    const fs::path candidate = fs::path(folder.empty() ? "." : folder) / name;
    if (runnable(candidate)) return candidate;
  }
  return std::nullopt;
}

namespace {
// The fields of /proc/PID/stat after the program's name (which may hold spaces and brackets).
std::optional<std::vector<std::string>> stat_fields(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  const size_t bracket = line.rfind(')');
  if (bracket == std::string::npos) return std::nullopt;
  std::istringstream rest(line.substr(bracket + 1));
  std::vector<std::string> fields;
  for (std::string f; rest >> f;) fields.push_back(f);
  return fields;
}
}  // namespace

bool process_alive(pid_t pid) {
  const auto fields = stat_fields(pid);
  return fields && !fields->empty() && fields->front() != "Z" && fields->front() != "X";
}

std::optional<uint64_t> process_start_ticks(pid_t pid) {
  const auto fields = stat_fields(pid);
  if (!fields || fields->size() < 20) return std::nullopt;
  return std::strtoull((*fields)[19].c_str(), nullptr, 10);
}

uint64_t process_rss_bytes(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/statm");
  uint64_t total = 0;
  uint64_t resident = 0;
  in >> total >> resident;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace samplemind
