// fake_provider [--port N]: the scripted provider as a program; runs until its stdin ends or a
// signal comes, so that it never outlives the test that started it.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "support/fake_provider.h"

int main(int argc, char** argv) {
  uint16_t port = 0;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], "--port") == 0) port = static_cast<uint16_t>(std::atoi(argv[i + 1]));
  }
  samplemind::testing::FakeProvider provider(port);
  std::printf("{\"port\":%d,\"url\":\"%s\"}\n", provider.port(), provider.url().c_str());
  std::fflush(stdout);
  char buffer[256];
  while (read(STDIN_FILENO, buffer, sizeof buffer) > 0) {
  }
  return 0;
}
