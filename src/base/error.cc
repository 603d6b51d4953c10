#include "base/error.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace samplemind {

namespace {
struct CodeInfo {
  std::string_view name;
  int exit;
  int http;
};
CodeInfo info(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return {"invalid-argument", 2, 400};
    case ErrorCode::kUnauthenticated:
      return {"unauthenticated", 77, 401};
    case ErrorCode::kPermissionDenied:
      return {"permission-denied", 77, 403};
    case ErrorCode::kNotFound:
      return {"not-found", 3, 404};
    case ErrorCode::kAlreadyExists:
      return {"already-exists", 4, 409};
    case ErrorCode::kTooLarge:
      return {"too-large", 2, 413};
    case ErrorCode::kUnsupported:
      return {"unsupported", 2, 415};
    case ErrorCode::kResourceExhausted:
      return {"resource-exhausted", 75, 429};
    case ErrorCode::kCancelled:
      return {"cancelled", 130, 499};
    case ErrorCode::kDataLoss:
      return {"data-loss", 65, 422};
    case ErrorCode::kUnavailable:
      return {"unavailable", 69, 503};
    case ErrorCode::kUpstream:
      return {"upstream-error", 69, 502};
    case ErrorCode::kDeadlineExceeded:
      return {"deadline-exceeded", 75, 504};
    case ErrorCode::kInternal:
      break;
  }
  return {"internal", 70, 500};
}
}  // namespace

std::string_view code_name(ErrorCode code) {
  return info(code).name;
}
int exit_code(ErrorCode code) {
  return info(code).exit;
}
int http_status(ErrorCode code) {
  return info(code).http;
}

Error Error::with_context(std::string_view context) && {
  message_.insert(0, ": ");
  message_.insert(0, context);
  return std::move(*this);
}

Error Error::with_context(std::string_view context) const& {
  return Error(*this).with_context(context);
}

Error errno_error(int errno_value, std::string_view what) {
  ErrorCode code = ErrorCode::kUnavailable;
  switch (errno_value) {
    case ENOENT:
    case ENOTDIR:
      code = ErrorCode::kNotFound;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = ErrorCode::kPermissionDenied;
      break;
    case EEXIST:
    case EADDRINUSE:
      code = ErrorCode::kAlreadyExists;
      break;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
      code = ErrorCode::kResourceExhausted;
      break;
    case EINVAL:
    case ENAMETOOLONG:
    case EISDIR:
      code = ErrorCode::kInvalidArgument;
      break;
    default:
      break;
  }
  return Error(code, std::string(what) + ": " + std::strerror(errno_value));
}

void assert_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "samplemind: internal error: %s is not true (%s:%d)\n", expression, file,
               line);
  std::abort();
}

}  // namespace samplemind
