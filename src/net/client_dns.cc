// Names to addresses: on threads of their own, since the system's resolver blocks; joined and
// cached.
#include <netdb.h>

#include <cstring>
#include <thread>

#include "net/client_internal.h"

namespace samplemind::net::pool {

namespace {

constexpr auto kDnsKept = std::chrono::seconds(30);
constexpr size_t kDnsHostsMax = 256;
constexpr size_t kLookupsMax = 32;  // threads blocked in the resolver at once

void start_lookup(const std::shared_ptr<Core>& core, const std::string& host,
                  const std::shared_ptr<Lookup>& lookup) {
  ++core->lookups;
  // A thread that may block for long in the system's resolver; it holds nothing of the loop but its
  // post box.
  std::thread([host, lookup, weak = std::weak_ptr(core), poster = core->loop.poster()]() mutable {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    const int failed = getaddrinfo(host.c_str(), nullptr, &hints, &found);
    std::vector<asio::ip::address> addresses;
    for (const addrinfo* each = failed != 0 ? nullptr : found; each != nullptr;
         each = each->ai_next) {
      if (each->ai_family == AF_INET) {
        asio::ip::address_v4::bytes_type bytes;
        std::memcpy(bytes.data(), &reinterpret_cast<sockaddr_in*>(each->ai_addr)->sin_addr, 4);
        addresses.emplace_back(asio::ip::address_v4(bytes));
      } else if (each->ai_family == AF_INET6) {
        const auto* address = reinterpret_cast<sockaddr_in6*>(each->ai_addr);
        asio::ip::address_v6::bytes_type bytes;
        std::memcpy(bytes.data(), &address->sin6_addr, 16);
        addresses.emplace_back(asio::ip::address_v6(bytes, address->sin6_scope_id));
      }
    }
    if (found != nullptr) freeaddrinfo(found);
    std::string error = failed != 0 ? gai_strerror(failed) : "";
    // The last references go with the closure, on the loop's thread.
    poster.post([lookup = std::move(lookup), weak = std::move(weak),
                 addresses = std::move(addresses), error = std::move(error)]() mutable {
      if (auto alive = weak.lock()) --alive->lookups;
      lookup->done = true;
      lookup->addresses = std::move(addresses);
      lookup->error = std::move(error);
      lookup->until = now() + kDnsKept;
      for (Event* event : lookup->waiting) event->notify();
    });
  }).detach();
}

}  // namespace

Task<Result<std::vector<asio::ip::address>>> resolve(std::shared_ptr<Core> core, std::string host,
                                                     SteadyTime deadline, CancelToken cancel) {
  std::vector<asio::ip::address> addresses;
  ErrorCodeAsio error;
  const auto literal = asio::ip::make_address(host, error);
  if (!error) {
    addresses.push_back(literal);
    co_return addresses;
  }
  if (host == "localhost" || host.ends_with(".localhost")) {  // RFC 6761: never asked for
    addresses.emplace_back(asio::ip::address_v4::loopback());
    addresses.emplace_back(asio::ip::address_v6::loopback());
    co_return addresses;
  }
  std::shared_ptr<Lookup> lookup;
  if (const auto found = core->names.find(host); found != core->names.end()) {
    lookup = found->second;
    if (lookup->done && (lookup->until <= now() || lookup->addresses.empty())) lookup = nullptr;
  }
  if (!lookup) {
    if (core->lookups >= kLookupsMax) {
      co_return Error(ErrorCode::kUnavailable, "too many name lookups wait already",
                      "check the DNS server");
    }
    if (core->names.size() >= kDnsHostsMax) core->names.clear();
    lookup = std::make_shared<Lookup>();
    core->names[host] = lookup;
    start_lookup(core, host, lookup);
  }
  {
    Event event;
    Place place(lookup->waiting, event);
    Waker waker(core->loop, event, deadline, cancel);
    while (!lookup->done && now() < deadline && !cancel.cancelled()) co_await event.wait();
  }
  if (cancel.cancelled()) co_return cancelled_error();
  if (!lookup->done) {
    co_return Error(ErrorCode::kDeadlineExceeded, "looking up the name " + host + " took too long",
                    "check the DNS server");
  }
  if (lookup->addresses.empty()) {
    co_return Error(ErrorCode::kUnavailable, "the name " + host + " is not known: " + lookup->error,
                    "check the spelling and the network");
  }
  co_return lookup->addresses;
}

}  // namespace samplemind::net::pool
