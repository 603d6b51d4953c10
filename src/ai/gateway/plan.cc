#include "ai/gateway/plan.h"

namespace samplemind::ai {

Failure to_failure(const UpstreamError& e) {
  return {e.status, e.type, e.code, e.message, e.retry_after_ms};
}

AnswerError to_answer_error(const Failure& f) {
  return {f.status, f.type, f.code, f.message};
}

Error to_error(const Failure& f) {
  ErrorCode code = ErrorCode::kUpstream;
  if (f.status == 400) code = ErrorCode::kInvalidArgument;
  if (f.status == 404) code = ErrorCode::kNotFound;
  if (f.status == 429) code = ErrorCode::kResourceExhausted;
  if (f.status == 499) code = ErrorCode::kCancelled;
  if (f.status == 503) code = ErrorCode::kUnavailable;
  if (f.status == 504) code = ErrorCode::kDeadlineExceeded;
  return Error(code, f.message);
}

}  // namespace samplemind::ai
