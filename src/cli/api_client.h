// The service's API as commands use it: over HTTP when the service is up, else by calling the same
// routes in this process. Blocking, for one thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "cli/context.h"
#include "net/loop.h"

namespace samplemind::cli {

class ApiClient {
 public:
  enum class Need {
    kRead,     // looks only
    kWrite,    // changes the library: opened for writing when the service is down
    kService,  // the running service or nothing: kUnavailable with what to do
  };
  static Result<std::unique_ptr<ApiClient>> open(const Context& context, Need need);
  virtual ~ApiClient() = default;

  // The running service's address, or empty when this process does the work itself.
  virtual std::string address() const = 0;

  // An answer of one JSON value. Problem details become an Error with title, detail and hint.
  Result<JsonValue> get(std::string target);
  // The same for a POST.
  Result<JsonValue> post(std::string target, std::string body);
  // The same with another method and a body of JSON.
  Result<JsonValue> send(std::string method, std::string target, std::string body);
  // An answer of any bytes (an export).
  Result<std::string> fetch(std::string target);
  // An answer of JSON lines. An {"type":"error"} line, or an answer that was cut, is an Error
  // (after the lines before it). `cancel` (optional) ends it with kCancelled once set.
  Result<void> stream(std::string target, std::string body,
                      const std::function<void(const JsonValue&)>& on_line,
                      const std::atomic<bool>* cancel = nullptr);

  struct Call {
    std::string method;
    std::string target;
    std::string body;
    // Pieces of the answer with its status, as they come.
    std::function<void(int status, std::string_view piece)> on_piece;
  };

 protected:
  // Gives the status once the answer ended properly.
  virtual Result<int> perform(Call call, const std::atomic<bool>* cancel) = 0;
};

// An Error from problem details or an error line.
Error error_from_problem(const JsonValue& problem, int status);

// Fires `token` soon after `flag` is set, while it lives. On the loop's thread.
class CancelPoll {
 public:
  CancelPoll(net::Loop& loop, const std::atomic<bool>* flag, net::CancelToken token);

 private:
  void arm();
  net::Loop& loop_;
  const std::atomic<bool>* flag_;
  net::CancelToken token_;
  net::Loop::Timer timer_;
};

}  // namespace samplemind::cli
