#include "net/server.h"

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "base/log.h"
#include "net/server_internal.h"
#include "net/stream_internal.h"

namespace samplemind::net {

namespace {

using std::chrono::milliseconds;

constexpr size_t kInputAhead = 64 << 10;  // read ahead of the handler, for pipelining and bodies
constexpr auto kAfterCancel = milliseconds(1000);  // what cancelled handlers get to end
constexpr auto kAcceptPause = milliseconds(100);   // after running out of descriptors

class ServerCore;

class Shard final : public ServerContext {
 public:
  Shard(ServerCore& core, size_t number);
  ~Shard() override;
  void accept_on(int fd, const asio::ip::tcp& protocol);
  void run(std::promise<void>& ready);  // the thread
  void begin_drain(milliseconds grace);

  std::string_view date() override;
  Loop& loop() override { return loop_; }
  const ServerOptions& options() const override;
  SSL_CTX* tls() const override;
  ServerCore& core() { return core_; }
  Handler& handler() override { return handler_; }
  void left();
  void enter(int by) override { active_.fetch_add(by, std::memory_order_relaxed); }
  size_t connections() const { return connections_.load(std::memory_order_relaxed); }
  size_t active() const { return static_cast<size_t>(active_.load(std::memory_order_relaxed)); }
  bool draining() const override { return draining_; }

 private:
  void accept_next();
  struct Entry;
  static Task<void> serve(Shard* shard, std::shared_ptr<Stream> stream);

  ServerCore& core_;
  size_t number_;
  Loop loop_;
  std::optional<Acceptor> acceptor_;
  Loop::Timer accept_timer_;
  Loop::Timer drain_timer_;
  Handler handler_;
  ServerConnection* first_ = nullptr;
  std::atomic<size_t> connections_{0};
  std::atomic<int64_t> active_{0};
  bool draining_ = false;
  time_t date_at_ = 0;
  std::string date_;
};

class ServerCore final : public Server {
 public:
  ServerCore(ServerOptions options, HandlerFactory make_handler)
      : options_(std::move(options)), make_handler_(std::move(make_handler)) {}
  ~ServerCore() override { stop(milliseconds(0)); }
  Result<void> open();

  uint16_t port() const override { return port_; }
  std::string host() const override { return options_.host; }
  void start() override;
  void stop(milliseconds grace) override;
  size_t connections() const override;
  size_t active_exchanges() const override;

  const ServerOptions& options() const { return options_; }
  SSL_CTX* tls() const { return tls_.get(); }
  HandlerFactory& make_handler() { return make_handler_; }

 private:
  Result<int> listen_on(const asio::ip::tcp::endpoint& at, bool shared, uint16_t& port);

  ServerOptions options_;
  HandlerFactory make_handler_;
  SslContext tls_{nullptr, SSL_CTX_free};
  uint16_t port_ = 0;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::thread> threads_;
  std::mutex stop_mutex_;
  bool started_ = false;
  bool stopped_ = false;
};

// ---- Shard

Shard::Shard(ServerCore& core, size_t number) : core_(core), number_(number) {}
Shard::~Shard() = default;

const ServerOptions& Shard::options() const {
  return core_.options();
}

SSL_CTX* Shard::tls() const {
  return core_.tls();
}

void Shard::accept_on(int fd, const asio::ip::tcp& protocol) {
  acceptor_.emplace(loop_.rep().io);
  acceptor_->assign(protocol, fd);
}

void Shard::run(std::promise<void>& ready) {
  loop_.keep_alive(true);
  loop_.post([this, &ready] {
    handler_ = core_.make_handler()(loop_, number_);
    accept_next();
    ready.set_value();
  });
  loop_.run();
  acceptor_.reset();
  loop_.destroy_tasks();
  handler_ = nullptr;
}

void Shard::accept_next() {
  if (!acceptor_) return;
  acceptor_->async_accept(loop_.rep().io, [this](const ErrorCodeAsio& error, Socket socket) {
    if (!acceptor_ || error == asio::error::operation_aborted) return;
    if (error) {
      // Out of descriptors or memory: trying again at once would only spin.
      log::warn("net.accept_failed", {{"error", error.message()}});
      accept_timer_ = loop_.after(kAcceptPause, [this] { accept_next(); });
      return;
    }
    if (connections() < core_.options().limits.connections_max) {
      const size_t ahead = std::max(core_.options().limits.header_bytes_max + 1, kInputAhead);
      loop_.spawn(serve(this, Stream::create(loop_, std::move(socket), ahead)));
    }
    accept_next();
  });
}

// A connection in the shard's list; out of it before it dies.
struct Shard::Entry {
  Entry(Shard& shard_, std::shared_ptr<Stream> stream)
      : shard(shard_), connection(ServerConnection::create(shard, std::move(stream))) {
    connection->next = shard.first_;
    if (shard.first_ != nullptr) shard.first_->previous = connection.get();
    shard.first_ = connection.get();
    shard.connections_.fetch_add(1, std::memory_order_relaxed);
  }
  ~Entry() {
    ServerConnection& it = *connection;
    if (it.next != nullptr) it.next->previous = it.previous;
    (it.previous != nullptr ? it.previous->next : shard.first_) = it.next;
    connection = nullptr;
    shard.left();
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  Shard& shard;
  std::unique_ptr<ServerConnection> connection;
};

Task<void> Shard::serve(Shard* shard, std::shared_ptr<Stream> stream) {
  Entry entry(*shard, std::move(stream));
  if (shard->draining_) entry.connection->drain();
  co_await entry.connection->run();
}

void Shard::left() {
  connections_.fetch_sub(1, std::memory_order_relaxed);
  if (draining_ && first_ == nullptr) loop_.stop();
}

void Shard::begin_drain(milliseconds grace) {
  if (draining_) return;
  draining_ = true;
  acceptor_.reset();
  accept_timer_ = Loop::Timer();
  for (ServerConnection* connection = first_; connection != nullptr;
       connection = connection->next) {
    connection->drain();
  }
  if (first_ == nullptr) {
    loop_.stop();
    return;
  }
  drain_timer_ = loop_.after(grace, [this] {
    drain_timer_ = loop_.after(kAfterCancel, [this] { loop_.stop(); });
    for (ServerConnection* connection = first_; connection != nullptr;) {
      ServerConnection* following = connection->next;
      connection->cancel_exchange();
      connection = following;
    }
  });
}

std::string_view Shard::date() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != date_at_) {
    date_at_ = now.tv_sec;
    tm parts{};
    gmtime_r(&now.tv_sec, &parts);
    char text[64];
    date_.assign(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts));
  }
  return date_;
}

// ---- Server

Result<int> ServerCore::listen_on(const asio::ip::tcp::endpoint& at, bool shared, uint16_t& port) {
  const std::string where = (at.address().is_v6() ? "[" + options_.host + "]" : options_.host) +
                            ":" + std::to_string(at.port());
  auto failed = [&](int fd, int number, std::string_view what) -> Error {
    if (fd >= 0) ::close(fd);
    if (number == EADDRINUSE) {
      return Error(ErrorCode::kAlreadyExists, where + " is already in use by another program",
                   "stop that program or choose another port with --port");
    }
    if (number == EACCES) {
      return Error(ErrorCode::kPermissionDenied, "not allowed to listen on " + where,
                   "ports below 1024 need privileges: choose a higher one with --port");
    }
    if (number == EADDRNOTAVAIL) {
      return Error(ErrorCode::kInvalidArgument,
                   options_.host + " is not an address of this machine",
                   "use 127.0.0.1, or an address that `ip addr` shows");
    }
    return errno_error(number, std::string(what) + " " + where);
  };
  const int fd = ::socket(at.data()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return failed(fd, errno, "socket for");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
             sizeof on);  // past connections in TIME_WAIT do not matter
  if (shared) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (::bind(fd, at.data(), static_cast<socklen_t>(at.size())) != 0)
    return failed(fd, errno, "bind");
  if (::listen(fd, 4096) != 0) return failed(fd, errno, "listen on");
  asio::ip::tcp::endpoint bound;
  socklen_t size = static_cast<socklen_t>(bound.capacity());
  if (getsockname(fd, bound.data(), &size) != 0) return failed(fd, errno, "getsockname");
  port = bound.port();
  return fd;
}

Result<void> ServerCore::open() {
  if (!options_.tls.certificate_file.empty()) {
    SM_TRY(tls_, make_server_context(options_.tls.certificate_file, options_.tls.key_file));
  }
  std::string host = options_.host == "localhost" ? "127.0.0.1" : options_.host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  ErrorCodeAsio error;
  const auto address = asio::ip::make_address(host, error);
  if (error) {
    return Error(ErrorCode::kInvalidArgument, "'" + options_.host + "' is not an IP address",
                 "give an address literal such as 127.0.0.1 or ::1, or localhost");
  }
  options_.shards = std::max<size_t>(options_.shards, 1);
  // Alone first: with SO_REUSEPORT a second service of the same user would silently share the port.
  SM_TRY(int fd, listen_on({address, options_.port}, false, port_));
  if (options_.shards > 1) {
    ::close(fd);
    fd = -1;
  }
  for (size_t i = 0; i < options_.shards; ++i) {
    if (fd < 0) {
      SM_TRY(fd, listen_on({address, port_}, true, port_));
    }
    shards_.push_back(std::make_unique<Shard>(*this, i));
    shards_.back()->accept_on(std::exchange(fd, -1),
                              address.is_v6() ? asio::ip::tcp::v6() : asio::ip::tcp::v4());
  }
  return ok();
}

void ServerCore::start() {
  SM_ASSERT(!started_);
  started_ = true;
  for (auto& shard : shards_) {
    std::promise<void> ready;
    threads_.emplace_back([&] { shard->run(ready); });
    ready.get_future().wait();
  }
}

void ServerCore::stop(milliseconds grace) {
  std::lock_guard lock(stop_mutex_);
  if (std::exchange(stopped_, true) || !started_) return;
  for (auto& shard : shards_) {
    shard->loop().post([&shard, grace] { shard->begin_drain(grace); });
  }
  for (std::thread& thread : threads_) thread.join();
}

size_t ServerCore::connections() const {
  size_t sum = 0;
  for (const auto& shard : shards_) sum += shard->connections();
  return sum;
}

size_t ServerCore::active_exchanges() const {
  size_t sum = 0;
  for (const auto& shard : shards_) sum += shard->active();
  return sum;
}

}  // namespace

Result<std::unique_ptr<Server>> Server::bind(ServerOptions options, HandlerFactory make_handler) {
  auto server = std::make_unique<ServerCore>(std::move(options), std::move(make_handler));
  SM_CHECK_OK(server->open());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace samplemind::net
