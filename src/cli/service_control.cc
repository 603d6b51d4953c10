#include "cli/service_control.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <thread>

#include "base/files.h"
#include "base/json.h"
#include "base/process.h"
#include "net/client.h"
#include "net/loop.h"

namespace samplemind::cli {

namespace {

struct AddressesFree {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, AddressesFree>;

Addresses resolve(const std::string& host, uint16_t port, bool passive) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0);
  addrinfo* list = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list) != 0) return {};
  return Addresses(list);
}

// Inodes of sockets that listen on `port`.
std::set<std::string> listening_inodes(uint16_t port) {
  std::set<std::string> inodes;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream in(table);
    std::string line;
    std::getline(in, line);
    while (std::getline(in, line)) {
      std::istringstream fields(line);
      std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
      fields >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >>
          timeout >> inode;
      if (state != "0A") continue;  // TCP_LISTEN
      const size_t colon = local.rfind(':');
      if (colon == std::string::npos) continue;
      if (std::strtoul(local.c_str() + colon + 1, nullptr, 16) == port) inodes.insert(inode);
    }
  }
  return inodes;
}

fs::path ollama_run_file(const fs::path& home) {
  return home / "run" / "ollama.json";
}

std::optional<ProcessId> read_ollama_run(const fs::path& home) {
  const auto text = read_file(ollama_run_file(home), 1 << 16);
  if (!text.ok()) return std::nullopt;
  const auto v = JsonValue::parse(*text);
  if (!v.ok()) return std::nullopt;
  ProcessId id{static_cast<pid_t>((*v)["pid"].integer_or(0)),
               static_cast<uint64_t>((*v)["start_ticks"].integer_or(0))};
  if (!id.alive()) return std::nullopt;
  return id;
}

bool is_local(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.") || host == "0.0.0.0" ||
         host == "::";
}

}  // namespace

bool ProcessId::alive() const {
  return pid > 0 && process_alive(pid) && process_start_ticks(pid) == start_ticks;
}

double ProcessId::uptime_s() const {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const double boot_s = static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
  return std::max(
      0.0, boot_s - static_cast<double>(start_ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK)));
}

bool stop_process(const ProcessId& id, std::chrono::milliseconds patience,
                  const std::function<void(double)>& on_wait) {
  if (!id.alive()) return true;
  ::kill(id.pid, SIGTERM);
  const auto begun = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begun < patience) {
    // A child of ours would stay a zombie; for others this does nothing.
    (void)wait_process(id.pid, std::chrono::milliseconds(0));
    if (!id.alive()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (on_wait)
      on_wait(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  }
  if (!id.alive()) return true;
  if (::getpgid(id.pid) == id.pid) {
    ::kill(-id.pid, SIGKILL);
  } else {
    ::kill(id.pid, SIGKILL);
  }
  for (int i = 0; i < 40 && id.alive(); ++i) {
    (void)wait_process(id.pid, std::chrono::milliseconds(0));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

std::optional<Listener> find_listener(uint16_t port) {
  const std::set<std::string> inodes = listening_inodes(port);
  if (inodes.empty()) return std::nullopt;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.empty() || !std::isdigit(static_cast<unsigned char>(name[0]))) continue;
    std::error_code denied;
    for (fs::directory_iterator fd(entry.path() / "fd", denied), end; !denied && fd != end;
         fd.increment(denied)) {
      std::error_code gone;
      const std::string target = fs::read_symlink(fd->path(), gone).string();
      if (gone || !target.starts_with("socket:[")) continue;
      if (!inodes.contains(target.substr(8, target.size() - 9))) continue;
      auto comm = read_file(entry.path() / "comm", 256);
      std::string program = comm.ok() ? *comm : "?";
      while (!program.empty() && program.back() == '\n') program.pop_back();
      return Listener{static_cast<pid_t>(std::atoi(name.c_str())), std::move(program)};
    }
  }
  return std::nullopt;
}

Result<void> check_port_free(const std::string& host, uint16_t port) {
  if (port == 0) return ok();
  const std::string shown = host + ":" + std::to_string(port);
  const Addresses list = resolve(host, port, true);
  if (!list)
    return Error(ErrorCode::kInvalidArgument, "'" + host + "' is no address to listen on",
                 "use an address of this machine, such as 127.0.0.1");
  const int fd = ::socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno_error(errno, "open a socket");
  const int on = 1;
  // Old connections that are only fading do not hold a port.
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const int bound = ::bind(fd, list->ai_addr, list->ai_addrlen);
  const int error = bound == 0 ? 0 : errno;
  const int listening = bound == 0 ? ::listen(fd, 1) : -1;
  const int listen_error = bound == 0 && listening != 0 ? errno : 0;
  ::close(fd);
  if (error == 0 && listen_error == 0) return ok();
  if (error == EADDRINUSE || listen_error == EADDRINUSE) {
    const auto who = find_listener(port);
    return Error(ErrorCode::kAlreadyExists,
                 "port " + shown + " is in use" +
                     (who ? " by " + who->program + " (pid " + std::to_string(who->pid) + ")"
                          : " by another program"),
                 "stop that program, or choose another port: samplemind up --port " +
                     std::to_string(port < 65535 ? port + 1 : port - 1));
  }
  if (error == EADDRNOTAVAIL)
    return Error(ErrorCode::kInvalidArgument, host + " is not an address of this machine",
                 "'hostname -I' lists them; 127.0.0.1 is always there");
  if (error == EACCES)
    return Error(ErrorCode::kPermissionDenied, "port " + shown + " needs special rights",
                 "choose a port above 1023: samplemind up --port 8000");
  return errno_error(error != 0 ? error : listen_error, "listen on " + shown);
}

bool answers(const std::string& host, uint16_t port, std::chrono::milliseconds timeout) {
  const Addresses list = resolve(host, port, false);
  for (const addrinfo* a = list.get(); a != nullptr; a = a->ai_next) {
    const int fd = ::socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) continue;
    bool connected = ::connect(fd, a->ai_addr, a->ai_addrlen) == 0;
    if (!connected && errno == EINPROGRESS) {
      pollfd waiting{fd, POLLOUT, 0};
      int error = 0;
      socklen_t size = sizeof error;
      connected = ::poll(&waiting, 1, static_cast<int>(timeout.count())) == 1 &&
                  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
    }
    ::close(fd);
    if (connected) return true;
  }
  return false;
}

std::optional<HttpProbe> probe(const std::string& url, std::chrono::milliseconds timeout,
                               const std::string& ca_file) {
  auto parsed = net::Url::parse(url);
  if (!parsed.ok()) return std::nullopt;
  net::Loop loop;
  net::ClientOptions options;
  options.proxy_from_environment = false;
  options.connect_timeout = timeout;
  options.ca_file = ca_file;
  const auto client = net::Client::create(loop, std::move(options));
  net::ClientRequest request("GET", std::move(*parsed));
  request.first_byte_timeout = request.idle_timeout = request.total_timeout = timeout;
  const auto begun = std::chrono::steady_clock::now();
  const auto response = loop.run_until_done(client->send(std::move(request)));
  if (!response.ok()) return std::nullopt;
  return HttpProbe{
      (*response)->status(),
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count()};
}

std::string stored_api_key(const fs::path& home) {
  auto text = read_file(home / "api_key", 4096);
  if (!text.ok()) return {};
  while (!text->empty() && std::isspace(static_cast<unsigned char>(text->back()))) text->pop_back();
  return std::move(*text);
}

Result<std::string> generate_api_key(const fs::path& home) {
  unsigned char bytes[32];
  if (::getrandom(bytes, sizeof bytes, 0) != static_cast<ssize_t>(sizeof bytes))
    return errno_error(errno, "read random bytes");
  std::string key = "sm-";
  for (const unsigned char b : bytes) {
    key += "0123456789abcdef"[b >> 4];
    key += "0123456789abcdef"[b & 15];
  }
  SM_CHECK_OK(write_file_atomic(home / "api_key", key + "\n", 0600));
  return key;
}

HostPort parse_host_port(const std::string& text, uint16_t default_port) {
  std::string rest = text;
  if (const size_t scheme = rest.find("://"); scheme != std::string::npos)
    rest.erase(0, scheme + 3);
  rest = rest.substr(0, rest.find('/'));
  HostPort out{"127.0.0.1", default_port};
  size_t colon = rest.rfind(':');
  if (rest.starts_with('[')) {
    const size_t end = rest.find(']');
    if (end == std::string::npos) return out;
    out.host = rest.substr(1, end - 1);
    colon = end + 1 < rest.size() && rest[end + 1] == ':' ? end + 1 : std::string::npos;
  } else if (std::count(rest.begin(), rest.end(), ':') > 1) {
    out.host = rest;  // an IPv6 address without brackets
    colon = std::string::npos;
  } else if (const std::string host = rest.substr(0, colon); !host.empty()) {
    out.host = host;
  }
  if (colon != std::string::npos) {
    uint16_t port = 0;
    const char* const end = rest.data() + rest.size();
    const auto [stop, error] = std::from_chars(rest.data() + colon + 1, end, port);
    if (error == std::errc() && stop == end && port != 0) out.port = port;
  }
  if (out.host == "0.0.0.0") out.host = "127.0.0.1";  // where a server listens, not whom to call
  return out;
}

OllamaState ollama_state(const Config& config, const fs::path& home) {
  OllamaState state;
  state.where = parse_host_port(config.string("ai.ollama.host"), 11434);
  state.answers = answers(state.where.host, state.where.port, std::chrono::milliseconds(300));
  state.ours = read_ollama_run(home);
  state.program = find_program("ollama");
  return state;
}

Result<bool> start_ollama(const Config& config, const fs::path& home) {
  const OllamaState state = ollama_state(config, home);
  if (state.answers || state.ours || !state.program || !is_local(state.where.host)) return false;
  SM_CHECK_OK(make_private_dir(home / "logs"));
  SM_CHECK_OK(make_private_dir(home / "run"));
  const std::string host = state.where.host.find(':') == std::string::npos
                               ? state.where.host
                               : "[" + state.where.host + "]";
  ProcessOptions options;
  options.argv = {state.program->string(), "serve"};
  options.environment = {{"OLLAMA_HOST", host + ":" + std::to_string(state.where.port)}};
  options.output = home / "logs" / "ollama.log";
  options.new_session = true;
  SM_TRY(const pid_t pid, start_process(options));
  std::string json;
  JsonWriter(json)
      .begin_object()
      .field("pid", pid)
      .field("start_ticks", process_start_ticks(pid).value_or(0))
      .field("host", state.where.host)
      .field("port", state.where.port)
      .end_object();
  SM_CHECK_OK(write_file_atomic(ollama_run_file(home), json + "\n"));
  return true;
}

bool stop_ollama(const fs::path& home, std::chrono::milliseconds patience) {
  const auto ours = read_ollama_run(home);
  if (ours) stop_process(*ours, patience);
  std::error_code ignored;
  fs::remove(ollama_run_file(home), ignored);
  return ours.has_value();
}

std::vector<std::string> last_lines(const fs::path& file, size_t count, uint64_t from) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return {};
  in.seekg(0, std::ios::end);
  uint64_t at = static_cast<uint64_t>(in.tellg());
  std::string text;
  constexpr uint64_t kBlock = 64 << 10;
  // Backwards, until enough newlines are there.
  while (at > from && static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) <= count) {
    const uint64_t size = std::min(kBlock, at - from);
    at -= size;
    std::string block(size, '\0');
    in.seekg(static_cast<std::streamoff>(at));
    in.read(block.data(), static_cast<std::streamsize>(size));
    block.resize(static_cast<size_t>(in.gcount()));
    text.insert(0, block);
  }
  std::vector<std::string> lines;
  std::istringstream split(text);
  for (std::string line; std::getline(split, line);) lines.push_back(std::move(line));
  if (lines.size() > count)
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
  return lines;
}

}  // namespace samplemind::cli
