// What all providers share: sending a JSON body, reading an answer of either form, saying why a
// call failed.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ai/dialect/dialect.h"
#include "ai/provider.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/json.h"
#include "net/client.h"

namespace samplemind::ai {

inline constexpr size_t kAnswerBytesMax = 32u << 20;

// A failure of the transport, before or within an answer.
UpstreamError from_error(const Error& e, std::string_view provider);
// An answer that is not 2xx. Whatever the upstream says about its own key is our operator's
// business, not the client's fault: 502.
UpstreamError from_status(int status, const net::Headers& headers, const std::string& body,
                          std::string_view provider);
// An error that came inside an answer that had begun well.
UpstreamError from_failure(const AnswerError& failure, std::string_view provider);

// Which models are not answered at which of a server's paths, so that it is not asked there each
// time. For kKnown: servers learn.
class MissingPaths {
 public:
  static constexpr std::chrono::minutes kKnown{10};
  static constexpr size_t kMax = 256;  // the oldest goes

  bool has(Dialect dialect, std::string_view model, SteadyTime now) const;
  void add(Dialect dialect, std::string_view model, SteadyTime now);
  void remove(Dialect dialect, std::string_view model);

 private:
  struct Entry {
    Dialect dialect;
    std::string model;
    SteadyTime until;
  };
  std::deque<Entry> entries_;
};

class HttpProvider : public Provider {
 public:
  using Provider::Provider;
  bool configured() const override { return config_error_.empty(); }
  bool local() const override { return on_this_machine(); }
  std::string endpoint() const override { return base_.authority() + base_.target; }
  bool on_this_machine() const override {
    return base_.host == "localhost" || base_.host == "::1" || base_.host.starts_with("127.");
  }
  net::Task<std::optional<UpstreamError>> chat(net::Client& client, const ChatRequest& request,
                                               CallOptions options, ChatSink& sink) override;
  net::Task<Result<RawAnswer>> raw(net::Client& client, RawRequest request,
                                   net::CancelToken cancel) override;

 protected:
  enum class Framing { kEvents, kLines };

  // One below [ai.endpoints], not the provider's first.
  bool own_endpoint() const { return settings_.name != settings_.provider; }

  // The place that is spoken to, its key and the limits, read once.
  void set_base(std::string text);
  void set_key();
  // ai.PROVIDER.http and the time limits: its own, else those of all providers.
  void set_transport(const Config& config);

  // How the request for a chat looks on the wire; the target's dialect is the one that is spoken.
  virtual Target target(const ChatRequest& request, const CallOptions& options) const = 0;
  virtual std::string chat_path(const Target& target) const = 0;
  virtual Framing framing() const { return Framing::kEvents; }
  // The provider's key and what else it wants in each request.
  virtual void authorize(net::Headers& headers) const = 0;
  // Those of the client's headers that are its own: "openai-", "anthropic-".
  virtual std::string_view header_prefix() const { return {}; }
  // A last word on an answer that is not 200.
  virtual void explain(UpstreamError&, const CallOptions&) const {}

  net::ClientRequest request(std::string method, std::string_view path,
                             std::string body = {}) const;
  // A small JSON answer, quickly or not at all.
  net::Task<Result<JsonValue>> fetch(net::Client& client, std::string path, std::string body = {});

  // Names alone, as models that nothing else is known of.
  std::vector<ModelInfo> infos(const std::vector<std::string>& names) const;
  // The state of a provider that wants a key; the names of the variables to set.
  net::Task<ProviderState> remote_state(net::Client& client, std::string key_variable,
                                        std::string url_variable);

  net::Url base_;
  std::string key_;
  std::string config_error_;
  net::HttpUse use_ = net::HttpUse::kAuto;

 private:
  net::Task<Result<std::unique_ptr<net::ClientResponse>>> send_chat(net::Client& client,
                                                                    const ChatRequest& asked,
                                                                    const CallOptions& options,
                                                                    Target& to);
  net::Task<std::optional<UpstreamError>> read_stream(std::unique_ptr<net::ClientResponse> response,
                                                      std::unique_ptr<AnswerReader> reader,
                                                      Target target, ChatSink& sink);

  struct Timeouts {
    std::chrono::milliseconds first_byte{60000}, idle{30000}, total{600000};
  };
  Timeouts timeouts_;
  MissingPaths missing_;
};

// The texts at `list`[i].`member`, such as the names in a list of models.
std::vector<std::string> names_in(const JsonValue& list, std::string_view member);

}  // namespace samplemind::ai
