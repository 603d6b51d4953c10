// The catalogue, the scanner and the demo pack, on real files in a folder of the test's own.

#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/files.h"
#include "library/catalogue.h"
#include "library/demo_pack.h"
#include "library/scanner.h"

namespace samplemind::library {
namespace {

class LibraryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "library_test.XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    home_ = root_ / "home";
    sounds_ = root_ / "sounds";
    fs::create_directories(sounds_);
  }
  void TearDown() override { fs::remove_all(root_); }

  std::unique_ptr<Catalogue> open(Catalogue::Access access = Catalogue::Access::kWrite) {
    auto c = Catalogue::open(home_, access);
    EXPECT_TRUE(c.ok()) << (c.ok() ? "" : c.error().message());
    return c.ok() ? std::move(*c) : nullptr;
  }
  // A short tone; each pitch is a content of its own.
  fs::path sound(const fs::path& file, int step = 0) {
    std::string wav(
        "RIFF\0\0\0\0WAVEfmt "
        "\x10\0\0\0\x01\0\x01\0\x40\x1F\0\0\x80\x3E\0\0\x02\0\x10\0data\0\0\0\0",
        44);
    for (int i = 0; i < 4000; ++i) {
      const int v = (i * (20 + step)) % 2000 - 1000;
      wav += static_cast<char>(v & 0xFF);
      wav += static_cast<char>((v >> 8) & 0xFF);
    }
    const auto u32 = [&wav](size_t at, uint32_t v) {
      wav.replace(at, 4, reinterpret_cast<const char*>(&v), 4);
    };
    u32(4, static_cast<uint32_t>(wav.size() - 8));
    u32(40, static_cast<uint32_t>(wav.size() - 44));
    const fs::path path = sounds_ / file;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << wav;
    return path;
  }
  ScanReport scan_all(Catalogue& c, const std::atomic<bool>* cancel = nullptr) {
    ScanOptions o;
    o.paths = {sounds_};
    o.cancel = cancel;
    auto r = scan(c, o);
    EXPECT_TRUE(r.ok()) << (r.ok() ? "" : r.error().message());
    return r.ok() ? *r : ScanReport();
  }
  static int64_t count(Catalogue& c, const std::string& text) {
    SearchQuery q;
    q.text = text;
    return c.search(q)->total;
  }
  fs::path root_, home_, sounds_;
};

TEST_F(LibraryTest, ScansSearchesAndSkipsTheUnchanged) {
  sound("Drums/Kick_Deep.wav", 1);
  sound("Drums/SnareTight.wav", 2);
  sound("Loops/House_124bpm.wav", 3);
  auto c = open();
  const ScanReport first = scan_all(*c);
  EXPECT_EQ(first.measured, 3);
  EXPECT_EQ(count(*c, "kick"), 1);
  EXPECT_EQ(count(*c, "sna"), 1) << "the beginning of a word is enough";
  EXPECT_EQ(count(*c, "drums"), 2) << "folders are words too";
  EXPECT_EQ(count(*c, "drums -kick"), 1);
  EXPECT_EQ(count(*c, "-kick"), 2);
  EXPECT_EQ(count(*c, "\"'; DROP TABLE sample; --"), 0);
  EXPECT_EQ(count(*c, ""), 3);
  const ScanReport second = scan_all(*c);
  EXPECT_EQ(second.measured, 0);
  EXPECT_EQ(second.unchanged, 3);
}

TEST_F(LibraryTest, NumbersNarrow) {
  auto c = open();
  std::vector<Sample> batch(3);
  for (int i = 0; i < 3; ++i) {
    batch[static_cast<size_t>(i)].file.path = "/s/" + std::to_string(i) + ".wav";
    batch[static_cast<size_t>(i)].analysis.duration_s = i + 1;
    batch[static_cast<size_t>(i)].analysis.tempo_bpm = 100 + 20 * i;
    batch[static_cast<size_t>(i)].analysis.key = i == 1 ? "A minor" : "C major";
  }
  ASSERT_TRUE(c->put(batch).ok());
  SearchQuery q;
  q.tempo_bpm = {115.0, 125.0};
  EXPECT_EQ(c->search(q)->total, 1);
  q = {};
  q.key = "C major";
  q.sort = Sort::kTempo;
  q.descending = true;
  const auto by_key = c->search(q);
  ASSERT_EQ(by_key->samples.size(), 2u);
  EXPECT_EQ(by_key->samples[0].analysis.tempo_bpm, 140);
  q = {};
  q.length_s.high = 1.5;
  EXPECT_EQ(c->search(q)->total, 1);
  q = {};
  q.folder = "/s/";
  q.limit = 2;
  q.offset = 2;
  const auto page = c->search(q);
  EXPECT_EQ(page->total, 3);
  EXPECT_EQ(page->samples.size(), 1u);
  q.folder = "/other";
  EXPECT_EQ(c->search(q)->total, 0);
}

TEST_F(LibraryTest, AMovedFileKeepsItsId) {
  const fs::path before = sound("a/before.wav");
  auto c = open();
  scan_all(*c);
  const int64_t id = (*c->get_by_path(before.string()))->id;
  fs::create_directories(sounds_ / "b");
  fs::rename(before, sounds_ / "b/renamed.wav");
  const ScanReport r = scan_all(*c);
  EXPECT_EQ(r.moved, 1);
  EXPECT_EQ(r.missing, 0);
  EXPECT_EQ(r.measured, 0);
  const auto after = *c->get(id);
  ASSERT_TRUE(after.has_value());
  EXPECT_EQ(after->file.path, (sounds_ / "b/renamed.wav").string());
  EXPECT_EQ(count(*c, "renamed"), 1);
  EXPECT_EQ(count(*c, "before"), 0);
}

TEST_F(LibraryTest, MissingFilesAreMarkedAndComeBack) {
  sound("keep.wav", 1);
  const fs::path gone = sound("gone.wav", 2);
  auto c = open();
  scan_all(*c);
  fs::rename(gone, root_ / "elsewhere.wav");
  EXPECT_EQ(scan_all(*c).missing, 1);
  EXPECT_EQ(c->summary()->missing, 1);
  EXPECT_EQ(count(*c, "gone"), 0);
  fs::rename(root_ / "elsewhere.wav", gone);
  scan_all(*c);
  EXPECT_EQ(c->summary()->missing, 0);
  EXPECT_EQ(count(*c, "gone"), 1);
}

TEST_F(LibraryTest, BrokenFilesAreReportedAndStopNothing) {
  sound("good.wav");
  ASSERT_TRUE(write_file_atomic(sounds_ / "list.wav", "milk, eggs, bread and butter").ok());
  ASSERT_TRUE(write_file_atomic(sounds_ / "empty.flac", "").ok());
  auto c = open();
  const ScanReport r = scan_all(*c);
  EXPECT_EQ(r.measured, 1);
  EXPECT_EQ(r.broken, 2);
  ASSERT_EQ(r.problems.size(), 2u);
  EXPECT_EQ(c->summary()->broken, 2);
  EXPECT_EQ(scan_all(*c).unchanged, 3) << "a broken file is not tried again until it changes";
  SearchQuery q;
  q.broken = true;
  EXPECT_EQ(c->search(q)->total, 2);
}

TEST_F(LibraryTest, HostileNamesSurvive) {
  std::vector<std::string> names{"new\nline.wav",
                                 "quo\"te's.wav",
                                 "bad\xFF\xFEutf8.wav",
                                 "emoji🥁.wav",
                                 std::string(251, 'x') + ".wav",
                                 "%41 &<>.wav"};
  for (size_t i = 0; i < names.size(); ++i) sound(names[i], static_cast<int>(i));
  auto c = open();
  EXPECT_EQ(scan_all(*c).measured, static_cast<int64_t>(names.size()));
  for (const std::string& name : names) {
    const auto s = *c->get_by_path((sounds_ / name).string());
    ASSERT_TRUE(s.has_value());
    EXPECT_EQ(s->name(), name);
  }
  EXPECT_EQ(scan_all(*c).unchanged, static_cast<int64_t>(names.size()));
}

TEST_F(LibraryTest, LinkLoopsEnd) {
  sound("a/b/deep.wav");
  fs::create_directory_symlink(sounds_, sounds_ / "a/up");
  auto c = open();
  EXPECT_EQ(scan_all(*c).found, 1);
}

TEST_F(LibraryTest, SaysWhenThereIsNothing) {
  auto c = open();
  ScanOptions o;
  o.paths = {sounds_};
  EXPECT_EQ(scan(*c, o).error().message(), "no sound file in " + sounds_.string());
  o.paths = {root_ / "nowhere"};
  EXPECT_EQ(scan(*c, o).error().code(), ErrorCode::kNotFound);
}

TEST_F(LibraryTest, CancelKeepsWhatIsFinished) {
  for (int i = 0; i < 60; ++i) sound("s" + std::to_string(i) + ".wav", i);
  auto c = open();
  std::atomic<bool> cancel{false};
  ScanOptions o;
  o.paths = {sounds_};
  o.threads = 1;
  o.cancel = &cancel;
  o.on_progress = [&](const ScanProgress& p) {
    if (p.done >= 1) cancel = true;
  };
  const auto r = scan(*c, o);
  ASSERT_TRUE(r.ok());
  EXPECT_EQ(count(*c, ""), r->measured);
  const ScanReport rest = scan_all(*c);
  EXPECT_EQ(rest.measured + r->measured, 60);
}

TEST_F(LibraryTest, KillNineInAScanLosesNothingFinished) {
  for (int i = 0; i < 400; ++i) sound("s" + std::to_string(i) + ".wav", i);
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto c = Catalogue::open(home_, Catalogue::Access::kWrite);
    ScanOptions o;
    o.paths = {sounds_};
    o.on_progress = [&](const ScanProgress& p) {
      const auto done = static_cast<unsigned char>(std::min<int64_t>(p.done, 255));
      (void)!::write(pipe_ends[1], &done, 1);
    };
    if (c.ok()) (void)scan(**c, o).ok();
    ::_exit(0);
  }
  ::close(pipe_ends[1]);
  unsigned char done = 0;
  while (::read(pipe_ends[0], &done, 1) == 1 && done < 100) {
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(pipe_ends[0]);
  auto c = open();
  ASSERT_NE(c, nullptr);
  EXPECT_TRUE(c->check().ok());
  const int64_t kept = count(*c, "");
  EXPECT_GE(kept, 100 - 64) << "what was finished a batch ago is there";
  const ScanReport rest = scan_all(*c);
  EXPECT_EQ(rest.unchanged, kept);
  EXPECT_EQ(count(*c, ""), 400);
}

TEST_F(LibraryTest, OneWriterManyReaders) {
  auto writer = open();
  const auto second = Catalogue::open(home_, Catalogue::Access::kWrite);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kAlreadyExists);
  auto reader = open(Catalogue::Access::kRead);
  sound("x.wav");
  scan_all(*writer);
  EXPECT_EQ(count(*reader, ""), 1);
  struct stat s {};
  ASSERT_EQ(::stat((home_ / "library.db").c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat(home_.c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0700u);
}

TEST_F(LibraryTest, ReadingWithoutALibraryIsEmptyAndLeavesNothing) {
  auto c = open(Catalogue::Access::kRead);
  EXPECT_EQ(count(*c, ""), 0);
  EXPECT_FALSE(fs::exists(home_));
}

TEST_F(LibraryTest, NewerAndDamagedFilesAreRefused) {
  open().reset();
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((home_ / "library.db").c_str(), &db), SQLITE_OK);
  sqlite3_exec(db, "PRAGMA user_version=99", nullptr, nullptr, nullptr);
  sqlite3_close(db);
  EXPECT_EQ(Catalogue::open(home_, Catalogue::Access::kWrite).error().code(),
            ErrorCode::kUnsupported);
  for (const char* suffix : {"", "-wal", "-shm"})
    fs::remove(home_ / ("library.db" + std::string(suffix)));
  ASSERT_TRUE(write_file_atomic(home_ / "library.db", std::string(8192, 'z')).ok());
  EXPECT_EQ(Catalogue::open(home_, Catalogue::Access::kWrite).error().code(), ErrorCode::kDataLoss);
}

TEST_F(LibraryTest, TheDemoPackIsWholeAndHeardRight) {
  const fs::path pack = home_ / "demo-pack";
  ASSERT_TRUE(write_demo_pack(pack).ok());
  const std::vector<DemoSound> contents = demo_pack_contents();
  EXPECT_GE(contents.size(), 55u);
  auto c = open();
  ScanOptions o;
  o.paths = {pack};
  ASSERT_TRUE(scan(*c, o).ok());
  int tempi = 0, right_tempi = 0, notes = 0, right_notes = 0, content_right = 0;
  uint64_t bytes = 0;
  for (const DemoSound& d : contents) {
    bytes += fs::file_size(pack / d.file);
    const auto s = *c->get_by_path((pack / d.file).string());
    ASSERT_TRUE(s.has_value()) << d.file;
    EXPECT_TRUE(s->error.empty()) << d.file << s->error;
    content_right += s->analysis.content == d.content ? 1 : 0;
    if (d.tempo_bpm) {
      ++tempi;
      right_tempi +=
          s->analysis.tempo_bpm && std::abs(*s->analysis.tempo_bpm / *d.tempo_bpm - 1) < 0.01 ? 1
                                                                                              : 0;
    }
    if (d.note_midi) {
      ++notes;
      right_notes +=
          s->analysis.note_midi && std::abs(*s->analysis.note_midi - *d.note_midi) < 0.5 ? 1 : 0;
    }
  }
  EXPECT_LT(bytes, 10u << 20);
  EXPECT_GE(right_tempi * 10, tempi * 9) << right_tempi << " of " << tempi;
  EXPECT_GE(right_notes * 10, notes * 9) << right_notes << " of " << notes;
  EXPECT_GE(content_right * 100, static_cast<int>(contents.size()) * 90);
  // The same samples every time.
  EXPECT_EQ(render_demo_sound(contents.front()), render_demo_sound(contents.front()));
}

}  // namespace
}  // namespace samplemind::library
