// The command line as a whole: which commands there are, what went wrong in the words typed.
#pragma once

#include <string>
#include <vector>

namespace samplemind::cli {

// Parses and runs; gives the exit status. `arguments` without the program's name.
int run_command_line(std::vector<std::string> arguments);

}  // namespace samplemind::cli
