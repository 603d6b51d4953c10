// A library of a million sounds, with script-made names and descriptors.
//
//   library_million make HOME [SOUNDS]   fills HOME with a library (1,000,000), and writes its
//                                        descriptors' values to HOME/vectors.i8 for the peers
//   library_million measure HOME         opens it and prints one line of JSON: times by the clock
//                                        and in CPU time of all threads (which a busy machine does
//                                        not stretch), SQLite's LIKE on the same rows beside them
//
// bench/library_search.py does both and measures the service and nearest-neighbour libraries too.
#include <sqlite3.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "library/catalogue.h"

namespace {

using namespace samplemind;
using namespace samplemind::library;
using Clock = std::chrono::steady_clock;

constexpr size_t kBatch = 5000;
constexpr size_t kCentres = 3000;  // sounds come in families, as packs have them

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

const char* const kKinds[] = {"kick", "snare", "hat_closed", "hat_open", "clap", "tom",   "ride",
                              "bass", "pad",   "lead",       "vocal",    "fx",   "crash", "perc"};
const char* const kWords[] = {
    "Deep", "Dusty", "Warm",  "Bright", "Analog", "Vinyl", "Tight", "Fat",    "Short", "Long",
    "Room", "Dry",   "Wet",   "Soft",   "Hard",   "Lofi",  "Clean", "Metal",  "Wood",  "Glass",
    "Sub",  "Air",   "Noise", "Punch",  "Click",  "Night", "Ocean", "Forest", "City",  "Retro",
    "Tape", "Grit",  "Pulse", "Drift",  "Haze",   "Storm", "Solar", "Lunar",  "Amber", "Cobalt"};
const char* const kKeys[] = {"C major", "A minor", "F# minor", "D# minor", "G major", "E minor"};

struct Maker {
  std::mt19937 random{20261124};
  std::vector<std::array<int8_t, audio::kDescriptorDims>> centres;

  Maker() {
    centres.resize(kCentres);
    for (auto& c : centres)
      for (int8_t& v : c) v = static_cast<int8_t>(static_cast<int>(random() % 121) - 60);
  }
  std::string descriptor(size_t i) {
    std::string d(audio::kDescriptorBytes, '\0');
    d[0] = static_cast<char>(audio::kDescriptorVersion);
    std::normal_distribution<float> noise(0, 14);
    const auto& centre = centres[(i * 7919) % kCentres];
    for (size_t k = 0; k < audio::kDescriptorDims; ++k) {
      const float v = std::clamp(static_cast<float>(centre[k]) + noise(random), -127.0f, 127.0f);
      d[audio::kDescriptorHeaderBytes + k] = static_cast<char>(static_cast<int8_t>(v));
    }
    return d;
  }
  Sample sample(size_t i) {
    Sample s;
    const std::string kind = kKinds[random() % std::size(kKinds)];
    const bool loop = random() % 4 == 0;
    const int bpm = 70 + static_cast<int>(random() % 110);
    std::string name = std::string(kWords[random() % std::size(kWords)]) + "_" +
                       kWords[random() % std::size(kWords)] + "_" + kind.substr(0, kind.find('_'));
    if (loop) name += "_" + std::to_string(bpm) + "bpm";
    s.file.path = "/sounds/Pack " + std::to_string(i / 400) + "/" + kind + "/" + name + "_" +
                  std::to_string(i % 1000) + (i % 5 == 0 ? ".flac" : ".wav");
    s.file.size = 44100;
    s.file.mtime_ns = static_cast<int64_t>(i) + 1;
    s.added_ms = 1700000000000 + static_cast<int64_t>(i);
    s.analysis_version = audio::kAnalysisVersion;
    audio::Analysis& a = s.analysis;
    a.format = i % 5 == 0 ? "flac" : "wav";
    a.duration_s = loop ? 240.0 / bpm * 4 : 0.1 + static_cast<double>(random() % 2000) / 1000;
    a.sample_rate_hz = 44100;
    a.channels = 1 + static_cast<int>(random() % 2);
    a.bit_depth = 16;
    a.loudness_lufs = -6.0 - static_cast<double>(random() % 200) / 10;
    a.content = loop ? "loop" : "oneshot";
    a.kind = kind;
    a.kind_confidence = 0.9;
    if (loop) {
      a.tempo_bpm = bpm;
      a.tempo_confidence = 0.9;
    }
    if (random() % 3 == 0) {
      a.key = kKeys[random() % std::size(kKeys)];
      a.key_confidence = 0.8;
    }
    a.descriptor = descriptor(i);
    return s;
  }
};

int fail(const Error& e) {
  std::fprintf(stderr, "library_million: %s\n", e.message().c_str());
  return 1;
}

int make(const fs::path& home, size_t sounds) {
  auto opened = Catalogue::open(home, Catalogue::Access::kWrite);
  if (!opened.ok()) return fail(opened.error());
  std::ofstream vectors(home / "vectors.i8", std::ios::binary);
  Maker maker;
  const auto start = Clock::now();
  std::vector<Sample> batch;
  for (size_t i = 0; i < sounds; ++i) {
    batch.push_back(maker.sample(i));
    vectors.write(batch.back().analysis.descriptor.data() + audio::kDescriptorHeaderBytes,
                  audio::kDescriptorDims);
    if (batch.size() == kBatch || i + 1 == sounds) {
      if (auto put = (*opened)->put(batch); !put.ok()) return fail(put.error());
      batch.clear();
    }
  }
  std::printf("{\"sounds\":%zu,\"stored_per_s\":%.0f}\n", sounds,
              static_cast<double>(sounds) * 1000 / ms_since(start));
  return 0;
}

double percentile(std::vector<double> values, double p) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1,
                         static_cast<size_t>(p * static_cast<double>(values.size())))];
}

double cpu_ms() {
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  return static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
         static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

// Times of one kind of call.
struct Times {
  std::vector<double> clock, cpu;

  template <class F>
  auto of(const F& call) {
    const double before = cpu_ms();
    const auto start = Clock::now();
    auto result = call();
    clock.push_back(ms_since(start));
    cpu.push_back(cpu_ms() - before);
    return result;
  }
  void write(JsonWriter& w, const std::string& name) const {
    w.field(name + "_ms_p50", percentile(clock, 0.5))
        .field(name + "_ms_p99", percentile(clock, 0.99));
    w.field(name + "_cpu_ms_p50", percentile(cpu, 0.5))
        .field(name + "_cpu_ms_p99", percentile(cpu, 0.99));
  }
};

// The same questions to SQLite without an index of words: LIKE on the path, and a tempo range.
bool ask_like(const fs::path& home, Times& times) {
  sqlite3* db = nullptr;
  bool well = sqlite3_open_v2((home / "library.db").c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) ==
              SQLITE_OK;
  for (const char* word : {"dusty", "warm", "glass", "ocean", "pulse", "wood", "lofi", "haze"}) {
    const std::string sql = "SELECT id FROM sample WHERE path LIKE '%" + std::string(word) +
                            "%' AND path LIKE '%snare%' AND tempo_bpm BETWEEN 120 AND 128 "
                            "ORDER BY path LIMIT 50";
    well = times.of([&] { return sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr); }) ==
               SQLITE_OK &&
           well;
  }
  sqlite3_close(db);
  return well;
}

double resident_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::atof(line.c_str() + 6) / 1024;
  return 0;
}

// Word and number queries as people type them: common and rare words, half words, numbers, errors.
std::vector<std::string> queries() {
  static constexpr const char* kForms[] = {"W kick",
                                           "W snare bpm:120-128",
                                           "W W2",
                                           "kick len:<500ms",
                                           "hat W",
                                           "W loop key:Am",
                                           "wr pad",
                                           "W -loop",
                                           "bd W lufs:>-12",
                                           "kind:bass W",
                                           "W vocal ~key:8A",
                                           "kikc W",
                                           "W2 clap 128",
                                           "flac W",
                                           "\"W W2\"",
                                           "pack 77 W",
                                           "is:loop bpm:174",
                                           "kick sort:-added",
                                           "W sort:bpm"};
  std::mt19937 random(5);
  std::vector<std::string> list;
  for (int i = 0; i < 760; ++i) {
    std::string q = kForms[static_cast<size_t>(i) % std::size(kForms)];
    const auto put = [&q](const char* mark, std::string word) {
      for (char& c : word) c = static_cast<char>(std::tolower(c));
      if (const size_t at = q.find(mark); at != std::string::npos)
        q.replace(at, std::strlen(mark), word);
    };
    put("W2", kWords[random() % std::size(kWords)]);
    put("W", kWords[random() % std::size(kWords)]);
    put("wr", std::string(kWords[random() % std::size(kWords)]).substr(0, 3));
    list.push_back(q);
  }
  return list;
}

int measure(const fs::path& home) {
  double cpu = cpu_ms();
  auto start = Clock::now();
  auto opened = Catalogue::open(home, Catalogue::Access::kWrite);
  if (!opened.ok()) return fail(opened.error());
  const double open_ms = ms_since(start);
  Catalogue& catalogue = **opened;
  SearchQuery q;
  q.text = "kick";
  if (auto first = catalogue.search(q); !first.ok()) return fail(first.error());
  const double index_ms = ms_since(start);
  const double index_cpu_ms = cpu_ms() - cpu;
  const auto summary = catalogue.summary();
  // Descriptors are read in the background, which would count as the searches' time.
  start = Clock::now();
  SimilarQuery any;
  any.descriptor = Maker().descriptor(0);
  if (auto first = catalogue.similar(any); !first.ok()) return fail(first.error());
  const double vectors_ms = ms_since(start);
  Times search, similar, of_kind, like;
  std::string slowest;
  double worst = 0;
  int64_t hits = 0;
  for (const std::string& text : queries()) {
    q.text = text;
    const auto found = search.of([&] { return catalogue.search(q); });
    if (!found.ok()) return fail(found.error());
    hits += found->total;
    if (search.cpu.back() > worst) worst = search.cpu.back(), slowest = text;
  }
  // Similarity, compared with a plain loop over every descriptor.
  std::ifstream file(home / "vectors.i8", std::ios::binary);
  const std::string all((std::istreambuf_iterator<char>(file)), {});
  const size_t count = all.size() / audio::kDescriptorDims;
  const auto descriptor = [&all](size_t i) {
    std::string d(audio::kDescriptorHeaderBytes, '\0');
    d[0] = static_cast<char>(audio::kDescriptorVersion);
    return d.append(all, i * audio::kDescriptorDims, audio::kDescriptorDims);
  };
  size_t right = 0, wanted = 0;
  std::mt19937 random(9);
  for (int i = 0; i < 300; ++i) {
    SimilarQuery s;
    s.descriptor = descriptor(random() % count);
    s.limit = 50;
    const auto list = similar.of([&] { return catalogue.similar(s); });
    if (!list.ok()) return fail(list.error());
    if (i < 5) {
      std::vector<float> distances(count);
      for (size_t k = 0; k < count; ++k)
        distances[k] = audio::distance(s.descriptor, descriptor(k)).value_or(1e9f);
      std::nth_element(distances.begin(), distances.begin() + 49, distances.end());
      for (const Similar& found : *list) right += found.distance <= distances[49] + 1e-4f;
      wanted += 50;
    }
    s.filter = "kind:kick -is:loop";
    if (const auto some = of_kind.of([&] { return catalogue.similar(s); }); !some.ok())
      return fail(some.error());
  }
  const double resident = resident_mb() - static_cast<double>(all.capacity()) / 1048576;
  if (!ask_like(home, like)) return fail(Error(ErrorCode::kInternal, "SQLite refused LIKE"));
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("sounds", summary.ok() ? summary->samples : 0);
  w.field("open_ms", open_ms).field("index_ms", index_ms).field("index_cpu_ms", index_cpu_ms);
  w.field("descriptors_ms", vectors_ms);
  search.write(w, "search");
  w.field("slowest_search", slowest).field("slowest_cpu_ms", worst).field("hits", hits);
  similar.write(w, "similar");
  of_kind.write(w, "similar_of_kind");
  like.write(w, "sqlite_like");
  w.field("recall_at_50", static_cast<double>(right) / static_cast<double>(wanted));
  w.field("catalogue_mb", static_cast<double>(catalogue.memory_bytes()) / 1048576);
  w.field("resident_mb", resident).end_object();
  std::printf("%s\n", out.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc >= 3 && std::string_view(argv[1]) == "make")
    return make(argv[2], argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 1000000);
  if (argc == 3 && std::string_view(argv[1]) == "measure") return measure(argv[2]);
  std::fprintf(stderr, "usage: library_million make HOME [SOUNDS] | measure HOME\n");
  return 2;
}
