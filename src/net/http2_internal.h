// One HTTP/2 connection (RFC 9113), either side, over a Stream; nghttp2 does the framing. What it
// adds: honest back-pressure (a stream's window opens only as its reader takes bytes, the
// connection's opens at once, so that a slow reader never stalls its neighbours), one gathered
// write for all that is ready, deadlines without a timer a stream, and limits on what costs us much
// and a hostile peer little. Everything on the loop's thread; nothing is resumed inside a call.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/stream_internal.h"
#include "net/task.h"

struct nghttp2_session;

namespace samplemind::net {

// What HPACK takes: pseudo-header fields too, names in lower case.
using Http2Fields = std::vector<std::pair<std::string, std::string>>;

inline constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Error codes of RFC 9113 section 7 that we name.
enum class Http2Code : uint32_t {
  kNoError = 0,
  kProtocolError = 1,
  kInternalError = 2,
  kRefusedStream = 7,
  kCancel = 8,
  kEnhanceYourCalm = 11,
  kHttp11Required = 13,
};
std::string_view http2_code_name(uint32_t code);

struct Http2Limits {
  bool server = false;
  size_t streams_max = 100;          // that a client may have open at once
  size_t stream_window = 256 << 10;  // bytes of one stream that wait for their reader at most
  size_t header_bytes_max = 64 << 10;
  std::chrono::milliseconds header_timeout{10000};  // server: from a head's first byte to its end
  std::chrono::milliseconds idle_timeout{75000};    // server: without a stream
  std::chrono::milliseconds write_timeout{30000};   // the peer takes nothing at all
  // Client: silence while streams wait, then how long the answer to a PING may take.
  std::chrono::milliseconds ping_after{30000};
  std::chrono::milliseconds ping_timeout{10000};
  // What costs us more than the peer, a connection: so many at once and so many a second.
  double control_burst = 1000, control_per_s = 100;  // PING, SETTINGS, PRIORITY, empty DATA, errors
  double reset_burst = 200, reset_per_s = 50;        // server: streams that the client resets
};

class Http2Session;

// One exchange on the connection. Shared by the session and its user; either may go first.
class Http2Stream {
 public:
  // ---- what came
  int32_t id() const { return id_; }
  bool head_done() const { return head_done_; }
  bool head_too_large() const { return head_too_large_; }
  // Server: the request, its pseudo-fields apart. Client: the answer.
  Headers headers;
  std::string method, path, authority, scheme;
  int status = 0;

  enum class Input { kPiece, kEnd, kCut, kNothingYet };
  // The next piece of the body; valid until the next call. Opens the window by the piece before.
  Input take(std::string_view& piece);
  bool remote_ended() const { return remote_ended_; }  // the peer's END_STREAM has come
  bool closed() const { return closed_; }              // properly or not
  uint32_t close_code() const { return close_code_; }
  const std::string& why() const { return why_; }  // for people, once closed
  // The peer has not looked at the request: it may be sent again on another connection.
  bool unprocessed() const { return unprocessed_; }
  bool received_anything() const { return received_; }
  Event readable;  // head, body, end, deadline: the waiter looks itself

  // ---- what goes
  void send_copy(std::string_view piece);  // kept here until it is sent; REQUIRES: room()
  // Must stay until sent_all(), closed() or drop_output(). REQUIRES: no other view is on its way.
  void send_view(std::string_view piece);
  void end_output();  // END_STREAM after what was given
  bool sent_all() const { return pending_at_ == pending_.size() && view_.empty(); }
  bool room() const { return pending_.size() - pending_at_ < kRoom && view_.empty(); }
  void drop_output();  // forgets what is not sent yet; the stream must be reset
  SteadyTime last_sent() const { return last_sent_; }
  // Nobody waits any more: the stream is reset when the peer takes nothing for so long.
  void give_up_after(std::chrono::milliseconds timeout);
  bool sent_end() const { return sent_end_; }
  Event writable;  // all sent, or closed, or the write deadline

  // ---- deadlines; they wake `readable` or `writable`
  void set_read_deadline(SteadyTime at);
  void set_write_deadline(SteadyTime at);
  bool read_timed_out() const { return read_timed_out_; }
  bool write_timed_out() const { return write_timed_out_; }

  // ---- server: called once when the stream ends otherwise than by both sides' END_STREAM.
  std::function<void()> on_cut;

  std::string request_body;  // client: what send_view() points to

 private:
  friend class Http2Session;
  friend struct Http2Callbacks;
  static constexpr size_t kRoom = 16 << 10;
  void resume_output();

  Http2Session* session_ = nullptr;  // null once closed
  int32_t id_ = -1;
  bool head_done_ = false;
  bool head_too_large_ = false;
  bool remote_ended_ = false;
  bool closed_ = false;
  bool unprocessed_ = false;
  bool received_ = false;
  bool sent_end_ = false;
  bool reset_after_end_ = false;
  bool deferred_ = false;
  bool dropped_ = false;
  bool has_source_ = false;
  bool cut_after_output_ = false;
  bool out_ended_ = false;
  uint32_t close_code_ = 0;
  std::string why_;
  size_t header_bytes_ = 0;
  std::string incoming_;  // came, not yet taken
  std::string taken_;     // what take() gave last
  std::string pending_;
  size_t pending_at_ = 0;
  std::string_view view_;
  SteadyTime last_sent_{};
  SteadyTime read_deadline_ = SteadyTime::max();
  SteadyTime write_deadline_ = SteadyTime::max();
  bool read_timed_out_ = false;
  bool write_timed_out_ = false;
  std::chrono::milliseconds give_up_{0};
};

// Told of what concerns the whole connection. Calls come from within the session: do not destroy it
// there (post).
class Http2Owner {
 public:
  virtual ~Http2Owner() = default;
  virtual void on_request(std::shared_ptr<Http2Stream>) {}  // server: a head is complete
  virtual void on_change() {}                               // streams came or went, GOAWAY, the end
};

// At most `burst` at once and `per_second` in the long run.
class RateLimit {
 public:
  RateLimit(double burst, double per_second)
      : burst_(burst), per_second_(per_second), left_(burst) {}
  bool take(SteadyTime now);  // false: too many

 private:
  double burst_, per_second_, left_;
  SteadyTime at_{};
};

class Http2Session : public std::enable_shared_from_this<Http2Session> {
 public:
  // The stream is connected (and its TLS handshake done); bytes it holds already are read first.
  static std::shared_ptr<Http2Session> create(std::shared_ptr<Stream> stream, Http2Limits limits,
                                              Http2Owner* owner);
  Http2Session(std::shared_ptr<Stream> stream, Http2Limits limits, Http2Owner* owner);
  ~Http2Session();

  // Reads and dispatches until the connection has ended; spawns the writer. Once.
  Task<void> run();
  void forget_owner() { owner_ = nullptr; }

  // ---- client
  // Nothing when the connection takes no more (then ask another).
  std::shared_ptr<Http2Stream> request(const Http2Fields& fields, std::string body);
  size_t peer_streams_max() const;

  // ---- server. `body`: more comes by send_*; false ends the stream with the head.
  bool respond(Http2Stream& stream, const Http2Fields& fields, bool body);
  void send_continue(Http2Stream& stream);
  // The answer is complete and nobody will read the rest of the request: the client is told so, but
  // only after the answer's last byte.
  void stop_reading(Http2Stream& stream);

  // ---- both
  void reset(Http2Stream& stream, Http2Code code);
  // Server: what was given to send still goes, then the stream is cut.
  void reset_after_output(Http2Stream& stream);
  size_t streams() const { return streams_.size(); }
  bool usable() const { return !ended_ && !going_away_; }
  bool ended() const { return ended_; }
  uint64_t bytes_received() const { return received_; }
  // Takes no new stream, lets those there finish, then ends.
  void drain();
  // Ends at once; streams that are open are cut.
  void close(Http2Code code, std::string why);
  Stream& stream() { return *stream_; }
  const Http2Limits& limits() const { return limits_; }

 private:
  friend class Http2Stream;
  friend struct Http2Callbacks;
  static Task<void> write_loop(std::shared_ptr<Http2Session> self);
  void feed(std::string_view bytes);
  void flush_soon() { output_.notify(); }
  void collect();
  void said_all();
  void fault(std::string why);
  void finish(std::string why);
  void tell();
  void end_stream(int32_t id, uint32_t code);
  void cut(const std::shared_ptr<Http2Stream>& stream, uint32_t code, const std::string& why);
  void cut_all(uint32_t code, const std::string& why);
  void send_ping(SteadyTime time);
  void arm(SteadyTime at);
  void on_timer();
  void check_server(SteadyTime time, SteadyTime& next);
  void check_client(SteadyTime time, SteadyTime& next);

  std::shared_ptr<Stream> stream_;
  Loop& loop_;
  Http2Limits limits_;
  Http2Owner* owner_;
  nghttp2_session* session_ = nullptr;
  std::unordered_map<int32_t, std::shared_ptr<Http2Stream>> streams_;
  std::vector<std::shared_ptr<Http2Stream>> cut_;   // whose on_cut is to be called
  std::vector<std::shared_ptr<Http2Stream>> dead_;  // nghttp2 may still know their addresses
  bool changed_ = false;                            // the owner is to be told
  std::string out_;
  Event output_;
  bool writing_ = false;  // out_ is with the socket
  bool ended_ = false;
  bool going_away_ = false;  // the peer takes no new streams
  bool draining_ = false;
  bool closing_ = false;  // GOAWAY is on its way, then the end
  std::string why_;
  std::string goaway_why_;  // what the peer said in a GOAWAY that tells of an error
  uint64_t received_ = 0;
  RateLimit control_;
  RateLimit resets_;
  SteadyTime head_deadline_ = SteadyTime::max();
  SteadyTime idle_deadline_ = SteadyTime::max();
  SteadyTime drain_at_ = SteadyTime::max();
  SteadyTime last_received_{};
  SteadyTime ping_sent_ = SteadyTime::max();
  SteadyTime armed_ = SteadyTime::max();
  Loop::Timer timer_;
};

}  // namespace samplemind::net
