// A fixed answer behind net::Server, the yardstick for what the network layer itself costs:
//   net_hello PORT [SHARDS [CERTIFICATE KEY]]        then: wrk -t1 -c64 -d5s http://127.0.0.1:PORT/
// Compare CPU microseconds a request with nginx's `return 200` in the same run
// (docs/benchmarks.md).
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "net/server.h"

namespace {

constexpr char kAnswer[] =
    R"({"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,)"
    R"("message":{"role":"assistant","content":"The quick brown fox jumps over the lazy dog while the gateway )"
    R"(forwards this answer unchanged; it is long enough to look like a short paragraph from a model, so that )"
    R"(parsing and copying cost something realistic but not dominant.","refusal":null},"logprobs":null,)"
    R"("finish_reason":"stop"}],"usage":{"prompt_tokens":180,"completion_tokens":45,"total_tokens":225}})";

samplemind::net::Task<void> answer(samplemind::net::Exchange& exchange) {
  auto body = co_await exchange.read_body(1 << 20);
  if (!body.ok()) co_return;
  samplemind::net::ResponseHead head;
  head.headers.add("content-type", "application/json");
  auto sent = co_await exchange.respond(std::move(head), kAnswer);
  if (!sent.ok()) co_return;
}

}  // namespace

int main(int argc, char** argv) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  samplemind::net::ServerOptions options;
  options.port = static_cast<uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
  options.shards = static_cast<size_t>(argc > 2 ? std::atoi(argv[2]) : 1);
  if (argc > 4) options.tls = {argv[3], argv[4]};
  auto factory = [](samplemind::net::Loop&, size_t) -> samplemind::net::Handler { return answer; };
  auto server = samplemind::net::Server::bind(std::move(options), factory);
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", server.error().message().c_str());
    return samplemind::exit_code(server.error().code());
  }
  (*server)->start();
  std::printf("listening on 127.0.0.1:%u\n", (*server)->port());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  (*server)->stop(std::chrono::milliseconds(1000));
  return 0;
}
