// library_scan_helper HOME FOLDER: scans until it is killed. Writes one byte to standard output for
// every time that more files than before are in the catalogue.
#include <unistd.h>

#include <cstdio>

#include "library/scanner.h"
#include "library/test_support.h"

int main(int argc, char** argv) {
  using namespace samplemind::library;
  if (argc != 3) return 2;
  auto catalogue = open_catalogue(argv[1], Catalogue::Access::kWrite);
  if (!catalogue.ok()) {
    std::fprintf(stderr, "%s\n", catalogue.error().message().c_str());
    return 1;
  }
  size_t stored = (*catalogue)->known()->size();
  ScanOptions options;
  options.paths = {argv[2]};
  options.threads = 2;
  options.on_progress = [&](const ScanProgress&) {
    const size_t now = (*catalogue)->known()->size();
    if (now > stored && ::write(STDOUT_FILENO, "+", 1) != 1) ::_exit(3);
    stored = now;
  };
  return scan(**catalogue, options).ok() ? 0 : 1;
}
