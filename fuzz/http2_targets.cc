// The HTTP/2 session glue as fuzz targets: real sessions on a socket pair whose other end says the
// input and then ends.
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "net/http2_internal.h"
#include "net_targets.h"

namespace samplemind::fuzz {

namespace {

using namespace net;  // NOLINT: a file of targets

constexpr size_t kInputMax = 16 << 10;  // what the pair holds without a reader

void require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

struct Owner final : Http2Owner {
  Loop* loop = nullptr;
  Http2Session* session = nullptr;
  std::vector<std::shared_ptr<Http2Stream>> streams;
  size_t reading = 0;

  void on_request(std::shared_ptr<Http2Stream> stream) override {
    streams.push_back(stream);
    if (stream->path.size() % 2 == 0) {  // answered at once, the body unread
      const bool body = stream->method != "HEAD";
      if (body) stream->send_copy("answer");
      stream->end_output();
      static_cast<void>(session->respond(*stream, {{":status", "200"}}, body));
      session->stop_reading(*stream);
      stream->give_up_after(std::chrono::milliseconds(1000));
    } else {
      ++reading;
      loop->spawn(read(this, std::move(stream)));
    }
  }
  static Task<void> read(Owner* self, std::shared_ptr<Http2Stream> stream) {
    for (;;) {
      std::string_view piece;
      const Http2Stream::Input got = stream->take(piece);
      if (got == Http2Stream::Input::kEnd || got == Http2Stream::Input::kCut) break;
      if (got == Http2Stream::Input::kNothingYet) co_await stream->readable.wait();
    }
    if (stream->path.size() % 4 == 1) self->session->reset(*stream, Http2Code::kCancel);
    if (self->session->respond(*stream, {{":status", "204"}}, false)) stream->end_output();
    --self->reading;
  }
};

// A client's stream, read to its end: how much came, and whether the end was proper.
struct Got {
  size_t bytes = 0;
  bool done = false, proper = false;
};

Task<void> read_answer(std::shared_ptr<Http2Stream> stream, Got& got) {
  for (;;) {
    std::string_view piece;
    const Http2Stream::Input input = stream->take(piece);
    got.bytes += piece.size();
    got.proper = input == Http2Stream::Input::kEnd;
    if (got.proper || input == Http2Stream::Input::kCut) break;
    if (input == Http2Stream::Input::kNothingYet) co_await stream->readable.wait();
  }
  got.done = true;
}

std::shared_ptr<Stream> scripted(Loop& loop, std::string_view said, int& other) {
  int ends[2];
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
  other = ends[1];
  for (size_t at = 0; at < said.size();) {
    const ssize_t sent = ::send(other, said.data() + at, said.size() - at, MSG_NOSIGNAL);
    require(sent > 0, "the pair takes the input");
    at += static_cast<size_t>(sent);
  }
  ::shutdown(other, SHUT_WR);
  Socket socket(loop.rep().io);
  socket.assign(asio::ip::tcp::v4(), ends[0]);
  return Stream::create(loop, std::move(socket), 64 << 10);
}

}  // namespace

void http2_server(std::string_view input) {
  if (input.size() > kInputMax) return;
  Loop loop;
  int other = -1;
  Owner owner;
  {
    const std::string said = std::string(kHttp2Preface) + std::string(input);
    Http2Limits limits;
    limits.server = true;
    limits.streams_max = 10;
    limits.header_bytes_max = 4096;
    const auto session = Http2Session::create(scripted(loop, said, other), limits, &owner);
    owner.loop = &loop;
    owner.session = session.get();
    loop.run_until_done(session->run());
    require(session->ended(), "a session ends with its connection");
    require(session->streams() == 0, "no stream outlives its session");
    for (int i = 0; i < 4; ++i) loop.run_until_done(loop.yield());
    require(owner.reading == 0, "every reader hears of the end");
    for (const auto& stream : owner.streams) require(stream->closed(), "every stream is closed");
    session->forget_owner();
  }
  loop.destroy_tasks();
  ::close(other);
}

void http2_client(std::string_view input) {
  if (input.size() > kInputMax) return;
  Loop loop;
  int other = -1;
  {
    Http2Limits limits;
    limits.header_bytes_max = 4096;
    const auto session = Http2Session::create(scripted(loop, input, other), limits, nullptr);
    Got got[3];
    std::shared_ptr<Http2Stream> streams[3];
    for (int i = 0; i < 3; ++i) {
      streams[i] = session->request({{":method", i == 0 ? "GET" : "POST"},
                                     {":scheme", "http"},
                                     {":authority", "a"},
                                     {":path", "/"}},
                                    i == 0 ? "" : "body");
      loop.spawn(read_answer(streams[i], got[i]));
    }
    loop.run_until_done(session->run());
    for (int i = 0; i < 4; ++i) loop.run_until_done(loop.yield());
    for (int i = 0; i < 3; ++i) {
      require(got[i].done, "every reader hears of the end");
      if (!got[i].proper) continue;
      require(streams[i]->head_done(), "an answer that ended has a head");
      const auto length = streams[i]->headers.get("content-length");
      const int status = streams[i]->status;
      if (length && status != 204 && status != 304)
        require(*length == std::to_string(got[i].bytes), "an answer that ended has its length");
    }
  }
  loop.destroy_tasks();
  ::close(other);
}

}  // namespace samplemind::fuzz
