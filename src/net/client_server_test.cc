// Server and client against each other over loopback sockets.
#include <gtest/gtest.h>

#include "net/client.h"
#include "net/server.h"

namespace samplemind::net {
namespace {

Task<void> echo(Exchange& exchange) {
  Result<std::string_view> body = co_await exchange.read_body(32 << 20);
  if (!body.ok()) co_return;
  ResponseHead head;
  head.headers.add("content-type", "text/plain");
  head.headers.add("x-method", exchange.request().method);
  Result<void> sent = co_await exchange.respond(std::move(head), *body);
  EXPECT_TRUE(sent.ok());
}

Task<void> streamed(Exchange& exchange) {
  ResponseHead head;
  Result<void> done = co_await exchange.start(std::move(head));
  for (int i = 0; i < 100 && done.ok(); ++i) {
    std::string piece(1000, static_cast<char>('a' + i % 26));
    done = co_await exchange.write(piece);
  }
  if (done.ok()) done = co_await exchange.finish();
  EXPECT_TRUE(done.ok());
}

Server::HandlerFactory handlers() {
  return [](Loop&, size_t) -> Handler {
    return [](Exchange& exchange) -> Task<void> {
      if (exchange.request().path() == "/stream") return streamed(exchange);
      return echo(exchange);
    };
  };
}

struct Answer {
  int status = 0;
  std::string body;
};

Task<Result<Answer>> fetch(Client& client, std::string method, std::string url, std::string body) {
  Result<Url> parsed = Url::parse(url);
  if (!parsed.ok()) co_return std::move(parsed).error();
  ClientRequest request(std::move(method), std::move(parsed).value());
  request.body = std::move(body);
  auto sent = co_await client.send(std::move(request));
  if (!sent.ok()) co_return std::move(sent).error();
  std::unique_ptr<ClientResponse> response = std::move(sent).value();
  Answer answer;
  answer.status = response->status();
  Result<std::string> all = co_await response->read_all(64 << 20);
  if (!all.ok()) co_return std::move(all).error();
  answer.body = std::move(all).value();
  co_return answer;
}

TEST(ClientServer, EchoesBodiesOfAllSizesOverOneConnection) {
  auto server = Server::bind(ServerOptions(), handlers());
  ASSERT_TRUE(server.ok()) << server.error().message();
  (*server)->start();
  const std::string base = "http://127.0.0.1:" + std::to_string((*server)->port());
  Loop loop;
  auto client = Client::create(loop);
  for (const size_t size : {0, 1, 100, 4096, 5000, 70000, 3000000}) {
    const std::string body(size, 'x');
    auto answer = loop.run_until_done(fetch(*client, "POST", base + "/echo", body));
    ASSERT_TRUE(answer.ok()) << answer.error().message();
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body.size(), body.size());
    EXPECT_TRUE(answer->body == body);
    EXPECT_EQ(client->connections(), 1u);
  }
  auto answer = loop.run_until_done(fetch(*client, "GET", base + "/stream", ""));
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_EQ(answer->body.size(), 100000u);
  EXPECT_EQ((*server)->connections(), 1u);
  (*server)->stop(std::chrono::milliseconds(1000));
  EXPECT_EQ((*server)->connections(), 0u);
}

}  // namespace
}  // namespace samplemind::net
