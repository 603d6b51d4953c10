// Errors as values.
//
// An Error says what went wrong (message), where (a chain of contexts, outermost first) and what
// the user can do about it (hint). Codes are few and map to one exit code and one HTTP status each.
// Values are immutable after construction and may cross threads.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

namespace samplemind {

enum class ErrorCode {
  kInvalidArgument,    // the caller's input is wrong: exit 2, HTTP 400
  kUnauthenticated,    // no or wrong key: exit 77, HTTP 401
  kPermissionDenied,   // known but not allowed: exit 77, HTTP 403
  kNotFound,           // exit 3, HTTP 404
  kAlreadyExists,      // also "already running": exit 4, HTTP 409
  kTooLarge,           // over a limit: exit 2, HTTP 413
  kUnsupported,        // a format or feature we do not have: exit 2, HTTP 415
  kResourceExhausted,  // rate limit, queue full, budget: exit 75, HTTP 429
  kCancelled,          // the caller went away: exit 130, HTTP 499
  kDataLoss,           // damaged or truncated data: exit 65, HTTP 422
  kUnavailable,        // something we need does not answer: exit 69, HTTP 503
  kUpstream,           // an upstream answered with an error or nonsense: exit 69, HTTP 502
  kDeadlineExceeded,   // exit 75, HTTP 504
  kInternal,           // our mistake: exit 70, HTTP 500
};

// The code's name in lower case with hyphens, such as "not-found"; stable, part of the API.
std::string_view code_name(ErrorCode code);
// Process exit status for a command that ended with this error (sysexits.h where one fits).
int exit_code(ErrorCode code);
int http_status(ErrorCode code);

class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string message, std::string hint = {})
      : code_(code), message_(std::move(message)), hint_(std::move(hint)) {}

  ErrorCode code() const { return code_; }
  // What went wrong with its context: "reading /a/b.toml: line 3: expected a value".
  const std::string& message() const { return message_; }
  // What to do about it; empty when there is nothing useful to say.
  const std::string& hint() const { return hint_; }

  // The same error seen from one level further out.
  Error with_context(std::string_view context) &&;
  Error with_context(std::string_view context) const&;

 private:
  ErrorCode code_;
  std::string message_;
  std::string hint_;
};

// Error from errno: "open /x: Permission denied", with the code that fits.
Error errno_error(int errno_value, std::string_view what);

[[noreturn]] void assert_failed(const char* expression, const char* file, int line);

}  // namespace samplemind

// For our own mistakes only, on in every build. Nothing that comes from outside may reach it.
#define SM_ASSERT(expression) \
  ((expression) ? (void)0 : ::samplemind::assert_failed(#expression, __FILE__, __LINE__))
