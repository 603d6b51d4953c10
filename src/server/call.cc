#include "server/call.h"

#include "net/offload.h"
#include "server/responses.h"

namespace samplemind::server {

net::Task<void> run_work(Call call, Work work, size_t body_max) {
  auto body = co_await call.exchange.read_body(body_max);
  if (!body.ok()) {
    co_await respond_problem(call.exchange, std::move(body).error());
    co_return;
  }
  auto job = std::make_shared<Job>(Job{
      call.engine(), call.id, std::string(call.exchange.request().query()), std::string(*body)});
  std::function<Result<Reply>()> run = [job, work] { return work(*job); };
  auto reply = co_await net::offload<Reply>(call.engine().blocking, std::move(run));
  if (!reply.ok()) {
    co_await respond_problem(call.exchange, std::move(reply).error());
    co_return;
  }
  net::ResponseHead head;
  head.headers.add("content-type", reply->type);
  head.headers.add("cache-control", "no-store");
  head.headers.add("x-content-type-options", "nosniff");
  if (!reply->file_name.empty())
    head.headers.add("content-disposition", "attachment; filename=\"" + reply->file_name + "\"");
  const std::string text = std::move(reply->body);
  (void)(co_await call.exchange.respond(std::move(head), text)).ok();
}

Result<JsonValue> body_object(const Job& job) {
  SM_TRY(JsonValue value, JsonValue::parse(job.body.empty() ? "{}" : std::string_view(job.body)));
  if (!value.is_object())
    return Error(ErrorCode::kInvalidArgument, "the body must be a JSON object");
  return value;
}

std::string error_line(const Error& e) {
  std::string line = problem_json(e);
  return "{\"type\":\"error\"," + line.substr(line.find("\"title\""));
}

}  // namespace samplemind::server
