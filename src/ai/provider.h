// A provider: where models answer. Providers belong to one loop; their tasks must end before the
// client they are given is destroyed.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ai/chat.h"
#include "ai/endpoints.h"
#include "ai/request.h"
#include "base/config.h"
#include "base/result.h"
#include "net/client.h"
#include "net/loop.h"

namespace samplemind::ai {

struct ModelInfo {
  std::string provider;
  std::string name;
  bool local = false;
  std::optional<int64_t> size_bytes;
  std::optional<int64_t> context_tokens;
  std::optional<double> input_usd_per_million;  // nothing: unknown
  std::optional<double> output_usd_per_million;
};

struct ProviderState {
  std::string name;
  bool usable = false;
  std::string detail;  // what is there, or what is wrong
  std::string remedy;  // the one thing to do; empty when usable
};

// Why a call failed, as a client should hear it.
struct UpstreamError {
  int status = 502;
  std::string type = "upstream_error";
  std::string code;
  std::string message;
  std::optional<int64_t> retry_after_ms;
  bool retry = false;  // trying again may help
  bool spent = false;  // it was tried again already, as often as may be
};

// Takes an answer as it comes: either delta() many times or whole() once.
class ChatSink {
 public:
  virtual ~ChatSink() = default;
  virtual void delta(ChatDelta delta, const ChatAnswer& head) = 0;
  // `body` is the upstream's own text, in its dialect; `choices` is their number.
  virtual void whole(ChatAnswer answer, std::string body, Dialect dialect, size_t choices) = 0;
  // The response whose terminal marker was seen but not its last byte: read to its end it leaves
  // its connection for the next request.
  virtual void rest(std::unique_ptr<net::ClientResponse> response) { response.reset(); }
};

struct CallOptions {
  std::string model;
  bool stream = false;
  net::Headers headers;  // of the client's, to hand on: those that can change the answer
  std::chrono::milliseconds total_timeout{600000};  // for this try
  std::chrono::milliseconds first_byte_timeout{0};  // less than the provider's own; 0: that one
  net::CancelToken cancel;
};

// A request that is handed on as it is: embeddings, counted tokens. The path is below the
// provider's address.
struct RawRequest {
  std::string method = "POST";
  std::string path;
  std::string body;
};
struct RawAnswer {
  int status = 0;
  std::string body;
  std::optional<UpstreamError> error;  // set when the status is no success
};

struct PullProgress {
  std::string status;
  int64_t completed_bytes = 0;
  int64_t total_bytes = 0;  // 0: unknown
};

class Provider {
 public:
  explicit Provider(EndpointSettings settings) : settings_(std::move(settings)) {}
  virtual ~Provider() = default;
  // Of the provider that it is an endpoint of: what models, prices and keys go by.
  const std::string& name() const { return settings_.provider; }
  // Its own, which messages and routes go by: the provider's for the first.
  const std::string& label() const { return settings_.name; }
  double weight() const { return settings_.weight; }
  const std::vector<std::string>& only_models() const { return settings_.models; }
  virtual bool configured() const = 0;
  virtual bool local() const = 0;
  virtual Dialect dialect() const = 0;  // of its chats

  // Where it is: "api.openai.com/v1".
  virtual std::string endpoint() const = 0;
  // Whether what is sent there stays on this machine: by the address, not by the provider's name.
  virtual bool on_this_machine() const = 0;
  // What tells its models from others of the same names. The endpoints of a provider share that of
  // the first: "openai api.openai.com/v1".
  const std::string& identity() const { return identity_; }
  void set_identity(std::string identity) { identity_ = std::move(identity); }

  // One try. Nothing when the answer came whole: every byte, the terminal marker, a finish reason.
  // A stream that ends before its marker, stalls or holds nonsense is an error, also after pieces
  // were given. A request that this provider's dialect cannot express is a 400 that names what.
  // `request` and `sink` must outlive the task.
  virtual net::Task<std::optional<UpstreamError>> chat(net::Client& client,
                                                       const ChatRequest& request,
                                                       CallOptions options, ChatSink& sink) = 0;
  virtual net::Task<Result<RawAnswer>> raw(net::Client& client, RawRequest request,
                                           net::CancelToken cancel) = 0;
  // Names alone: one quick request.
  virtual net::Task<Result<std::vector<std::string>>> model_names(net::Client& client) = 0;
  virtual net::Task<Result<std::vector<ModelInfo>>> models(net::Client& client) = 0;
  virtual net::Task<ProviderState> state(net::Client& client) = 0;
  // Ollama only; others refuse. Resumes where an earlier pull stopped.
  virtual net::Task<Result<void>> pull(net::Client& client, std::string model,
                                       std::function<void(const PullProgress&)> on_progress,
                                       net::CancelToken cancel);
  // Ollama only; others refuse. Ends once the model is in memory, which may take minutes.
  virtual net::Task<Result<void>> load(net::Client& client, std::string model,
                                       net::CancelToken cancel);

 protected:
  const EndpointSettings settings_;

 private:
  std::string identity_;
};

std::unique_ptr<Provider> make_ollama(const Config& config, EndpointSettings settings);
std::unique_ptr<Provider> make_openai(const Config& config, EndpointSettings settings);
std::unique_ptr<Provider> make_anthropic(const Config& config, EndpointSettings settings);
std::unique_ptr<Provider> make_gemini(const Config& config, EndpointSettings settings);
// One for each endpoint, in the order of read_endpoints(), which has found nothing wrong.
std::vector<std::unique_ptr<Provider>> make_providers(const Config& config);

// Milliseconds of a Retry-After value: seconds, or an HTTP date against `now_unix_s`. Nothing when
// it is neither.
std::optional<int64_t> parse_retry_after_ms(std::string_view value, int64_t now_unix_s);

}  // namespace samplemind::ai
