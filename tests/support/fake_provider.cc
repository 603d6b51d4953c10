#include "support/fake_provider.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "support/fake_dialects_internal.h"

namespace samplemind::testing {

namespace {

using Clock = std::chrono::steady_clock;

struct Gone {};  // thrown within this file only: the client left, or the provider ends

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

// A connection read and written by its own thread; each wait ends early when the client leaves.
class Connection {
 public:
  Connection(int fd, int stop_fd) : fd_(fd), stop_fd_(stop_fd) {
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Waits `ms` (-1: for ever); throws Gone when the client leaves meanwhile.
  void wait(int ms) {
    const auto end = Clock::now() + std::chrono::milliseconds(ms);
    while (true) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
      if (ms >= 0 && left <= 0) return;
      pollfd fds[2] = {{fd_, POLLRDHUP, 0}, {stop_fd_, POLLIN, 0}};
      poll(fds, 2, ms < 0 ? -1 : static_cast<int>(left));
      if (fds[0].revents != 0 || fds[1].revents != 0) throw Gone();
    }
  }
  bool left() const {
    pollfd p{fd_, POLLRDHUP, 0};
    return poll(&p, 1, 0) > 0;
  }
  void write(std::string_view data) {
    const size_t step = split_ ? 1 : data.size();
    while (!data.empty()) {
      const ssize_t n = send(fd_, data.data(), std::min(step, data.size()), MSG_NOSIGNAL);
      if (n <= 0) throw Gone();
      data.remove_prefix(static_cast<size_t>(n));
    }
  }
  // More bytes into `in`; false at the end.
  bool read_more() {
    pollfd fds[2] = {{fd_, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
    poll(fds, 2, -1);
    if (fds[1].revents != 0) return false;
    char buffer[65536];
    const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    in.append(buffer, static_cast<size_t>(n));
    return true;
  }
  // RST instead of FIN when the connection closes.
  void reset_on_close() {
    const linger l{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &l, sizeof l);
  }
  void set_split(bool split) { split_ = split; }

  std::string in;  // read, not yet consumed

 private:
  int fd_, stop_fd_;
  bool split_ = false;
};

struct Request {
  FakeCall call;
  JsonValue body;
  std::string query;
};

// One request off the connection; nothing at its end or at what is no HTTP.
std::optional<Request> read_request(Connection& c) {
  size_t head_end;
  while ((head_end = c.in.find("\r\n\r\n")) == std::string::npos) {
    if (c.in.size() > (1u << 20) || !c.read_more()) return std::nullopt;
  }
  Request r;
  const std::string head = c.in.substr(0, head_end);
  c.in.erase(0, head_end + 4);
  const size_t line_end = std::min(head.find("\r\n"), head.size());
  const std::string line = head.substr(0, line_end);
  const size_t a = line.find(' '), b = line.rfind(' ');
  if (a == std::string::npos || b <= a) return std::nullopt;
  r.call.method = line.substr(0, a);
  const std::string target = line.substr(a + 1, b - a - 1);
  const size_t question = target.find('?');
  r.call.path = target.substr(0, question);
  if (question != std::string::npos) r.query = target.substr(question + 1);
  size_t length = 0;
  bool chunked = false;
  for (size_t at = line_end; at < head.size();) {
    at += 2;
    const size_t end = std::min(head.find("\r\n", at), head.size());
    const std::string field = head.substr(at, end - at);
    const size_t colon = field.find(':');
    at = end;
    if (colon == std::string::npos) continue;
    const std::string name = lower(field.substr(0, colon));
    const size_t start = field.find_first_not_of(' ', colon + 1);
    const std::string value = start == std::string::npos ? "" : field.substr(start);
    if (name == "content-length") length = std::strtoull(value.c_str(), nullptr, 10);
    if (name == "transfer-encoding" && value.find("chunked") != std::string::npos) chunked = true;
    if (name == "expect") c.write("HTTP/1.1 100 Continue\r\n\r\n");
    r.call.headers.emplace_back(name, value);
  }
  const auto take = [&c](size_t n) -> std::optional<std::string> {
    while (c.in.size() < n) {
      if (!c.read_more()) return std::nullopt;
    }
    std::string out = c.in.substr(0, n);
    c.in.erase(0, n);
    return out;
  };
  while (chunked) {
    size_t eol;
    while ((eol = c.in.find("\r\n")) == std::string::npos) {
      if (!c.read_more()) return std::nullopt;
    }
    const size_t n = std::strtoull(c.in.c_str(), nullptr, 16);
    c.in.erase(0, eol + 2);
    auto piece = take(n + 2);
    if (!piece) return std::nullopt;
    r.call.body += piece->substr(0, n);
    if (n == 0) break;
  }
  if (!chunked) {
    auto body = take(length);
    if (!body) return std::nullopt;
    r.call.body = std::move(*body);
  }
  if (auto parsed = JsonValue::parse(r.call.body); parsed.ok()) r.body = *parsed;
  r.call.model = r.body["model"].string_or(r.body["name"].string_or(""));
  // Gemini names the model in the path.
  constexpr std::string_view kModels = "/v1beta/models/";
  if (r.call.path.starts_with(kModels)) {
    r.call.model = r.call.path.substr(kModels.size());
    r.call.model.resize(std::min(r.call.model.rfind(':'), r.call.model.size()));
  }
  return r;
}

// "fault-s07-ms200-x1" -> a script for this model.
std::optional<FakeScript> script_in_name(const std::string& model) {
  const size_t start = model.find("fault-");
  if (start == std::string::npos) return std::nullopt;
  FakeScript s;
  s.model = model;
  std::string rest = model.substr(start + 6);
  rest.resize(std::min(rest.find_first_of(":/"), rest.size()));
  while (!rest.empty()) {
    const size_t dash = std::min(rest.find('-'), rest.size());
    const std::string word = rest.substr(0, dash);
    rest.erase(0, std::min(dash + 1, rest.size()));
    const auto number = [&word](std::string_view prefix, int& out) {
      const bool fits = word.size() > prefix.size() && word.starts_with(prefix) &&
                        word.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
      if (fits) out = std::atoi(word.c_str() + prefix.size());
      return fits;
    };
    if (s.fault.empty()) {
      s.fault = word;
    } else if (!number("ms", s.delay_ms) && !number("at", s.at) && !number("x", s.times) &&
               !number("after", s.retry_after_s)) {
      // Names of two words, such as no-usage; anything else is the test's own suffix.
      const std::string both = s.fault + "-" + word;
      for (const char* known : {"no-usage", "wrong-length", "chunked-cut", "invalid-utf8",
                                "utf8-split", "header-too", "header-too-large", "error-event"}) {
        if (both == known) s.fault = both;
      }
    }
  }
  return s;
}

}  // namespace

struct FakeProvider::State {
  struct Used {
    FakeScript script;
    int met = 0;
    Clock::time_point first{};
  };

  int listen_fd = -1;
  int stop_fd = -1;
  uint16_t port = 0;
  Clock::time_point started = Clock::now();
  std::thread acceptor;
  mutable std::mutex mutex;
  struct Worker {
    std::atomic<bool> done{false};
    std::thread thread;
  };
  std::list<Worker> workers;
  std::vector<Used> scripts;
  std::map<std::string, Used> by_model;
  std::vector<FakeCall> calls;
  size_t generation = 0;              // reset() makes older entries unreachable
  std::map<std::string, int> pulled;  // percent reached, to resume from

  void accept_all();
  void serve(int fd);
  void answer(Connection& c, Request& r, FakeCall& call);
  bool control(Connection& c, const Request& r);
  void chat(Connection& c, const Request& r, const FakeScript& fault, FakeCall& call);
  void stream(Connection& c, const FakeAnswer& a, const FakeScript& fault, FakeCall& call);
  void pull(Connection& c, const Request& r, const FakeScript& fault, FakeCall& call);
  std::optional<FakeScript> fault_for(const FakeCall& call);
  bool meets(Used& used);
  void add_script(const JsonValue& json);
  std::string log_json() const;
};

namespace {

void send_whole(Connection& c, FakeCall& call, int status, const std::string& body,
                const std::string& headers = {}, const char* type = "application/json") {
  call.status = status;
  c.write("HTTP/1.1 " + std::to_string(status) + (status < 400 ? " OK" : " Failed") +
          "\r\nContent-Type: " + type + "\r\n" + headers +
          "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

void send_error(Connection& c, FakeCall& call, int status, const std::string& message,
                const std::string& type, const std::string& code, const std::string& headers = {}) {
  call.outcome = "error";
  send_whole(c, call, status, error_body(dialect_of_path(call.path), status, message, type, code),
             headers);
}

void send_chunk(Connection& c, std::string_view data) {
  char size[24];
  std::snprintf(size, sizeof size, "%zx\r\n", data.size());
  c.write(size + std::string(data) + "\r\n");
}

int or_default(int value, int fallback) {
  return value >= 0 ? value : fallback;
}

}  // namespace

bool FakeProvider::State::meets(Used& used) {
  const std::string& f = used.script.fault;
  if (f == "s15") {
    if (used.met++ == 0) used.first = Clock::now();
    const int ms = or_default(used.script.delay_ms, 60'000);
    return Clock::now() - used.first < std::chrono::milliseconds(ms);
  }
  int times = used.script.times;
  if (times == 0) times = f == "s01" || f == "s03" || f == "s05" || f == "s16" ? 1 : -1;
  if (times >= 0 && used.met >= times) return false;
  ++used.met;
  return true;
}

std::optional<FakeScript> FakeProvider::State::fault_for(const FakeCall& call) {
  std::lock_guard lock(mutex);
  for (Used& used : scripts) {
    const FakeScript& s = used.script;
    if (!s.path.empty() && s.path != call.path) continue;
    if (!s.model.empty() && call.model.find(s.model) == std::string::npos) continue;
    if (meets(used)) return s;
  }
  if (auto named = script_in_name(call.model)) {
    Used& used = by_model.try_emplace(call.model, Used{*named, 0, {}}).first->second;
    if (meets(used)) return used.script;
  }
  return std::nullopt;
}

void FakeProvider::State::add_script(const JsonValue& json) {
  FakeScript s;
  s.path = json["path"].string_or("");
  s.model = json["model"].string_or("");
  s.fault = lower(json["scenario"].string_or(json["fault"].string_or("")));
  s.times = static_cast<int>(json["times"].integer_or(0));
  s.delay_ms = static_cast<int>(json["delay_ms"].integer_or(-1));
  s.at = static_cast<int>(json["at"].integer_or(-1));
  s.retry_after_s = static_cast<int>(json["retry_after_s"].integer_or(-1));
  s.text = json["text"].string_or("");
  std::lock_guard lock(mutex);
  scripts.push_back({std::move(s), 0, {}});
}

std::string FakeProvider::State::log_json() const {
  std::string out;
  JsonWriter w(out);
  w.begin_array();
  for (const FakeCall& call : calls) {
    w.begin_object().field("at_ms", call.at_ms).field("method", call.method);
    w.field("path", call.path).field("model", call.model).field("digest", call.digest);
    w.field("fault", call.fault).field("outcome", call.outcome).field("status", call.status);
    w.field("input_tokens", call.input_tokens).field("output_tokens", call.output_tokens);
    w.field("client_aborted", call.client_aborted).field("body", call.body);
    w.field("body_digest", fnv1a_hex(call.body)).key("headers").begin_object();
    for (const auto& [name, value] : call.headers) w.field(name, value);
    w.end_object().end_object();
  }
  w.end_array();
  return out;
}

bool FakeProvider::State::control(Connection& c, const Request& r) {
  const std::string& path = r.call.path;
  FakeCall unlogged;
  if (!path.starts_with("/__")) return false;
  if (path == "/__log") {
    std::unique_lock lock(mutex);
    const std::string json = log_json();
    lock.unlock();
    send_whole(c, unlogged, 200, json);
  } else if (path == "/__count") {
    const std::string wanted = r.query.starts_with("path=") ? r.query.substr(5) : "";
    std::unique_lock lock(mutex);
    const auto n = std::count_if(calls.begin(), calls.end(), [&wanted](const FakeCall& call) {
      return wanted.empty() || call.path == wanted;
    });
    lock.unlock();
    send_whole(c, unlogged, 200, "{\"count\":" + std::to_string(n) + "}");
  } else if (path == "/__script" && (r.body.is_object() || r.body.is_array())) {
    if (r.body.is_object()) add_script(r.body);
    for (const JsonValue& each : r.body.items()) add_script(each);
    send_whole(c, unlogged, 200, "{}");
  } else if (path == "/__reset") {
    std::unique_lock lock(mutex);
    scripts.clear();
    by_model.clear();
    calls.clear();
    pulled.clear();
    ++generation;
    lock.unlock();
    send_whole(c, unlogged, 200, "{}");
  } else {
    send_whole(c, unlogged, 404, "{\"error\":\"no such control, or a body that is no JSON\"}");
  }
  return true;
}

// Faults that come before any byte of an answer are dealt with here.
void FakeProvider::State::answer(Connection& c, Request& r, FakeCall& call) {
  FakeScript none;
  const auto met = fault_for(call);
  const FakeScript& fault = met ? *met : none;
  const std::string& f = fault.fault;
  call.fault = f;
  c.set_split(f == "split");
  std::string retry;
  if (const int s = or_default(fault.retry_after_s, f == "s01" ? 2 : -1); s >= 0)
    retry = "Retry-After: " + std::to_string(s) + "\r\n";
  if (f == "s01" || f == "s02" || f == "429")
    return send_error(c, call, 429, "Rate limit reached", "rate_limit_error", "rate_limit_exceeded",
                      retry);
  if (f == "s03" || f == "500")
    return send_error(c, call, 500, "The server had an error", "server_error", "internal_error");
  if (f == "s04" || f == "s15" || f == "s16" || f == "503")
    return send_error(c, call, 503, "Overloaded", "server_error", "overloaded", retry);
  if (f == "401")
    return send_error(c, call, 401, "Incorrect API key provided", "invalid_request_error",
                      "invalid_api_key");
  if (f == "404" || call.model == "no-such-model")
    return send_error(c, call, 404, "The model '" + call.model + "' does not exist",
                      "invalid_request_error", "model_not_found");
  if (f == "s12")
    return send_error(c, call, 400, "This model's maximum context length is 4096 tokens",
                      "invalid_request_error", "context_length_exceeded");
  if (f == "s14" && last_role(r.body) == "assistant")
    return send_error(c, call, 400, "Prefilling the assistant's answer is not supported",
                      "invalid_request_error", "prefill_not_supported");
  if (f == "s05") {
    call.outcome = "reset";
    c.reset_on_close();
    throw Gone();
  }
  if (f == "s06") {
    call.outcome = "hung";
    c.wait(fault.delay_ms);
    throw Gone();
  }
  if (f == "s07") c.wait(or_default(fault.delay_ms, 20'000));
  if (f == "header-too-large")
    return send_whole(c, call, 200, "{}", "X-Filler: " + std::string(300'000, 'x') + "\r\n");

  const std::string& path = call.path;
  call.outcome = "ok";
  if (path == "/v1/chat/completions" || path == "/api/chat" || path == "/api/generate" ||
      path == "/v1/messages" || path.ends_with(":generateContent") ||
      path.ends_with(":streamGenerateContent"))
    return chat(c, r, fault, call);
  if (path == "/v1/models") return send_whole(c, call, 200, models_body());
  if (path == "/v1/embeddings") return send_whole(c, call, 200, embeddings_body(r.body));
  if (path == "/api/embed") return send_whole(c, call, 200, ollama_embed_body(r.body));
  if (path.ends_with(":embedContent")) return send_whole(c, call, 200, embed_content_body(r.body));
  if (path.ends_with(":batchEmbedContents"))
    return send_whole(c, call, 200, batch_embed_body(r.body));
  if (path == "/v1/messages/count_tokens" || path.ends_with(":countTokens")) {
    const int64_t n = make_answer(r.body, path, 1).input_tokens;
    const char* name = path.starts_with("/v1/") ? "input_tokens" : "totalTokens";
    return send_whole(c, call, 200, "{\"" + std::string(name) + "\":" + std::to_string(n) + "}");
  }
  if (path == "/v1beta/models") return send_whole(c, call, 200, gemini_models_body());
  if (path == "/api/tags") return send_whole(c, call, 200, tags_body());
  if (path == "/api/show") return send_whole(c, call, 200, show_body(call.model));
  if (path == "/api/version") return send_whole(c, call, 200, R"({"version":"0.99.0-fake"})");
  if (path == "/api/ps") return send_whole(c, call, 200, R"({"models":[]})");
  if (path == "/api/pull") return pull(c, r, fault, call);
  if (path == "/") return send_whole(c, call, 200, "Ollama is running", {}, "text/plain");
  send_error(c, call, 404, "no such path", "invalid_request_error", "not_found");
}

void FakeProvider::State::chat(Connection& c, const Request& r, const FakeScript& fault,
                               FakeCall& call) {
  const std::string& f = fault.fault;
  if (!r.body["messages"].is_array() && !r.body["contents"].is_array() &&
      !r.body["prompt"].is_string())
    return send_error(c, call, 400, "'messages' is missing", "invalid_request_error", "");
  FakeAnswer a = make_answer(r.body, call.path, 60);
  a.model = call.model;
  if (f == "no-usage") a.usage = false;
  if (f == "say") a.pieces = {fault.text};
  if (f == "s13") {
    a.pieces.clear();
    a.finish = "content_filter";
  }
  if (f == "invalid-utf8" && a.pieces.size() > 2) a.pieces[2] = " \x01";
  if (f == "utf8-split" && a.pieces.size() > 2) a.pieces[2] = " \xE2\x82\xAC";
  if (r.body["model"].string_or("").find("s16") != std::string::npos)
    a.cached_tokens = a.input_tokens / 2;
  call.digest = a.token;
  call.input_tokens = a.input_tokens;
  call.output_tokens = static_cast<int64_t>(a.pieces.size());
  const bool streams = a.dialect == FakeDialect::kGemini
                           ? call.path.ends_with(":streamGenerateContent")
                           : r.body["stream"].bool_or(a.dialect == FakeDialect::kOllama);
  if (streams) return stream(c, a, fault, call);

  std::string body = whole_body(a);
  if (f == "invalid-utf8") {
    for (size_t at; (at = body.find("\\u0001")) != std::string::npos;) body.replace(at, 6, "\xFF");
  }
  const bool cut = f == "s08" || f == "wrong-length" || f == "chunked-cut";
  if (f == "s09") c.wait(or_default(fault.delay_ms, 30'000));
  if (f == "s10") body.insert(body.size() / 2, "\"}{");
  if (!cut) return send_whole(c, call, 200, body);
  call.status = 200;
  call.outcome = "cut";
  if (f == "chunked-cut") {
    c.write(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    send_chunk(c, body.substr(0, body.size() / 2));
  } else {
    c.write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n" + body.substr(0, body.size() / 2));
  }
  throw Gone();
}

void FakeProvider::State::stream(Connection& c, const FakeAnswer& a, const FakeScript& fault,
                                 FakeCall& call) {
  const std::string& f = fault.fault;
  size_t content = 0;
  std::vector<std::string> frames = stream_frames(a, &content);
  call.status = 200;
  c.write(std::string("HTTP/1.1 200 OK\r\nContent-Type: ") +
          (a.dialect == FakeDialect::kOllama ? "application/x-ndjson" : "text/event-stream") +
          "\r\nTransfer-Encoding: chunked\r\n\r\n");
  const auto at = static_cast<size_t>(or_default(fault.at, f == "s10" ? 9 : 40));
  for (size_t i = 0; i < frames.size(); ++i) {
    std::string& frame = frames[i];
    if ((f == "s08" || f == "chunked-cut" || f == "wrong-length") && i == at) {
      call.outcome = "cut";
      call.output_tokens = static_cast<int64_t>(at);
      throw Gone();  // without the last chunk: the client sees a cut body
    }
    if (f == "s09" && i == at) {
      call.outcome = "hung";
      c.wait(or_default(fault.delay_ms, 30'000));
      call.outcome = "ok";
    }
    if (f == "s10" && i == at)
      frame = a.dialect == FakeDialect::kOllama ? "{\"model\":\"x\",\"mess\n"
                                                : "data: {\"id\":\"x\",\"choi\n\n";
    if (f == "error-event" && i == at) {
      call.outcome = "error";
      call.output_tokens = static_cast<int64_t>(at);
      // Before any content, Anthropic has said at least that a message begins.
      const size_t head = i == 0 ? frame.find("event: content_block_start") : std::string::npos;
      send_chunk(c, (head == std::string::npos ? "" : frame.substr(0, head)) +
                        error_frame(a.dialect, 529, "Overloaded"));
      break;
    }
    if (f == "slow") c.wait(or_default(fault.delay_ms, 20));
    // Complete as HTTP, but nothing says that the answer is: neither a reason nor the marker.
    if (f == "s11" && i >= content) continue;
    if (f == "invalid-utf8") {
      for (size_t p; (p = frame.find("\\u0001")) != std::string::npos;) frame.replace(p, 6, "\xFF");
    }
    if (const size_t euro = frame.find("\xE2\x82\xAC");
        f == "utf8-split" && euro != std::string::npos) {
      send_chunk(c, std::string_view(frame).substr(0, euro + 1));
      c.wait(5);  // so that the two arrive in different reads
      send_chunk(c, std::string_view(frame).substr(euro + 1));
      continue;
    }
    if (c.left()) throw Gone();
    send_chunk(c, frame);
  }
  c.write("0\r\n\r\n");
}

// Ten steps of a model of 1 MB; a pull that was cut goes on where it stopped.
void FakeProvider::State::pull(Connection& c, const Request& r, const FakeScript& fault,
                               FakeCall& call) {
  const std::string digest = "sha256:" + fnv1a_hex(call.model);
  call.status = 200;
  c.write(
      "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: "
      "chunked\r\n\r\n");
  const bool streamed = r.body["stream"].bool_or(true);
  if (streamed) send_chunk(c, "{\"status\":\"pulling manifest\"}\n");
  int percent;
  {
    std::lock_guard lock(mutex);
    percent = pulled[call.model];
  }
  for (; percent <= 100; percent += 10) {
    if (fault.fault == "s08" && percent >= or_default(fault.at, 40)) {
      call.outcome = "cut";
      throw Gone();
    }
    if (streamed)
      send_chunk(c, "{\"status\":\"pulling " + digest.substr(7, 12) + "\",\"digest\":\"" + digest +
                        "\",\"total\":1000000,\"completed\":" + std::to_string(percent * 10'000) +
                        "}\n");
    std::lock_guard lock(mutex);
    pulled[call.model] = percent;
  }
  if (streamed) send_chunk(c, "{\"status\":\"verifying sha256 digest\"}\n");
  send_chunk(c, "{\"status\":\"success\"}\n");
  c.write("0\r\n\r\n");
}

void FakeProvider::State::serve(int fd) {
  Connection c(fd, stop_fd);
  try {
    while (auto r = read_request(c)) {
      if (control(c, *r)) continue;
      FakeCall call = r->call;
      call.at_ms =
          std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started).count();
      call.outcome = "open";
      size_t index, of;
      {
        std::lock_guard lock(mutex);
        index = calls.size();
        of = generation;
        calls.push_back(call);
      }
      const auto note = [&] {
        std::lock_guard lock(mutex);
        if (of == generation) calls[index] = call;
      };
      try {
        answer(c, *r, call);
      } catch (const Gone&) {
        // What the fault did itself is no abort by the client; a client that left a hung call is.
        call.client_aborted =
            call.outcome == "ok" || call.outcome == "open" || call.outcome == "hung";
        note();
        throw;
      }
      note();
      c.set_split(false);
    }
  } catch (const Gone&) {
  }
}

void FakeProvider::State::accept_all() {
  while (true) {
    pollfd fds[2] = {{listen_fd, POLLIN, 0}, {stop_fd, POLLIN, 0}};
    poll(fds, 2, -1);
    if (fds[1].revents != 0) return;
    const int fd = accept4(listen_fd, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    std::lock_guard lock(mutex);
    // A thread that ended keeps its stack until it is joined.
    for (auto it = workers.begin(); it != workers.end();) {
      if (!it->done) {
        ++it;
        continue;
      }
      it->thread.join();
      it = workers.erase(it);
    }
    Worker& worker = workers.emplace_back();
    worker.thread = std::thread([this, fd, &worker] {
      serve(fd);
      worker.done = true;
    });
  }
}

FakeProvider::FakeProvider(uint16_t port) : state_(std::make_unique<State>()) {
  state_->stop_fd = eventfd(0, EFD_CLOEXEC);
  state_->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  setsockopt(state_->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(state_->listen_fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(state_->listen_fd, 512) != 0 ||
      getsockname(state_->listen_fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::perror("fake_provider: cannot listen");
    std::abort();
  }
  state_->port = ntohs(address.sin_port);
  state_->acceptor = std::thread([s = state_.get()] { s->accept_all(); });
}

FakeProvider::~FakeProvider() {
  const uint64_t one = 1;
  if (write(state_->stop_fd, &one, sizeof one) != sizeof one) std::abort();
  state_->acceptor.join();
  for (State::Worker& worker : state_->workers) worker.thread.join();
  close(state_->listen_fd);
  close(state_->stop_fd);
}

uint16_t FakeProvider::port() const {
  return state_->port;
}
std::string FakeProvider::url() const {
  return "http://127.0.0.1:" + std::to_string(port());
}
std::string FakeProvider::openai_url() const {
  return url() + "/v1";
}

void FakeProvider::script(FakeScript script) {
  script.fault = lower(script.fault);
  std::lock_guard lock(state_->mutex);
  state_->scripts.push_back({std::move(script), 0, {}});
}

void FakeProvider::reset() {
  std::lock_guard lock(state_->mutex);
  state_->scripts.clear();
  state_->by_model.clear();
  state_->calls.clear();
  state_->pulled.clear();
  ++state_->generation;
}

std::vector<FakeCall> FakeProvider::log() const {
  std::lock_guard lock(state_->mutex);
  return state_->calls;
}

size_t FakeProvider::count(const std::string& path) const {
  std::lock_guard lock(state_->mutex);
  return static_cast<size_t>(
      std::count_if(state_->calls.begin(), state_->calls.end(),
                    [&path](const FakeCall& c) { return path.empty() || c.path == path; }));
}

std::string FakeProvider::token_of(const std::string& text) {
  return fnv1a_hex(text);
}

}  // namespace samplemind::testing
