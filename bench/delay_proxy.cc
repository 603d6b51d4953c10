// A TCP proxy on loopback that adds a round trip, for benchmarks of the transport:
//   delay_proxy TARGET_PORT ROUND_TRIP_MS        prints its own port
// Each byte leaves half a round trip after it came, in order, whatever its size: latency without a
// bandwidth limit and without loss. A connection's first byte waits one round trip more, for the
// TCP handshake that loopback does not show.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Piece {
  Clock::time_point at;
  std::string bytes;  // empty: the end
};

struct Way {  // one direction
  int from = -1, to = -1;
  std::deque<Piece> queue;
  bool ended = false;    // `from` sends no more
  bool blocked = false;  // `to` takes no more now
};

struct Pair {
  ~Pair() {
    ::close(up.from);
    ::close(up.to);
  }
  Way up, down;
  Clock::time_point handshaken;
  bool dead = false;
};

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void prepare(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(fd, F_SETFL, O_NONBLOCK);
}

void take(Pair& pair, Way& way, Clock::duration half, Clock::time_point now) {
  char buffer[64 << 10];
  for (;;) {
    const ssize_t got = ::recv(way.from, buffer, sizeof buffer, 0);
    if (got < 0) {
      if (errno != EAGAIN) pair.dead = true;
      return;
    }
    const auto at = std::max(now, pair.handshaken) + half;
    way.queue.push_back({at, std::string(buffer, static_cast<size_t>(got))});
    if (got == 0) {
      way.ended = true;
      return;
    }
  }
}

void give(Pair& pair, Way& way, Clock::time_point now) {
  way.blocked = false;
  while (!way.queue.empty() && way.queue.front().at <= now) {
    std::string& bytes = way.queue.front().bytes;
    if (bytes.empty()) {
      ::shutdown(way.to, SHUT_WR);
      way.queue.pop_front();
      continue;
    }
    const ssize_t sent = ::send(way.to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      way.blocked = errno == EAGAIN;
      pair.dead = pair.dead || !way.blocked;
      return;
    }
    bytes.erase(0, static_cast<size_t>(sent));
    if (bytes.empty()) way.queue.pop_front();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: delay_proxy TARGET_PORT ROUND_TRIP_MS\n");
    return 2;
  }
  const int target = std::atoi(argv[1]);
  const Clock::duration trip = std::chrono::microseconds(std::atol(argv[2]) * 1000);
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener, 1024) != 0) {
    std::perror("delay_proxy");
    return 1;
  }
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  prepare(listener);
  std::vector<std::unique_ptr<Pair>> pairs;
  std::vector<pollfd> fds;
  for (;;) {
    fds.assign(1, {listener, POLLIN, 0});
    auto next = Clock::time_point::max();
    for (const auto& pair : pairs) {
      for (Way* way : {&pair->up, &pair->down}) {
        fds.push_back({way->from, static_cast<short>(way->ended ? 0 : POLLIN), 0});
        if (way->blocked) fds.push_back({way->to, POLLOUT, 0});
        if (!way->queue.empty() && !way->blocked) next = std::min(next, way->queue.front().at);
      }
    }
    timespec wait{};
    const auto left = std::max(next - Clock::now(), Clock::duration::zero());
    wait.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(left).count();
    wait.tv_nsec = (left % std::chrono::seconds(1)).count();
    ppoll(fds.data(), fds.size(), next == Clock::time_point::max() ? nullptr : &wait, nullptr);
    const auto now = Clock::now();
    for (int fd = -1; (fd = ::accept(listener, nullptr, nullptr)) >= 0;) {
      auto pair = std::make_unique<Pair>();
      pair->up.from = pair->down.to = fd;
      pair->up.to = pair->down.from = ::socket(AF_INET, SOCK_STREAM, 0);
      pair->handshaken = now + trip;
      const sockaddr_in to = loopback(target);
      if (::connect(pair->up.to, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) continue;
      prepare(fd);
      prepare(pair->up.to);
      pairs.push_back(std::move(pair));
    }
    for (const auto& pair : pairs) {
      for (Way* way : {&pair->up, &pair->down}) {
        if (!way->ended && !pair->dead) take(*pair, *way, trip / 2, now);
        if (!pair->dead) give(*pair, *way, now);
      }
    }
    std::erase_if(pairs, [](const auto& pair) {
      return pair->dead || (pair->up.ended && pair->down.ended && pair->up.queue.empty() &&
                            pair->down.queue.empty());
    });
  }
}
