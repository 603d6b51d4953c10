#include "cli/stack.h"

#include <unistd.h>

#include "base/files.h"
#include "base/process.h"

namespace samplemind::cli {

namespace {

// True when `program arguments...` ends with 0 within ten seconds.
bool works(std::vector<std::string> argv) {
  ProcessOptions options;
  options.argv = std::move(argv);
  const auto pid = start_process(options);
  return pid.ok() && wait_process(*pid, std::chrono::seconds(10)) == 0;
}

}  // namespace

Result<int> run_stack(const Context& context, bool up) {
  const auto checkout = env("SAMPLEMIND_CHECKOUT");
  if (!checkout)
    return Error(ErrorCode::kUnsupported, "--stack needs the source checkout",
                 "run ./samplemind " + std::string(up ? "up" : "down") +
                     " --stack there; without containers: samplemind up");
  const fs::path file = fs::path(*checkout) / "docker" / "compose.yaml";
  std::error_code ignored;
  if (!fs::exists(file, ignored))
    return Error(ErrorCode::kNotFound, file.string() + " is not there",
                 "is the checkout complete? git status shows what is missing");
  std::vector<std::string> argv;
  if (works({"docker", "compose", "version"})) {
    argv = {"docker", "compose"};
  } else if (works({"podman", "compose", "version"})) {
    argv = {"podman", "compose"};
  } else if (find_program("podman-compose")) {
    argv = {"podman-compose"};
  } else if (find_program("docker-compose")) {
    argv = {"docker-compose"};
  } else {
    return Error(ErrorCode::kUnavailable, "neither docker compose nor podman compose is installed",
                 "install one (apt install podman-compose), or use samplemind up, which needs no "
                 "containers");
  }
  argv.insert(argv.end(), {"-f", file.string()});
  if (up) {
    argv.insert(argv.end(), {"up", "-d", "--build"});
  } else {
    argv.emplace_back("down");
  }
  std::string shown;
  for (const std::string& word : argv) shown += (shown.empty() ? "" : " ") + word;
  print_note(context.err, shown);
  // Its own progress is the best one: it takes our place.
  std::vector<char*> words;
  for (std::string& word : argv) words.push_back(word.data());
  words.push_back(nullptr);
  ::execvp(words[0], words.data());
  return errno_error(errno, "run " + argv[0]);
}

}  // namespace samplemind::cli
