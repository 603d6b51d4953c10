#include <signal.h>
#include <sys/prctl.h>

#include <string>
#include <vector>

#include "cli/app.h"

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  // A core dump would hold the providers' keys.
  ::prctl(PR_SET_DUMPABLE, 0);
  return samplemind::cli::run_command_line(std::vector<std::string>(argv + 1, argv + argc));
}
