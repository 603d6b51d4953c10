// samplemind logs
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <thread>

#include "base/files.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/service_control.h"

namespace samplemind::cli {

namespace {

struct LogsFlags {
  std::string service = "samplemind";
  bool follow = false;
  int lines = 50;
  bool json = false;
};

// A JSON record as a person reads it; other lines as they are.
std::string readable(const Terminal& out, const std::string& line) {
  if (!line.starts_with('{')) return printable(line, true);
  const auto record = JsonValue::parse(line);
  if (!record.ok() || !(*record)["event"].is_string()) return printable(line, true);
  std::string time = (*record)["time"].string_or((*record)["ts"].string_or(""));
  const std::string level = (*record)["level"].string_or("info");
  const Style style = level == "error"  ? Style::kRed
                      : level == "warn" ? Style::kYellow
                                        : Style::kPlain;
  std::string text =
      styled(out, Style::kDim, printable(time)) + " " +
      styled(out, style, level + std::string(level.size() < 5 ? 5 - level.size() : 0, ' ')) + " " +
      styled(out, Style::kBold, printable((*record)["event"].string_or("")));
  for (const auto& [name, value] : record->members()) {
    if (name == "time" || name == "ts" || name == "level" || name == "event") continue;
    text += " " + styled(out, Style::kDim, printable(name) + "=") +
            printable(value.is_string() ? value.string_or("") : value.dump());
  }
  return text;
}

Result<int> run_logs(const Context& context, const LogsFlags& flags) {
  const fs::path folder = context.home() / "logs";
  std::vector<std::string> known;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.path().extension() == ".log") known.push_back(entry.path().stem().string());
  std::sort(known.begin(), known.end());
  if (std::find(known.begin(), known.end(), flags.service) == known.end()) {
    if (known.empty())
      return Error(ErrorCode::kNotFound, "nothing has been logged yet in " + folder.string(),
                   "samplemind up starts the service");
    std::string list;
    for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
    const auto close = nearest(flags.service, known);
    return Error(ErrorCode::kNotFound, "there is no log of '" + flags.service + "'",
                 close ? "did you mean '" + *close + "'?" : "there are logs of " + list);
  }
  const fs::path file = folder / (flags.service + ".log");
  const auto show = [&](const std::string& line) {
    print((flags.json || !context.out.tty ? line : readable(context.out, line)) + "\n");
  };
  std::error_code gone;
  uint64_t at = fs::file_size(file, gone);
  for (const std::string& line : last_lines(file, static_cast<size_t>(flags.lines))) show(line);
  if (!flags.follow) return 0;
  const InterruptGuard interrupts;
  std::string pending;
  while (!InterruptGuard::flag()) {
    const uint64_t size = fs::file_size(file, gone);
    if (!gone && size < at) at = 0;  // it was cut or begun anew
    if (!gone && size > at) {
      std::ifstream in(file, std::ios::binary);
      in.seekg(static_cast<std::streamoff>(at));
      std::string block(static_cast<size_t>(std::min<uint64_t>(size - at, 1 << 20)), '\0');
      in.read(block.data(), static_cast<std::streamsize>(block.size()));
      block.resize(static_cast<size_t>(in.gcount()));
      at += block.size();
      pending += block;
      for (size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1))
        show(pending.substr(0, end));
      continue;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  return 0;
}

}  // namespace

Run add_logs(Arguments command, Context& context) {
  auto flags = std::make_shared<LogsFlags>();
  command.add_option("SERVICE", flags->service, "samplemind (the default) or ollama");
  command.add_flag("-f,--follow", flags->follow,
                   "Go on with what is written from now; Ctrl-C ends");
  command.add_option("-n,--lines", flags->lines, "How many of the last lines (50)")
      .type_name("N")
      .range(0, 1000000);
  command.add_flag("--json", flags->json, "The lines as they were written");
  return [flags, &context] { return run_logs(context, *flags); };
}

}  // namespace samplemind::cli
