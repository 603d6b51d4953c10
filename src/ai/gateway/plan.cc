#include "ai/gateway/plan.h"

#include "ai/fingerprint.h"

namespace samplemind::ai {

bool one_model(const Plan& p) {
  for (const Candidate& c : p.candidates)
    if (!c.twin_of(p.candidates.front())) return false;
  return true;
}

Digest key_of(const Plan& p, const Provider& provider, std::string_view model) {
  FingerprintScope scope;
  scope.tenant = p.tenant;
  scope.cache_namespace = p.cache_namespace;
  scope.provider = provider.identity();
  scope.model = model;
  scope.headers = p.scope_headers;
  std::string request = canonical_request(*p.request);
  // A prompt that a model goes on with is no message that it answers; elsewhere it becomes one.
  if (p.request->dialect == Dialect::kCompletions && provider.dialect() == Dialect::kOpenAi)
    request += "completion";
  return fingerprint_canonical(scope, request);
}

Failure to_failure(const UpstreamError& e) {
  Failure f{e.status, e.type, e.code, e.message, e.retry_after_ms};
  f.spent = e.spent;
  return f;
}

AnswerError to_answer_error(const Failure& f) {
  return {f.status, f.type, f.code, f.message};
}

Error to_error(const Failure& f) {
  ErrorCode code = ErrorCode::kUpstream;
  if (f.status == 400) code = ErrorCode::kInvalidArgument;
  if (f.status == 403) code = ErrorCode::kPermissionDenied;
  if (f.status == 404) code = ErrorCode::kNotFound;
  if (f.status == 429) code = ErrorCode::kResourceExhausted;
  if (f.status == 499) code = ErrorCode::kCancelled;
  if (f.status == 503) code = ErrorCode::kUnavailable;
  if (f.status == 504) code = ErrorCode::kDeadlineExceeded;
  return Error(code, f.message);
}

}  // namespace samplemind::ai
