#include <signal.h>

#include <string>
#include <vector>

#include "cli/app.h"

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  return samplemind::cli::run_command_line(std::vector<std::string>(argv + 1, argv + argc));
}
