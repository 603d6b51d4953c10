// samplemind route: where requests would go, and why. Nothing is asked but lists of models.
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>

#include "ai/money.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"

namespace samplemind::cli {

namespace {

constexpr size_t kFileMax = 256u << 20;

struct RouteFlags {
  std::string action, file;
  bool json = false;
};

Result<std::string> read_all(const std::string& file) {
  if (file == "-") {
    std::string text;
    char buffer[65536];
    while (std::cin.read(buffer, sizeof buffer), std::cin.gcount() > 0) {
      text.append(buffer, static_cast<size_t>(std::cin.gcount()));
      if (text.size() > kFileMax)
        return Error(ErrorCode::kTooLarge, "standard input holds more than 256 MiB");
    }
    return text;
  }
  return read_file(file, kFileMax);
}

std::string most(const JsonValue& candidate) {
  const auto n = candidate["most_microusd"].integer();
  return n ? "at most about " + ai::dollars(*n) : "price unknown";
}

Result<int> run_explain(const Context& context, const RouteFlags& f) {
  SM_TRY(const std::string body, read_all(f.file));
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  SM_TRY(const JsonValue report, api->post("/api/v1/route", body));
  if (f.json) {
    print(report.dump() + "\n");
    return 0;
  }
  std::string text = printable(report["line"].string_or("")) + "\n\n";
  const auto& candidates = report["candidates"].items();
  for (size_t i = 0; i < candidates.size(); ++i) {
    text += (i == 0 ? "  first  " : "  then   ") +
            styled(context.out, i == 0 ? Style::kBold : Style::kPlain,
                   printable(candidates[i]["model"].string_or("?"))) +
            ", " + most(candidates[i]) + "\n";
  }
  for (const JsonValue& each : report["skipped"].items())
    text += "  not    " + styled(context.out, Style::kDim, printable(each.string_or(""))) + "\n";
  text += "\nThe request holds about " + human_count(report["input_tokens"].integer_or(0)) +
          " tokens.\n";
  print(text);
  return 0;
}

Result<int> run_test(const Context& context, const RouteFlags& f) {
  SM_TRY(const std::string text, read_all(f.file));
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kRead));
  size_t line = 0, failed = 0, asked = 0;
  std::map<std::string, size_t> counts;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string request = text.substr(at, end - at);
    at = end + 1;
    ++line;
    if (request.find_first_not_of(" \t\r") == std::string::npos) continue;
    ++asked;
    const auto report = api->post("/api/v1/route", request);
    if (!report.ok()) {
      // A service that is gone will not be back for the next line.
      if (report.error().code() == ErrorCode::kUnavailable && asked == 1 &&
          report.error().message().find("no AI provider") == std::string::npos)
        return report.error();
      ++failed;
      if (f.json) {
        std::string out;
        JsonWriter(out)
            .begin_object()
            .field("line", line)
            .field("error", report.error().message())
            .end_object();
        print(out + "\n");
      } else {
        print(std::to_string(line) + "  " + styled(context.out, Style::kRed, "refused") + "  " +
              printable(report.error().message()) + "\n");
      }
      continue;
    }
    ++counts[(*report)["candidates"][0]["model"].string_or("?")];
    if (f.json) {
      std::string out;
      JsonWriter w(out);
      w.begin_object().field("line", line).key("report");
      report->write(w);
      w.end_object();
      print(out + "\n");
    } else {
      print(std::to_string(line) + "  " + printable((*report)["line"].string_or("")) + "\n");
    }
  }
  if (asked == 0)
    return Error(ErrorCode::kInvalidArgument, f.file + " holds no request",
                 "one JSON object a line, as POST /v1/chat/completions takes it");
  if (!f.json) {
    std::string sums;
    for (const auto& [model, n] : counts)
      sums += (sums.empty() ? "" : ", ") + std::to_string(n) + " to " + model;
    print_note(context.err, std::to_string(asked) + " requests: " + sums +
                                (failed > 0 ? ", " + std::to_string(failed) + " refused" : ""));
  }
  return failed > 0 ? exit_code(ErrorCode::kInvalidArgument) : 0;
}

}  // namespace

Run add_route(Arguments command, Context& context) {
  auto f = std::make_shared<RouteFlags>();
  command.add_option("ACTION", f->action, "explain (one request) or test (one a line)").required();
  command.add_option("FILE", f->file, "Requests in OpenAI's form; - reads standard input")
      .required();
  command.add_flag("--json", f->json, "One object a request");
  return [f, &context]() -> Result<int> {
    if (f->action == "explain") return run_explain(context, *f);
    if (f->action == "test") return run_test(context, *f);
    const auto close = nearest(f->action, {"explain", "test"});
    return Error(ErrorCode::kInvalidArgument, "'samplemind route' cannot '" + f->action + "'",
                 close ? "did you mean '" + *close + "'?" : "it can explain and test");
  };
}

}  // namespace samplemind::cli
