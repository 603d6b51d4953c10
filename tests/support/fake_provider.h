// A scripted AI provider for tests: speaks OpenAI's, Ollama's, Anthropic's (/v1/messages) and
// Gemini's (/v1beta) HTTP on a free loopback port,
// gives every answer a token made from its request, fails on request in each way that real
// upstreams do, and keeps its own log of calls and tokens. In C++ use the class; from elsewhere
// start the executable `fake_provider`, which prints {"port":N,"url":"..."} as its first line.
//
// A last user message that holds "call the tool" is answered by a call of each tool; one that holds
// "as JSON" under a JSON schema by an object of that schema; else by "echo:" and the token.
//
// What fails is chosen in one of two ways:
// - a script: script({.path = "/v1/chat/completions", .fault = "s08", .times = 1}), or over HTTP
//   POST /__script {"path":"...","model":"...","scenario":"S08","times":1,"delay_ms":..,"at":..}
//   (a list of them too). The first script that fits and is not used up is taken.
// - the model's name: "fault-s08", "fault-s07-ms200-x1" (ms: delay, x: how often, at: position).
//   The count is kept for each full name, so a test that adds a suffix of its own has its own
//   count.
//
// Faults and what their defaults are (delay_ms, times, at change them):
//   s01 429 with Retry-After: 2, once        s09 stream stalls 30 s after 40 tokens
//   s02 429 always                           s10 the tenth chunk is malformed
//   s03 500 once                             s11 no terminal marker ([DONE], done:true)
//   s04 503 always                           s12 400 context_length_exceeded
//   s05 TCP reset once                       s13 content filter
//   s06 never answers                        s14 400 when the last message is the assistant's
//   s07 first token after 20 s               s15 503 for 60 s from the first call on, then well
//   s08 stream cut after 40 of 60 tokens     s16 503 once, then an answer with cached tokens
//   401 wrong key    404 no such model       header-too-large   wrong-length   chunked-cut
//   invalid-utf8 (a stray 0xFF in the text)  split (each byte is its own write)   slow (delay_ms
//   between tokens)  say (`text` is the answer)  no-usage                utf8-split (a character of three bytes over two
//   writes)          error-event (after 40 tokens, or `at`, an error within the stream)
//
// Control: GET /__log (all calls), GET /__count (?path=/v1/chat/completions), POST /__reset.
// All members are thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace samplemind::testing {

struct FakeScript {
  std::string path;        // empty: every path but the control ones
  std::string model;       // empty: every model; else it must occur in the request's model
  std::string fault;       // a name from the table above, in either case
  int times = 0;           // how many calls it meets; 0: the fault's default; -1: always
  int delay_ms = -1;       // s07, s09, s15, slow; -1: the default
  int at = -1;             // s08, s09, s10, s11: after so many tokens; -1: the default
  int retry_after_s = -1;  // s01, s02, s04; -1: 2 s for s01, none else
  std::string text = {};   // say
};

struct FakeCall {
  int64_t at_ms = 0;  // since the provider started
  std::string method, path;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string model;
  std::string digest;   // FNV-1a 64 of the last user message: the answer's token
  std::string fault;    // what met it, or empty
  std::string outcome;  // "ok", "error", "reset", "cut", "hung"; "open" while it runs
  int status = 0;
  int64_t input_tokens = 0, output_tokens = 0;  // what the answer's usage said or would have said
  bool client_aborted = false;                  // the client left before the answer's end
};

class FakeProvider {
 public:
  // Listens at 127.0.0.1:`port` (0: a free one). Aborts the test when it cannot.
  explicit FakeProvider(uint16_t port = 0);
  ~FakeProvider();  // ends every connection and joins its threads
  FakeProvider(const FakeProvider&) = delete;
  FakeProvider& operator=(const FakeProvider&) = delete;

  uint16_t port() const;
  std::string url() const;         // "http://127.0.0.1:NNNN"
  std::string openai_url() const;  // with /v1

  void script(FakeScript script);
  void reset();  // forgets scripts, counts and the log
  std::vector<FakeCall> log() const;
  size_t count(const std::string& path = {}) const;

  // The token that the answer to a last user message `text` carries, and how it starts.
  static std::string token_of(const std::string& text);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace samplemind::testing
