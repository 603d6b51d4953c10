#include "cli/stack.h"

#include <unistd.h>

#include <cstdlib>

#include "base/files.h"
#include "base/process.h"
#include "cli/service_control.h"

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

Result<int> run_stack(const Context& context, const StackOptions& options) {
  const auto checkout = env("SAMPLEMIND_CHECKOUT");
  if (!checkout)
    return Error(ErrorCode::kUnsupported, "--stack needs the source checkout",
                 "run ./samplemind " + std::string(options.up ? "up" : "down") +
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
  argv.insert(argv.end(), {"-p", "samplemind", "-f", file.string()});
  // The compose file does not parse without a key, not even for 'down'.
  const fs::path home = context.home();
  SM_CHECK_OK(make_private_dir(home));
  std::string key = stored_api_key(home);
  if (key.empty()) {
    SM_TRY(key, generate_api_key(home));
  }
  ::setenv("SAMPLEMIND_SERVER_API_KEY", key.c_str(), 0);
  if (options.port >= 0) ::setenv("SAMPLEMIND_PORT", std::to_string(options.port).c_str(), 1);
  if (options.up) {
    if (!options.with.empty()) ::setenv("COMPOSE_PROFILES", options.with.c_str(), 1);
    argv.insert(argv.end(), {"up", "-d", "--build"});
    print_note(context.err, "The stack asks for a key: it is in " + (home / "api_key").string());
  } else {
    ::setenv("COMPOSE_PROFILES", "ollama,redis,mongodb", 1);  // whichever of them run
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
