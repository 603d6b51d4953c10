// One door to all dialects: requests read, answers and errors written for a client, requests
// written and answers read for an upstream. What maps to what, and what a dialect cannot say,
// stands in docs/dialects.md. Pure functions but for the readers and writers of one stream, which
// are one answer's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ai/chat.h"
#include "ai/request.h"
#include "base/result.h"

namespace samplemind::ai {

struct ResponseEcho;  // dialect/responses.h

// How a client wants its answer.
struct Form {
  Dialect dialect = Dialect::kOpenAi;
  bool stream = false;
  bool include_usage = false;  // OpenAI's extra last chunk
  bool list = false;           // Gemini's stream as one JSON list instead of events
  std::string model;           // as the client named it, for dialects that repeat it
  // Of OpenAI's responses: what the answer repeats of its request.
  std::shared_ptr<const ResponseEcho> echo = nullptr;
  // Called with the complete answer before its last bytes are written; may be empty.
  std::function<void(const ChatAnswer&)> on_complete = nullptr;
  // Of OpenAI's older completions: the prompt, where the answer is to begin with it.
  std::string lead = {};
};

// A failure as it is told; each dialect has its own shape.
struct AnswerError {
  int status = 502;
  std::string type;  // OpenAI's words: invalid_request_error, upstream_error, ...
  std::string code;
  std::string message;
};

// `model`: of the path, for dialects that name it there; `stream` likewise. kInvalidArgument with
// what is wrong and where.
Result<ChatRequest> read_request(Dialect dialect, std::string_view body,
                                 std::string_view model = {}, bool stream = false);

std::string write_answer(const Form& form, const ChatAnswer& answer);
// The whole answer as the stream that the form asks for.
std::string write_stream(const Form& form, const ChatAnswer& answer);
std::string write_error(Dialect dialect, const AnswerError& error);
std::string_view content_type(const Form& form);

// Writes one answer piece by piece for one client. The first error or end() is the last call.
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  // `head`: the answer as far as it has grown, this piece included.
  virtual void delta(std::string& out, const ChatAnswer& head, const ChatDelta& d) = 0;
  // What closes the stream, the terminal marker included.
  virtual void end(std::string& out, const ChatAnswer& answer) = 0;
  // One error event and no terminal marker.
  virtual void error(std::string& out, const AnswerError& e) = 0;
};
std::unique_ptr<StreamWriter> make_stream_writer(const Form& form);

// What an upstream is sent.
struct Target {
  Dialect dialect = Dialect::kOpenAi;
  std::string_view model;
  bool stream = false;
  bool official = false;  // OpenAI itself, not another server of its dialect
  bool responses = true;  // responses may be spoken where the model is no chat
  std::string written;    // the request's bytes, where choosing the dialect has made them already
};
// The client's own bytes with what must change when it speaks the target's dialect, else a
// translation; kInvalidArgument names what the target cannot express.
Result<std::string> write_request(const Target& target, const ChatRequest& request);

// Reads one answer of an upstream.
class AnswerReader {
 public:
  virtual ~AnswerReader() = default;
  // One event's data, one line, or one element of a list. kUpstream when it is an error or
  // nonsense; `failure` is then set where the upstream said more. Adds pieces to `out`.
  virtual Result<void> event(std::string_view name, std::string data,
                             std::vector<ChatDelta>& out) = 0;
  // The whole answer's body.
  virtual Result<ChatAnswer> whole(std::string_view body) = 0;
  // The upstream's connection ended properly: for dialects whose last piece is their only marker.
  virtual void ended() {}

  std::string made_id;    // unlike any other answer's: for calls that come without an id
  ChatAnswer head;        // id, model, time
  size_t choices = 0;     // that the answer has; only the first is read
  bool done = false;      // the terminal marker was seen
  bool finished = false;  // a reason why the answer ended
  std::optional<AnswerError> failure;
};
std::unique_ptr<AnswerReader> make_answer_reader(Dialect dialect);

}  // namespace samplemind::ai
