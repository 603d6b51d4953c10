#include "library/scanner.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/process.h"
#include "library/test_support.h"

namespace samplemind::library {
namespace {

class Scanner : public ::testing::Test {
 protected:
  Scanner() : sounds_(root_.path() / "sounds") { reopen(); }
  void reopen() {
    catalogue_.reset();
    auto opened = open_catalogue(root_.path() / "home", Catalogue::Access::kWrite);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    catalogue_ = std::move(opened).value();
  }
  Result<ScanReport> try_scan(const fs::path& path) {
    ScanOptions options;
    options.paths = {path};
    options.threads = 2;
    return scan(*catalogue_, options);
  }
  ScanReport scan_all() {
    auto report = try_scan(sounds_);
    EXPECT_TRUE(report.ok()) << report.error().message();
    return report.ok() ? std::move(report).value() : ScanReport{};
  }
  Sample at(const fs::path& path) {
    auto got = catalogue_->get_by_path(path.string());
    EXPECT_TRUE(got.ok() && *got) << path;
    return got.ok() && *got ? **got : Sample{};
  }
  TemporaryFolder root_;
  fs::path sounds_;
  std::unique_ptr<Catalogue> catalogue_;
};

TEST_F(Scanner, MeasuresNewAndChangedOnly) {
  for (int i = 0; i < 10; ++i)
    write_file(sounds_ / ("d" + std::to_string(i % 3)) / (std::to_string(i) + ".wav"),
               wav_bytes(i));
  write_file(sounds_ / "notes.txt", "no sound");
  write_file(sounds_ / "._0.wav", "a side file");
  ScanReport r = scan_all();
  EXPECT_EQ(r.found, 10);
  EXPECT_EQ(r.measured, 10);
  EXPECT_EQ(r.broken, 0);
  const Sample first = at(sounds_ / "d0/0.wav");
  EXPECT_EQ(first.analysis.sample_rate_hz, 44100);
  EXPECT_NEAR(first.analysis.duration_s, 0.05, 1e-3);
  EXPECT_EQ(first.digest_hex, blake3(wav_bytes(0)).hex());

  r = scan_all();
  EXPECT_EQ(r.unchanged, 10);
  EXPECT_EQ(r.measured, 0);

  write_file(sounds_ / "d0/0.wav", wav_bytes(100, 0.08));
  r = scan_all();
  EXPECT_EQ(r.unchanged, 9);
  EXPECT_EQ(r.measured, 1);
  EXPECT_EQ(at(sounds_ / "d0/0.wav").id, first.id);
  EXPECT_NEAR(at(sounds_ / "d0/0.wav").analysis.duration_s, 0.08, 1e-3);
}

TEST_F(Scanner, MovedFilesKeepTheirIds) {
  write_file(sounds_ / "a.wav", wav_bytes(1));
  write_file(sounds_ / "b.wav", wav_bytes(2));
  scan_all();
  const int64_t a = at(sounds_ / "a.wav").id;
  fs::create_directories(sounds_ / "new");
  fs::rename(sounds_ / "a.wav", sounds_ / "new/renamed.wav");
  ScanReport r = scan_all();
  EXPECT_EQ(r.moved, 1);
  EXPECT_EQ(r.missing, 0);
  EXPECT_EQ(r.measured, 0);
  EXPECT_EQ(r.unchanged, 1);
  EXPECT_EQ(at(sounds_ / "new/renamed.wav").id, a);
  EXPECT_EQ(catalogue_->known()->size(), 2u);
  SearchQuery q;
  q.text = "renamed";
  EXPECT_EQ(catalogue_->search(q)->total, 1);

  // Out of the scanned folder altogether: it is met at its new place, in a scan of that alone.
  const fs::path elsewhere = root_.path() / "elsewhere";
  fs::create_directories(elsewhere);
  fs::rename(sounds_ / "new/renamed.wav", elsewhere / "x.wav");
  const auto there = try_scan(elsewhere);
  ASSERT_TRUE(there.ok());
  EXPECT_EQ(there->moved, 1);
  EXPECT_EQ(at(elsewhere / "x.wav").id, a);
}

TEST_F(Scanner, AnEmptyFolderIsADriveThatIsNotMounted) {
  for (int i = 0; i < 12; ++i) write_file(sounds_ / (std::to_string(i) + ".wav"), wav_bytes(i));
  scan_all();
  fs::rename(sounds_, root_.path() / "unmounted");
  fs::create_directories(sounds_);
  const auto empty = try_scan(sounds_);
  ASSERT_FALSE(empty.ok());
  EXPECT_NE(empty.error().message().find("mounted"), std::string::npos);
  EXPECT_EQ(catalogue_->summary()->missing, 0);
  fs::remove(sounds_);
  fs::rename(root_.path() / "unmounted", sounds_);
  EXPECT_EQ(scan_all().unchanged, 12);
  // The folder itself is gone: so are its sounds.
  write_file(root_.path() / "other.wav", wav_bytes(99));
  fs::remove_all(sounds_);
  const auto gone = try_scan(root_.path());
  ASSERT_TRUE(gone.ok());
  EXPECT_EQ(gone->missing, 12);
}

TEST_F(Scanner, PausedNothingNewIsBegun) {
  for (int i = 0; i < 40; ++i) write_file(sounds_ / (std::to_string(i) + ".wav"), wav_bytes(i));
  std::atomic<bool> pause{true};
  int paused_reports = 0;
  ScanOptions options;
  options.paths = {sounds_};
  options.threads = 2;
  options.pause = &pause;
  options.on_progress = [&](const ScanProgress& p) {
    if (!p.paused) return;
    EXPECT_EQ(p.done, 0);
    if (++paused_reports == 3) {
      EXPECT_TRUE(catalogue_->known()->empty());
      pause = false;
    }
  };
  const auto report = scan(*catalogue_, options);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(paused_reports, 3);
  EXPECT_EQ(report->measured, 40);
}

TEST_F(Scanner, CopiesGetTheirOwnIds) {
  write_file(sounds_ / "a.wav", wav_bytes(1));
  scan_all();
  write_file(sounds_ / "copy.wav", wav_bytes(1));
  const ScanReport r = scan_all();
  EXPECT_EQ(r.moved, 0);
  EXPECT_EQ(r.measured, 1);
  EXPECT_NE(at(sounds_ / "copy.wav").id, at(sounds_ / "a.wav").id);
  EXPECT_EQ(at(sounds_ / "copy.wav").analysis.duration_s,
            at(sounds_ / "a.wav").analysis.duration_s);
}

TEST_F(Scanner, GoneIsMissingAndComesBack) {
  write_file(sounds_ / "a.wav", wav_bytes(1));
  write_file(sounds_ / "b.wav", wav_bytes(2));
  scan_all();
  const int64_t id = at(sounds_ / "a.wav").id;
  fs::rename(sounds_ / "a.wav", root_.path() / "aside");
  EXPECT_EQ(scan_all().missing, 1);
  EXPECT_TRUE(at(sounds_ / "a.wav").missing);
  fs::rename(root_.path() / "aside", sounds_ / "a.wav");
  const ScanReport r = scan_all();
  EXPECT_EQ(r.missing, 0);
  EXPECT_FALSE(at(sounds_ / "a.wav").missing);
  EXPECT_EQ(at(sounds_ / "a.wav").id, id);
  // All of them gone is no error of the path: it is what the scan found out.
  fs::remove(sounds_ / "a.wav");
  fs::remove(sounds_ / "b.wav");
  EXPECT_EQ(scan_all().missing, 2);
}

TEST_F(Scanner, BrokenFilesStopNothingAndAreTriedAgainWhenChanged) {
  write_file(sounds_ / "good.wav", wav_bytes(1));
  write_file(sounds_ / "text.wav", "this is no sound at all, only words in a file");
  write_file(sounds_ / "empty.wav", "");
  write_file(sounds_ / "cut.mp3", std::string("ID3\x04", 4) + std::string(200, '\0'));
  std::string promising = wav_bytes(3).substr(0, 44);  // a header alone that promises 4 GB
  promising.replace(40, 4, "\xf0\xff\xff\xff");
  write_file(sounds_ / "promise.wav", promising);
  ScanReport r = scan_all();
  EXPECT_EQ(r.found, 5);
  EXPECT_EQ(r.measured, 1);
  EXPECT_EQ(r.broken, 4);
  ASSERT_EQ(r.problems.size(), 4u);
  for (const auto& problem : r.problems) {
    EXPECT_FALSE(problem.message.empty());
    EXPECT_EQ(at(problem.path).error, problem.message);
    EXPECT_EQ(problem.message.find(problem.path), std::string::npos) << problem.message;
  }
  r = scan_all();
  EXPECT_EQ(r.unchanged, 5) << "a broken file is not tried again";
  write_file(sounds_ / "text.wav", wav_bytes(9));
  r = scan_all();
  EXPECT_EQ(r.measured, 1);
  EXPECT_TRUE(at(sounds_ / "text.wav").error.empty());
}

TEST_F(Scanner, HostileNamesSurvive) {
  const std::vector<std::string> names{
      std::string("bad\xff\xfe.wav"), "new\nline.wav", "quo'te\".wav", "\xF0\x9F\xA5\x81.wav",
      std::string(251, 'k') + ".wav", "-rf.wav",       "%s%n.WAV",     " .wav"};
  for (size_t i = 0; i < names.size(); ++i)
    write_file(sounds_ / "odd\xff" / names[i], wav_bytes(static_cast<int>(i)));
  ScanReport r = scan_all();
  EXPECT_EQ(r.measured, static_cast<int64_t>(names.size()));
  for (const std::string& name : names) EXPECT_GT(at(sounds_ / "odd\xff" / name).id, 0);
  r = scan_all();
  EXPECT_EQ(r.unchanged, static_cast<int64_t>(names.size()));
}

TEST_F(Scanner, LinkLoopsEnd) {
  write_file(sounds_ / "a/b/x.wav", wav_bytes(1));
  fs::create_directory_symlink(sounds_, sounds_ / "a/b/up");
  fs::create_directory_symlink("self", sounds_ / "self");
  fs::create_symlink("nowhere.wav", sounds_ / "dangling.wav");
  ASSERT_EQ(::mkfifo((sounds_ / "pipe.wav").c_str(), 0600), 0);
  const ScanReport r = scan_all();
  EXPECT_EQ(r.measured, 1);
}

TEST_F(Scanner, WhatCannotBeScannedIsSaidClearly) {
  fs::create_directories(sounds_ / "empty");
  auto r = try_scan(sounds_ / "empty");
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().code(), ErrorCode::kNotFound);
  EXPECT_NE(r.error().message().find("no sound file in"), std::string::npos);
  EXPECT_NE(r.error().hint().find("wav"), std::string::npos);
  r = try_scan(sounds_ / "none");
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().code(), ErrorCode::kNotFound);
  EXPECT_NE(r.error().message().find("there is no such file or folder"), std::string::npos);
}

// Root may read everything, so the child becomes nobody first.
TEST_F(Scanner, NoPermission) {
  write_file(sounds_ / "locked/x.wav", wav_bytes(1));
  write_file(sounds_ / "y.wav", wav_bytes(2));
  write_file(sounds_ / "z.wav", wav_bytes(3));
  ASSERT_EQ(::chmod((sounds_ / "locked").c_str(), 0), 0);
  ASSERT_EQ(::chmod((sounds_ / "y.wav").c_str(), 0), 0);
  const bool root = ::geteuid() == 0;
  if (root) {
    ASSERT_EQ(::chmod(root_.path().c_str(), 0755), 0);
    ASSERT_EQ(::chmod(sounds_.c_str(), 0755), 0);
    ASSERT_EQ(::seteuid(65534), 0);
  }
  const auto locked = try_scan(sounds_ / "locked");
  const auto all = try_scan(sounds_);
  if (root && ::seteuid(0) != 0) ::abort();
  ::chmod((sounds_ / "locked").c_str(), 0700);
  ASSERT_FALSE(locked.ok());
  EXPECT_EQ(locked.error().code(), ErrorCode::kPermissionDenied);
  EXPECT_NE(locked.error().message().find("locked"), std::string::npos);
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_EQ(all->measured, 1);
  EXPECT_EQ(all->broken, 1);
  EXPECT_EQ(all->problems.size(), 2u);  // the folder and the file
  // A change of mode changes no time: the file is tried again all the same.
  ASSERT_EQ(::chmod((sounds_ / "y.wav").c_str(), 0600), 0);
  const ScanReport again = scan_all();
  EXPECT_EQ(again.broken, 0);
  EXPECT_EQ(again.measured, 2);
}

TEST_F(Scanner, ProgressAddsUp) {
  for (int i = 0; i < 40; ++i) write_file(sounds_ / (std::to_string(i) + ".wav"), wav_bytes(i));
  write_file(sounds_ / "bad.wav", "words");
  std::vector<ScanProgress> seen;
  ScanOptions options;
  options.paths = {sounds_};
  options.on_progress = [&](const ScanProgress& p) { seen.push_back(p); };
  ASSERT_TRUE(scan(*catalogue_, options).ok());
  ASSERT_FALSE(seen.empty());
  for (size_t i = 1; i < seen.size(); ++i) {
    EXPECT_GE(seen[i].done, seen[i - 1].done);
    EXPECT_LE(seen[i].done, seen[i].to_do);
  }
  EXPECT_EQ(seen.back().found, 41);
  EXPECT_EQ(seen.back().to_do, 41);
  EXPECT_EQ(seen.back().done, 41);
  EXPECT_EQ(seen.back().broken, 1);
  EXPECT_GT(seen.back().files_per_s, 0);
  EXPECT_NEAR(seen.back().left_s, 0, 1e-9);
}

TEST_F(Scanner, CancelKeepsWhatIsFinishedAndGoesOnLater) {
  constexpr int kFiles = 4000;  // more than are measured before progress is first told
  for (int i = 0; i < kFiles; ++i) write_file(sounds_ / (std::to_string(i) + ".wav"), wav_bytes(i));
  std::atomic<bool> cancel = false;
  int64_t done = 0;
  ScanOptions options;
  options.paths = {sounds_};
  options.threads = 2;
  options.cancel = &cancel;
  options.on_progress = [&](const ScanProgress& p) {
    done = p.done;
    if (p.done > 0) cancel = true;
  };
  const auto r = scan(*catalogue_, options);
  ASSERT_TRUE(r.ok());
  EXPECT_TRUE(r->cancelled);
  EXPECT_GE(r->measured, done > 0 ? 1 : 0);
  EXPECT_LT(r->measured, kFiles);
  EXPECT_EQ(static_cast<int64_t>(catalogue_->known()->size()), r->measured);
  const ScanReport rest = scan_all();
  EXPECT_EQ(rest.unchanged, r->measured);
  EXPECT_EQ(rest.measured, kFiles - r->measured);
}

// Another process scans and is killed with no chance to clean up, at a different moment each time.
TEST_F(Scanner, KillLosesNothingThatWasStored) {
  constexpr int kFiles = 400;
  for (int i = 0; i < kFiles; ++i) write_file(sounds_ / (std::to_string(i) + ".wav"), wav_bytes(i));
  catalogue_.reset();
  int64_t before = 0;
  for (int round = 0; round < 6; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    ProcessOptions helper;
    helper.argv = {(executable_path().parent_path() / "library_scan_helper").string(),
                   (root_.path() / "home").string(), sounds_.string()};
    helper.stdout_fd = pipe_ends[1];
    helper.die_with_parent = true;
    const auto pid = start_process(helper);
    ::close(pipe_ends[1]);
    ASSERT_TRUE(pid.ok()) << pid.error().message();
    // It writes a byte for every batch that is in the catalogue.
    char byte = 0;
    int told = 0;
    while (told <= round % 3 && ::read(pipe_ends[0], &byte, 1) == 1) ++told;
    ::kill(*pid, SIGKILL);
    ASSERT_TRUE(wait_process(*pid, std::chrono::seconds(20)).has_value());
    ::close(pipe_ends[0]);
    reopen();
    ASSERT_TRUE(catalogue_->check().ok());
    const auto known = catalogue_->known();
    ASSERT_TRUE(known.ok());
    const auto stored = static_cast<int64_t>(known->size());
    EXPECT_GE(stored, std::min<int64_t>(kFiles, before + (told > 0 ? 1 : 0)));
    for (const auto& [path, k] : *known) EXPECT_FALSE(k.broken) << path;
    SearchQuery q;
    EXPECT_EQ(catalogue_->search(q)->total, stored);
    q.text = "wav";
    EXPECT_EQ(catalogue_->search(q)->total, stored) << "each is in the index of words too";
    before = stored;
    catalogue_.reset();
  }
  reopen();
  const ScanReport rest = scan_all();
  EXPECT_EQ(rest.unchanged, before);
  EXPECT_EQ(rest.measured, kFiles - before);
}

}  // namespace
}  // namespace samplemind::library
