#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "net/http1_internal.h"
#include "net/http2_internal.h"

namespace samplemind::net {

namespace {

using std::chrono::milliseconds;

constexpr size_t kGather = 32 << 10;  // bytes of frames that go out in one write
constexpr size_t kOutKept = 16 << 10;
constexpr int32_t kServerWindow = 4 << 20;   // of the connection: only what is on its way, since
constexpr int32_t kClientWindow = 16 << 20;  // each byte that arrives opens it again
constexpr auto kLinger = std::chrono::seconds(2);
constexpr auto kDrainNotice = milliseconds(100);  // for requests on their way to us
constexpr size_t kHeaderAbuse = 4;  // a head so many times over its limit ends the connection

SteadyTime now() {
  return std::chrono::steady_clock::now();
}

nghttp2_nv nv(std::string_view name, std::string_view value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

std::vector<nghttp2_nv> nvs(const Http2Fields& fields) {
  std::vector<nghttp2_nv> out;
  out.reserve(fields.size());
  for (const auto& [name, value] : fields) out.push_back(nv(name, value));
  return out;
}

std::string_view view(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

std::string_view http2_code_name(uint32_t code) {
  return nghttp2_http2_strerror(code);
}

bool RateLimit::take(SteadyTime at) {
  if (at_ != SteadyTime{}) {
    const std::chrono::duration<double> passed = at - at_;
    left_ = std::min(burst_, left_ + passed.count() * per_second_);
  }
  at_ = at;
  if (left_ < 1) return false;
  left_ -= 1;
  return true;
}

// ---- what nghttp2 calls. Nothing here resumes a coroutine or ends the session.

struct Http2Callbacks {
  static Http2Session& of(void* user) { return *static_cast<Http2Session*>(user); }
  static Http2Stream* find(Http2Session& self, int32_t id) {
    const auto found = self.streams_.find(id);
    return found == self.streams_.end() ? nullptr : found->second.get();
  }

  // Too much of what is cheap for the peer: ends the connection (feed() sees the failure).
  static int count(Http2Session& self, RateLimit& limit, const char* what) {
    if (limit.take(now())) return 0;
    self.fault(what);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  static int begin_frame(nghttp2_session*, const nghttp2_frame_hd* head, void* user) {
    Http2Session& self = of(user);
    const bool ack = (head->flags & NGHTTP2_FLAG_ACK) != 0;
    if (head->type == NGHTTP2_HEADERS) {
      if (self.limits_.server) {
        self.head_deadline_ = now() + self.limits_.header_timeout;
        self.arm(self.head_deadline_);
      }
    } else if (head->type != NGHTTP2_CONTINUATION) {
      self.head_deadline_ = SteadyTime::max();
    }
    switch (head->type) {
      case NGHTTP2_PING:
      case NGHTTP2_SETTINGS:
        return ack ? 0 : count(self, self.control_, "too many PING or SETTINGS frames");
      case NGHTTP2_DATA:
        if (head->length > 0 || (head->flags & NGHTTP2_FLAG_END_STREAM) != 0) return 0;
        return count(self, self.control_, "too many empty DATA frames");
      case NGHTTP2_RST_STREAM:
        if (!self.limits_.server) return 0;
        return count(self, self.resets_, "too many streams were reset");
      case NGHTTP2_HEADERS:
      case NGHTTP2_WINDOW_UPDATE:
      case NGHTTP2_CONTINUATION:
        return 0;  // bounded by streams and bytes; nghttp2 counts CONTINUATION
      default:
        return count(self, self.control_, "too many PRIORITY or unknown frames");
    }
  }

  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Session& self = of(user);
    if (!self.limits_.server || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    auto stream = std::make_shared<Http2Stream>();
    stream->session_ = &self;
    stream->id_ = frame->hd.stream_id;
    stream->received_ = true;
    self.streams_.emplace(stream->id_, std::move(stream));
    self.idle_deadline_ = SteadyTime::max();
    return 0;
  }

  static int header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                    size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                    void* user) {
    Http2Session& self = of(user);
    Http2Stream* stream = find(self, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    stream->header_bytes_ += name_size + value_size + 32;  // as RFC 9113 6.5.2 counts
    if (stream->header_bytes_ > self.limits_.header_bytes_max) {
      stream->head_too_large_ = true;
      if (stream->header_bytes_ < kHeaderAbuse * self.limits_.header_bytes_max) return 0;
      self.fault("header fields far over the limit");
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (stream->head_done_) return 0;  // trailers: counted, not kept
    const std::string_view key = view(name, name_size);
    const std::string_view text = view(value, value_size);
    if (!key.starts_with(':')) {
      add_field(*stream, key, text);
    } else if (key == ":status") {
      std::from_chars(text.data(), text.data() + text.size(), stream->status);
    } else if (key == ":method") {
      stream->method = text;
    } else if (key == ":path") {
      stream->path = text;
    } else if (key == ":authority") {
      stream->authority = text;
    } else if (key == ":scheme") {
      stream->scheme = text;
    }
    return 0;
  }

  static void add_field(Http2Stream& stream, std::string_view key, std::string_view text) {
    if (key == "cookie") {  // RFC 9113 8.2.3: it may come in parts
      if (auto before = stream.headers.get("cookie")) {
        std::string joined = std::string(*before) + "; " + std::string(text);
        stream.headers.set("cookie", joined);
        return;
      }
    }
    stream.headers.add(key, text);
  }

  // A request with a field that two readers could understand differently is refused; an answer's is
  // dropped.
  static int invalid_header(nghttp2_session*, const nghttp2_frame*, nghttp2_rcbuf*, nghttp2_rcbuf*,
                            uint8_t, void* user) {
    return of(user).limits_.server ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
  }

  static int invalid_frame(nghttp2_session*, const nghttp2_frame*, int, void* user) {
    Http2Session& self = of(user);
    return count(self, self.control_, "too many invalid frames");
  }

  static int frame_received(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Session& self = of(user);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      self.going_away_ = true;
      self.changed_ = true;
      if (frame->goaway.error_code != NGHTTP2_NO_ERROR)
        self.goaway_why_ = "the peer ended the connection: " +
                           std::string(http2_code_name(frame->goaway.error_code));
      return 0;
    }
    if (frame->hd.type == NGHTTP2_SETTINGS) self.changed_ = true;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    if (frame->hd.type == NGHTTP2_HEADERS) self.head_deadline_ = SteadyTime::max();
    const auto found = self.streams_.find(frame->hd.stream_id);
    if (found == self.streams_.end()) return 0;
    const std::shared_ptr<Http2Stream> stream = found->second;
    bool first = false;
    if (frame->hd.type == NGHTTP2_HEADERS && !stream->head_done_) {
      if (!self.limits_.server && stream->status / 100 == 1) {  // the final head follows
        stream->status = 0;
        stream->headers.clear();
        return 0;
      }
      first = stream->head_done_ = true;
    }
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) stream->remote_ended_ = true;
    stream->readable.notify();
    if (first && self.limits_.server && self.owner_ != nullptr) self.owner_->on_request(stream);
    return 0;
  }

  static int data(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* bytes, size_t size,
                  void* user) {
    Http2Session& self = of(user);
    // The connection's window is not for holding back: a slow stream would stall all others.
    nghttp2_session_consume_connection(session, size);
    if (Http2Stream* stream = find(self, id)) {
      stream->incoming_.append(view(bytes, size));
      stream->readable.notify();
    }
    return 0;
  }

  static int stream_closed(nghttp2_session*, int32_t id, uint32_t code, void* user) {
    of(user).end_stream(id, code);
    return 0;
  }

  static int frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    Http2Stream* stream = find(of(user), frame->hd.stream_id);
    if (stream == nullptr) return 0;
    stream->sent_end_ = true;
    if (stream->reset_after_end_ && !stream->remote_ended_) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id_, NGHTTP2_NO_ERROR);
    }
    return 0;
  }

  static int frame_not_sent(nghttp2_session*, const nghttp2_frame* frame, int, void* user) {
    Http2Session& self = of(user);
    if (frame->hd.type == NGHTTP2_HEADERS && !self.limits_.server) {
      self.end_stream(frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
    }
    return 0;
  }

  static ssize_t read_output(nghttp2_session*, int32_t, uint8_t* to, size_t room, uint32_t* flags,
                             nghttp2_data_source* source, void*) {
    Http2Stream& stream = *static_cast<Http2Stream*>(source->ptr);
    if (stream.dropped_) return NGHTTP2_ERR_DEFERRED;  // its RST_STREAM is on its way
    size_t size = 0;
    if (const size_t held = stream.pending_.size() - stream.pending_at_; held > 0) {
      size = std::min(room, held);
      std::memcpy(to, stream.pending_.data() + stream.pending_at_, size);
      stream.pending_at_ += size;
      if (stream.pending_at_ == stream.pending_.size()) {
        stream.pending_.clear();
        stream.pending_at_ = 0;
      }
    }
    if (const size_t part = std::min(room - size, stream.view_.size()); part > 0) {
      std::memcpy(to + size, stream.view_.data(), part);
      stream.view_.remove_prefix(part);
      if (stream.view_.empty()) stream.view_ = {};
      size += part;
    }
    if (size > 0) stream.last_sent_ = now();
    // What was written before the cut still arrives; nghttp2 then resets the stream.
    if (size == 0 && stream.cut_after_output_) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (stream.sent_all()) {
      if (stream.out_ended_ && !stream.cut_after_output_) *flags |= NGHTTP2_DATA_FLAG_EOF;
      stream.writable.notify();
    }
    if (size > 0 || (*flags & NGHTTP2_DATA_FLAG_EOF) != 0) return static_cast<ssize_t>(size);
    stream.deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }

  static nghttp2_session* make(Http2Session* self) {
    static nghttp2_session_callbacks* callbacks = [] {
      nghttp2_session_callbacks* c = nullptr;
      nghttp2_session_callbacks_new(&c);
      nghttp2_session_callbacks_set_on_begin_frame_callback(c, begin_frame);
      nghttp2_session_callbacks_set_on_begin_headers_callback(c, begin_headers);
      nghttp2_session_callbacks_set_on_header_callback(c, header);
      nghttp2_session_callbacks_set_on_invalid_header_callback2(c, invalid_header);
      nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, invalid_frame);
      nghttp2_session_callbacks_set_on_frame_recv_callback(c, frame_received);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, data);
      nghttp2_session_callbacks_set_on_stream_close_callback(c, stream_closed);
      nghttp2_session_callbacks_set_on_frame_send_callback(c, frame_sent);
      nghttp2_session_callbacks_set_on_frame_not_send_callback(c, frame_not_sent);
      return c;
    }();
    nghttp2_option* option = nullptr;
    nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, 200);
    nghttp2_session* session = nullptr;
    if (self->limits_.server) {
      nghttp2_session_server_new2(&session, callbacks, self, option);
    } else {
      nghttp2_session_client_new2(&session, callbacks, self, option);
    }
    nghttp2_option_del(option);
    SM_ASSERT(session != nullptr);
    return session;
  }
};

// ---- Http2Stream

Http2Stream::Input Http2Stream::take(std::string_view& piece) {
  if (!taken_.empty()) {
    if (session_ != nullptr && !session_->ended_) {
      nghttp2_session_consume_stream(session_->session_, id_, taken_.size());
      if (nghttp2_session_want_write(session_->session_) != 0) session_->flush_soon();
    }
    taken_.clear();
  }
  if (!incoming_.empty()) {
    taken_.swap(incoming_);
    piece = taken_;
    return Input::kPiece;
  }
  if (remote_ended_) return Input::kEnd;
  return closed_ ? Input::kCut : Input::kNothingYet;
}

void Http2Stream::send_copy(std::string_view piece) {
  if (closed_) return;
  pending_.append(piece);
  resume_output();
}

void Http2Stream::send_view(std::string_view piece) {
  if (closed_) return;
  SM_ASSERT(view_.empty());
  view_ = piece;
  resume_output();
}

void Http2Stream::end_output() {
  out_ended_ = true;
  resume_output();
}

void Http2Stream::drop_output() {
  dropped_ = true;
  pending_.clear();
  pending_at_ = 0;
  view_ = {};
}

void Http2Stream::resume_output() {
  if (session_ == nullptr || session_->ended_) return;
  if (std::exchange(deferred_, false)) nghttp2_session_resume_data(session_->session_, id_);
  session_->flush_soon();
}

void Http2Stream::give_up_after(milliseconds timeout) {
  if (closed_ || sent_end_) return;
  give_up_ = timeout;
  set_write_deadline(now() + timeout);
}

void Http2Stream::set_read_deadline(SteadyTime at) {
  read_deadline_ = at;
  read_timed_out_ = false;
  if (session_ != nullptr) session_->arm(at);
}

void Http2Stream::set_write_deadline(SteadyTime at) {
  write_deadline_ = at;
  write_timed_out_ = false;
  if (session_ != nullptr) session_->arm(at);
}

// ---- Http2Session

std::shared_ptr<Http2Session> Http2Session::create(std::shared_ptr<Stream> stream,
                                                   Http2Limits limits, Http2Owner* owner) {
  return std::make_shared<Http2Session>(std::move(stream), limits, owner);
}

Http2Session::Http2Session(std::shared_ptr<Stream> stream, Http2Limits limits, Http2Owner* owner)
    : stream_(std::move(stream)),
      loop_(stream_->loop()),
      limits_(limits),
      owner_(owner),
      control_(limits.control_burst, limits.control_per_s),
      resets_(limits.reset_burst, limits.reset_per_s),
      last_received_(now()) {
  session_ = Http2Callbacks::make(this);
  std::vector<nghttp2_settings_entry> settings = {
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<uint32_t>(limits_.stream_window)},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(limits_.header_bytes_max)}};
  if (limits_.server) {
    settings.push_back(
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, static_cast<uint32_t>(limits_.streams_max)});
    head_deadline_ = now() + limits_.header_timeout;  // the preface
    idle_deadline_ = now() + limits_.idle_timeout;
    arm(std::min(head_deadline_, idle_deadline_));
  } else {
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
  }
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        limits_.server ? kServerWindow : kClientWindow);
}

Http2Session::~Http2Session() {
  for (auto& [id, stream] : streams_) stream->session_ = nullptr;
  nghttp2_session_del(session_);
}

Task<void> Http2Session::run() {
  const auto self = shared_from_this();
  loop_.spawn(write_loop(self));
  while (!ended_) {
    const std::string_view input = stream_->input();
    if (!input.empty()) {
      received_ += input.size();
      last_received_ = now();
      ping_sent_ = SteadyTime::max();
      if (!closing_) feed(input);
      if (ended_) break;
      stream_->consume(input.size());
      tell();
      flush_soon();
      continue;
    }
    if (stream_->end() != Stream::End::kOpen) {
      finish(goaway_why_.empty() ? "the connection ended (" + stream_->why() + ")" : goaway_why_);
      break;
    }
    if (closing_ && stream_->read_timed_out()) {
      finish(why_);
      break;
    }
    stream_->pump();
    co_await stream_->readable.wait();
  }
  tell();
}

void Http2Session::feed(std::string_view bytes) {
  const ssize_t used = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (used >= 0) return;
  const bool flood =
      !why_.empty() || used == NGHTTP2_ERR_FLOODED || used == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS;
  if (why_.empty()) why_ = nghttp2_strerror(static_cast<int>(used));
  close(flood ? Http2Code::kEnhanceYourCalm : Http2Code::kProtocolError, why_);
}

void Http2Session::fault(std::string why) {
  if (why_.empty()) why_ = std::move(why);
}

// Fills `out_` with what may go now.
void Http2Session::collect() {
  out_.clear();
  while (out_.size() < kGather) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) fault(nghttp2_strerror(static_cast<int>(size)));
    if (size <= 0) break;
    out_.append(view(bytes, static_cast<size_t>(size)));
  }
}

Task<void> Http2Session::write_loop(std::shared_ptr<Http2Session> self) {
  while (!self->ended_) {
    self->collect();
    self->tell();
    if (self->ended_) break;
    if (self->out_.empty()) {
      if (self->out_.capacity() > kOutKept) self->out_ = std::string();
      if (nghttp2_session_want_read(self->session_) == 0 &&
          nghttp2_session_want_write(self->session_) == 0) {
        self->said_all();
        break;
      }
      co_await self->output_.wait();
      continue;
    }
    iovec piece{self->out_.data(), self->out_.size()};
    std::span<iovec> pieces(&piece, 1);
    self->writing_ = true;
    Result<void> sent = co_await self->stream_->send_rest(pieces, self->limits_.write_timeout);
    self->writing_ = false;
    if (!sent.ok()) {
      self->finish("the connection broke: " + sent.error().message());
      self->tell();
      break;
    }
  }
}

// Nothing more goes either way: GOAWAY has been sent and no stream is open.
void Http2Session::said_all() {
  if (why_.empty()) why_ = "the connection was ended";
  if (!limits_.server) {
    finish(why_);
    tell();
    return;
  }
  // So that what was sent last arrives: closing with unread input would reset the connection.
  closing_ = true;
  cut_all(NGHTTP2_PROTOCOL_ERROR, why_);
  tell();
  stream_->shutdown_send();
  stream_->set_read_deadline(now() + kLinger);
  stream_->readable.notify();
}

// The end, for whatever reason.
void Http2Session::finish(std::string why) {
  if (std::exchange(ended_, true)) return;
  if (why_.empty()) why_ = std::move(why);
  timer_ = Loop::Timer();
  cut_all(NGHTTP2_NO_ERROR, why_);
  stream_->close();
  output_.notify();
  changed_ = true;
}

void Http2Session::close(Http2Code code, std::string why) {
  if (ended_ || closing_) return;
  closing_ = true;
  why_ = std::move(why);
  nghttp2_session_terminate_session(session_, static_cast<uint32_t>(code));
  cut_all(static_cast<uint32_t>(code), why_);
  if (limits_.server) {
    flush_soon();
    return;
  }
  if (!writing_) {
    collect();
    iovec piece{out_.data(), out_.size()};
    std::span<iovec> pieces(&piece, 1);
    static_cast<void>(stream_->try_send(pieces));  // a courtesy
  }
  finish(why_);
}

void Http2Session::cut_all(uint32_t code, const std::string& why) {
  while (!streams_.empty()) {
    dead_.push_back(streams_.begin()->second);
    streams_.erase(streams_.begin());
    cut(dead_.back(), code, why);
  }
  changed_ = true;
}

void Http2Session::end_stream(int32_t id, uint32_t code) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  const std::shared_ptr<Http2Stream> stream = found->second;
  streams_.erase(found);
  head_deadline_ = SteadyTime::max();
  stream->unprocessed_ = code == NGHTTP2_REFUSED_STREAM && !stream->head_done_;
  cut(stream, code, "the stream was reset: " + std::string(http2_code_name(code)));
  changed_ = true;
  if (streams_.empty() && limits_.server) {
    idle_deadline_ = now() + limits_.idle_timeout;
    arm(idle_deadline_);
  }
  if (draining_) flush_soon();
}

// Ends a stream that is out of the table already; its users hear of it in tell().
void Http2Session::cut(const std::shared_ptr<Http2Stream>& stream, uint32_t code,
                       const std::string& why) {
  stream->session_ = nullptr;
  stream->closed_ = true;
  stream->close_code_ = code;
  stream->why_ = why;
  stream->drop_output();
  stream->readable.notify();
  stream->writable.notify();
  if (stream->on_cut && !(stream->remote_ended_ && stream->sent_end_)) cut_.push_back(stream);
}

// Tells owner and users what happened, outside of nghttp2's calls.
void Http2Session::tell() {
  while (!cut_.empty()) {
    const std::vector<std::shared_ptr<Http2Stream>> cut = std::exchange(cut_, {});
    for (const auto& stream : cut) {
      if (stream->on_cut) std::exchange(stream->on_cut, nullptr)();
    }
  }
  if (std::exchange(changed_, false) && owner_ != nullptr) owner_->on_change();
}

std::shared_ptr<Http2Stream> Http2Session::request(const Http2Fields& fields, std::string body) {
  SM_ASSERT(!limits_.server);
  if (!usable() || closing_) return nullptr;
  auto stream = std::make_shared<Http2Stream>();
  stream->request_body = std::move(body);
  const std::vector<nghttp2_nv> list = nvs(fields);
  nghttp2_data_provider provider{};
  provider.source.ptr = stream.get();
  provider.read_callback = Http2Callbacks::read_output;
  const bool with_body = !stream->request_body.empty();
  const int32_t id = nghttp2_submit_request(session_, nullptr, list.data(), list.size(),
                                            with_body ? &provider : nullptr, nullptr);
  if (id < 0) {  // the connection's stream numbers are used up, for one
    going_away_ = changed_ = true;
    return nullptr;
  }
  stream->session_ = this;
  stream->id_ = id;
  stream->view_ = stream->request_body;
  stream->out_ended_ = true;
  stream->last_sent_ = now();
  streams_.emplace(id, stream);
  arm(stream->last_sent_ + limits_.ping_after);
  if (ping_sent_ == SteadyTime::max() && stream->last_sent_ - last_received_ > limits_.ping_after) {
    send_ping(stream->last_sent_);  // a long-idle connection may be dead without our knowing
  }
  flush_soon();
  return stream;
}

size_t Http2Session::peer_streams_max() const {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool Http2Session::respond(Http2Stream& stream, const Http2Fields& fields, bool body) {
  if (ended_ || stream.closed_) return false;
  const std::vector<nghttp2_nv> list = nvs(fields);
  nghttp2_data_provider provider{};
  provider.source.ptr = &stream;
  provider.read_callback = Http2Callbacks::read_output;
  const int failed = nghttp2_submit_response(session_, stream.id_, list.data(), list.size(),
                                             body ? &provider : nullptr);
  if (failed != 0) {
    reset(stream, Http2Code::kInternalError);
    return false;
  }
  stream.has_source_ = body;
  flush_soon();
  return true;
}

void Http2Session::send_continue(Http2Stream& stream) {
  if (ended_ || stream.closed_) return;
  const nghttp2_nv status = nv(":status", "100");
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id_, nullptr, &status, 1, nullptr);
  flush_soon();
}

void Http2Session::stop_reading(Http2Stream& stream) {
  if (ended_ || stream.closed_ || stream.remote_ended_) return;
  stream.reset_after_end_ = true;
  if (!stream.sent_end_) return;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, NGHTTP2_NO_ERROR);
  flush_soon();
}

void Http2Session::reset(Http2Stream& stream, Http2Code code) {
  if (ended_ || stream.closed_) return;
  const auto found = streams_.find(stream.id_);
  if (found == streams_.end()) return;
  const std::shared_ptr<Http2Stream> held = found->second;
  stream.on_cut = nullptr;  // whoever resets knows
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, static_cast<uint32_t>(code));
  // It counts as open until the frame is on its way, and its memory is asked for until then.
  stream.drop_output();
  stream.incoming_.clear();
  stream.readable.notify();
  stream.writable.notify();
  flush_soon();
}

void Http2Session::reset_after_output(Http2Stream& stream) {
  if (ended_ || stream.closed_) return;
  if (!stream.has_source_) return reset(stream, Http2Code::kInternalError);
  stream.cut_after_output_ = true;
  stream.resume_output();
}

void Http2Session::drain() {
  if (ended_ || closing_ || std::exchange(draining_, true)) return;
  if (streams_.empty()) {
    close(Http2Code::kNoError, "the server ends its service");
    return;
  }
  nghttp2_submit_shutdown_notice(session_);
  drain_at_ = now() + kDrainNotice;
  arm(drain_at_);
  flush_soon();
}

// ---- time

void Http2Session::arm(SteadyTime at) {
  if (at >= armed_ || ended_) return;
  armed_ = at;
  timer_ = loop_.after(at - now(), [this] { on_timer(); });
}

void Http2Session::send_ping(SteadyTime time) {
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  ping_sent_ = time;
  arm(time + limits_.ping_timeout);
  flush_soon();
}

void Http2Session::on_timer() {
  const auto self = shared_from_this();
  armed_ = SteadyTime::max();
  const SteadyTime time = now();
  SteadyTime next = SteadyTime::max();
  if (limits_.server) {
    check_server(time, next);
  } else {
    check_client(time, next);
  }
  for (auto& [id, stream] : streams_) {
    if (stream->give_up_.count() > 0 && stream->write_deadline_ <= time) {
      const SteadyTime at = stream->last_sent_ + stream->give_up_;
      stream->write_deadline_ = at > time ? at : SteadyTime::max();
      if (at <= time) reset(*stream, Http2Code::kCancel);
    }
    if (stream->read_deadline_ <= time) {
      stream->read_deadline_ = SteadyTime::max();
      stream->read_timed_out_ = true;
      stream->readable.notify();
    }
    if (stream->write_deadline_ <= time) {
      stream->write_deadline_ = SteadyTime::max();
      stream->write_timed_out_ = true;
      stream->writable.notify();
    }
    next = std::min({next, stream->read_deadline_, stream->write_deadline_});
  }
  tell();
  arm(next);
}

void Http2Session::check_server(SteadyTime time, SteadyTime& next) {
  if (head_deadline_ <= time) {
    close(Http2Code::kEnhanceYourCalm, "a request's head took too long");
    return;
  }
  if (drain_at_ <= time) {
    drain_at_ = SteadyTime::max();
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                          nullptr, 0);
    flush_soon();
  }
  if (streams_.empty() && idle_deadline_ <= time) {
    close(Http2Code::kNoError, "the connection was idle");
    return;
  }
  next = std::min({head_deadline_, drain_at_, idle_deadline_});
}

void Http2Session::check_client(SteadyTime time, SteadyTime& next) {
  if (streams_.empty()) return;
  if (ping_sent_ != SteadyTime::max()) {
    if (ping_sent_ + limits_.ping_timeout <= time) {
      finish("the connection is dead: no answer to a PING");
      return;
    }
    next = ping_sent_ + limits_.ping_timeout;
  } else if (last_received_ + limits_.ping_after <= time) {
    send_ping(time);
    next = time + limits_.ping_timeout;
  } else {
    next = last_received_ + limits_.ping_after;
  }
}

}  // namespace samplemind::net
