// The ear's cost by stage and level, CPU time of one thread:
//   audio_bench [--rounds N] FILE...        one line a stage: ms of CPU, times real time
//   audio_bench --threads N [--longest S] [--count C] [--rounds N] FILE...
//       level standard of the files of at most S seconds, over and over until C, shared by N
//       threads: files a second by the clock and by each thread's CPU time
// The stages of all files are run in turn, round by round, and the median of each is printed, so
// that a busy machine disturbs all alike. bench/audio_peers.py runs this beside librosa and
// Essentia.
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "audio/analyzer.h"
#include "audio/decode/decoder.h"

namespace {

using namespace samplemind;

double cpu_s() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

struct Stage {
  std::string name;
  std::function<bool(const std::string&)> run;
};

bool decode(const std::string& file) {
  auto decoder = audio::Decoder::open(file);
  if (!decoder.ok()) return false;
  std::vector<float> block(16384 * static_cast<size_t>((*decoder)->info().channels));
  for (;;) {
    const auto n = (*decoder)->read(block);
    if (!n.ok()) return false;
    if (*n == 0) return true;
  }
}

bool analyze(const std::string& file, const audio::AnalysisOptions& options) {
  const auto a = audio::Analyzer().analyze(file, options);
  if (!a.ok()) std::fprintf(stderr, "%s\n", a.error().message().c_str());
  return a.ok();
}

double duration_s(const std::string& file) {
  audio::AnalysisOptions o;
  o.only = {audio::Part::kLevels};
  const auto a = audio::Analyzer().analyze(file, o);
  return a.ok() ? a->duration_s : 0;
}

// As a scan does it: each thread takes the next file.
int share(const std::vector<std::string>& named, int threads, double longest_s, size_t count,
          int rounds) {
  std::vector<std::string> files;
  double seconds = 0;
  for (const std::string& f : named) {
    const double s = duration_s(f);
    if (s <= 0 || s > longest_s) continue;
    files.push_back(f);
    seconds += s;
  }
  if (files.empty()) return 1;
  std::printf("%zu files, %.2f s in the mean\n", files.size(),
              seconds / static_cast<double>(files.size()));
  for (int round = 0; round < rounds; ++round) {
    std::atomic<size_t> next{0};
    std::mutex mutex;
    double cpu = 0;
    std::vector<std::thread> workers;
    const auto begun = std::chrono::steady_clock::now();
    for (int t = 0; t < threads; ++t) {
      workers.emplace_back([&] {
        const double from = cpu_s();
        for (size_t i = next++; i < count; i = next++)
          if (!analyze(files[i % files.size()], {})) std::exit(1);
        const std::lock_guard lock(mutex);
        cpu += cpu_s() - from;
      });
    }
    for (std::thread& w : workers) w.join();
    const double clock_s =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    const auto n = static_cast<double>(count);
    std::printf("%zu by %d threads: %.0f files/s by the clock, %.0f by CPU time, x %d cores %.0f\n",
                count, threads, n / clock_s, n / cpu, threads, n / cpu * threads);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  int rounds = 7, threads = 0;
  double longest_s = 1;
  size_t count = 1000;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
      rounds = std::max(1, std::atoi(argv[++i]));
    } else if (std::strcmp(argv[i], "--threads") == 0 && i + 1 < argc) {
      threads = std::max(1, std::atoi(argv[++i]));
    } else if (std::strcmp(argv[i], "--longest") == 0 && i + 1 < argc) {
      longest_s = std::atof(argv[++i]);
    } else if (std::strcmp(argv[i], "--count") == 0 && i + 1 < argc) {
      count = static_cast<size_t>(std::max(1, std::atoi(argv[++i])));
    } else {
      files.emplace_back(argv[i]);
    }
  }
  if (files.empty()) {
    std::fprintf(
        stderr,
        "usage: audio_bench [--rounds N] [--threads N [--longest S] [--count C]] FILE...\n");
    return 2;
  }
  if (threads > 0) return share(files, threads, longest_s, count, rounds);
  std::vector<Stage> stages{{"decode", decode}};
  const auto parts = [&](const std::string& name, audio::Parts only) {
    stages.push_back({name, [only](const std::string& f) {
                        audio::AnalysisOptions o;
                        o.only = only;
                        return analyze(f, o);
                      }});
  };
  for (const audio::Part p : audio::all_parts()) parts("only " + std::string(name(p)), {p});
  for (const audio::Level level : {audio::Level::kBasic, audio::Level::kStandard,
                                   audio::Level::kDetailed, audio::Level::kProfessional}) {
    stages.push_back({"level " + std::string(name(level)), [level](const std::string& f) {
                        audio::AnalysisOptions o;
                        o.level = level;
                        return analyze(f, o);
                      }});
  }
  double seconds = 0;
  for (const std::string& f : files) {
    audio::AnalysisOptions o;
    o.only = {audio::Part::kLevels};
    const auto a = audio::Analyzer().analyze(f, o);
    if (!a.ok()) {
      std::fprintf(stderr, "%s\n", a.error().message().c_str());
      return 1;
    }
    seconds += a->duration_s;
  }
  std::vector<std::vector<double>> times(stages.size());
  for (int round = 0; round < rounds; ++round) {
    for (size_t s = 0; s < stages.size(); ++s) {
      const double begun = cpu_s();
      for (const std::string& f : files)
        if (!stages[s].run(f)) return 1;
      times[s].push_back(cpu_s() - begun);
    }
  }
  std::printf("%zu file(s), %.1f s of sound, median of %d rounds\n", files.size(), seconds, rounds);
  for (size_t s = 0; s < stages.size(); ++s) {
    std::sort(times[s].begin(), times[s].end());
    const double t = times[s][times[s].size() / 2];
    std::printf("%-22s %9.2f ms %9.0f x real time %9.0f files/s\n", stages[s].name.c_str(), t * 1e3,
                seconds / t, static_cast<double>(files.size()) / t);
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("peak memory %.1f MB\n", static_cast<double>(usage.ru_maxrss) / 1024);
  return 0;
}
