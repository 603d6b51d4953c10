// net::Client as a program, for tests and benchmarks against other people's servers:
//   net_client [options] URL...      requests all URLs, each --count times
//     --http auto|1|2   --ca FILE   --count N   --at-once N (how many wait at the same time)
//     --body BYTES (a POST)   --accept-encoding TEXT   --connections N (an origin, HTTP/1.1)
//     --window BYTES (HTTP/2)   --first-byte-ms N   --idle-ms N   --slow-ms N (pause between reads)
//     --rounds N (all of it again on the same client; the last round is measured)
//     --quiet (the summary alone)
// Prints a JSON object a request and one of the whole: {"requests":...,"wall_ms":...,"cpu_us":...},
// the CPU of this process a request.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/json.h"
#include "net/client.h"

namespace {

using namespace samplemind;  // NOLINT: a program of one file
using std::chrono::milliseconds;

struct Settings {
  std::vector<std::string> urls;
  net::ClientOptions client;
  net::HttpUse use = net::HttpUse::kAuto;
  std::string body, accept_encoding;
  size_t count = 1, at_once = 1, rounds = 1;
  long first_byte_ms = 10000, idle_ms = 10000, slow_ms = 0;
  bool quiet = false;
};

struct Outcome {
  int status = 0;
  int version = 0;
  size_t bytes = 0;
  uint64_t sum = 1469598103934665603u;  // FNV-1a of the body
  std::string encoding, error, message;
};

net::Task<Outcome> one(net::Loop& loop, net::Client& client, const Settings& settings,
                       std::string url) {
  Outcome outcome;
  auto failed = [&](const Error& error) {
    outcome.error = std::string(code_name(error.code()));
    outcome.message = error.message();
    return outcome;
  };
  auto parsed = net::Url::parse(url);
  if (!parsed.ok()) co_return failed(parsed.error());
  net::ClientRequest request(settings.body.empty() ? "GET" : "POST", *parsed);
  request.body = settings.body;
  request.use = settings.use;
  request.first_byte_timeout = milliseconds(settings.first_byte_ms);
  request.idle_timeout = milliseconds(settings.idle_ms);
  if (!settings.accept_encoding.empty())
    request.headers.add("accept-encoding", settings.accept_encoding);
  auto sent = co_await client.send(std::move(request));
  if (!sent.ok()) co_return failed(sent.error());
  const std::unique_ptr<net::ClientResponse> response = std::move(sent).value();
  outcome.status = response->status();
  outcome.version = response->version() == net::HttpVersion::k2 ? 2 : 1;
  for (;;) {
    auto piece = co_await response->read_some();
    if (!piece.ok()) co_return failed(piece.error());
    if (piece->empty()) co_return outcome;
    outcome.bytes += piece->size();
    if (!settings.quiet) {
      for (const char c : *piece)
        outcome.sum = (outcome.sum ^ static_cast<unsigned char>(c)) * 1099511628211u;
    }
    if (settings.slow_ms > 0) co_await loop.sleep_for(milliseconds(settings.slow_ms));
  }
}

net::Task<void> worker(net::Loop& loop, net::Client& client, const Settings& settings, size_t& next,
                       std::vector<Outcome>& outcomes, size_t& running, net::Event& done) {
  while (next < outcomes.size()) {
    const size_t mine = next++;
    outcomes[mine] =
        co_await one(loop, client, settings, settings.urls[mine % settings.urls.size()]);
  }
  if (--running == 0) done.notify();
}

net::Task<void> wait_for(net::Event& event) {
  co_await event.wait();
}

double cpu_us() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto us = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

bool parse(int argc, char** argv, Settings& s) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (!name.starts_with("--")) {
      s.urls.emplace_back(name);
      continue;
    }
    if (name == "--quiet") {
      s.quiet = true;
      continue;
    }
    if (++i >= argc) return false;
    const char* value = argv[i];
    const auto number = static_cast<size_t>(std::atol(value));
    if (name == "--http") {
      s.use = value[0] == '1'   ? net::HttpUse::kHttp1
              : value[0] == '2' ? net::HttpUse::kHttp2
                                : net::HttpUse::kAuto;
    } else if (name == "--ca") {
      s.client.ca_file = value;
    } else if (name == "--count") {
      s.count = number;
    } else if (name == "--at-once") {
      s.at_once = number;
    } else if (name == "--rounds") {
      s.rounds = number;
    } else if (name == "--body") {
      s.body.assign(number, 'b');
    } else if (name == "--accept-encoding") {
      s.accept_encoding = value;
    } else if (name == "--connections") {
      s.client.connections_per_host_max = s.client.kept_per_host_max = number;
    } else if (name == "--window") {
      s.client.http2_window = number;
    } else if (name == "--first-byte-ms") {
      s.first_byte_ms = std::atol(value);
    } else if (name == "--idle-ms") {
      s.idle_ms = std::atol(value);
    } else if (name == "--slow-ms") {
      s.slow_ms = std::atol(value);
    } else {
      return false;
    }
  }
  return !s.urls.empty();
}

void print(const Outcome& o) {
  std::string text;
  JsonWriter w(text);
  w.begin_object().field("ok", o.error.empty()).field("status", o.status);
  w.field("version", o.version).field("bytes", static_cast<int64_t>(o.bytes));
  char sum[20];
  std::snprintf(sum, sizeof sum, "%016llx", static_cast<unsigned long long>(o.sum));
  w.field("sum", sum);
  if (!o.error.empty()) w.field("error", o.error).field("message", o.message);
  w.end_object();
  std::printf("%s\n", text.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  settings.client.pool_timeout = std::chrono::seconds(60);
  if (!parse(argc, argv, settings)) {
    std::fprintf(stderr, "usage: see the head of tests/support/net_client.cc\n");
    return 2;
  }
  net::Loop loop;
  auto client = net::Client::create(loop, settings.client);
  std::vector<Outcome> outcomes;
  double cpu = 0;
  std::chrono::duration<double, std::milli> wall{};
  for (size_t round = 0; round < settings.rounds; ++round) {
    outcomes.assign(settings.count * settings.urls.size(), Outcome());
    const auto from = std::chrono::steady_clock::now();
    const double cpu_from = cpu_us();
    size_t next = 0, running = settings.at_once;
    net::Event done;
    for (size_t i = 0; i < settings.at_once; ++i)
      loop.spawn(worker(loop, *client, settings, next, outcomes, running, done));
    loop.run_until_done(wait_for(done));
    wall = std::chrono::steady_clock::now() - from;
    cpu = cpu_us() - cpu_from;
  }
  size_t good = 0;
  for (const Outcome& each : outcomes) {
    if (!settings.quiet) print(each);
    if (each.error.empty()) ++good;
  }
  std::printf(R"({"requests":%zu,"good":%zu,"wall_ms":%.2f,"cpu_us":%.2f,"connections":%zu})"
              "\n",
              outcomes.size(), good, wall.count(), cpu / static_cast<double>(outcomes.size()),
              client->connections());
  return 0;
}
