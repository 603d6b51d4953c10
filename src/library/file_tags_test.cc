#include "library/file_tags.h"

#include <gtest/gtest.h>
#include <sndfile.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "audio/analyzer.h"
#include "audio/metadata.h"
#include "library/scanner.h"
#include "library/tag_writer.h"
#include "library/test_support.h"

namespace samplemind::library {
namespace {

// Two seconds of clicks at 120 BPM over a tone.
void write_sound(const fs::path& path, int format, double seconds = 2) {
  fs::create_directories(path.parent_path());
  SF_INFO info{};
  info.channels = 1;
  info.samplerate = 48000;
  info.format = format;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  ASSERT_NE(file, nullptr) << path;
  std::vector<float> block(4800);
  for (int b = 0; b < static_cast<int>(seconds * 10); ++b) {
    for (size_t i = 0; i < block.size(); ++i) {
      const size_t n = static_cast<size_t>(b) * block.size() + i;
      block[i] = 0.5f * std::exp(-static_cast<float>(n % 24000) / 2000) *
                 std::sin(static_cast<float>(n) * 0.03f);
    }
    sf_write_float(file, block.data(), static_cast<sf_count_t>(block.size()));
  }
  sf_close(file);
}

class FileTagsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = open_catalogue(home(), Catalogue::Access::kWrite);
    ASSERT_TRUE(opened.ok());
    catalogue_ = std::move(opened).value();
  }
  fs::path home() const { return folder_.path() / "home"; }
  fs::path sounds() const { return folder_.path() / "sounds"; }
  ScanReport scan_all() {
    ScanOptions options;
    options.paths = {sounds()};
    auto report = scan(*catalogue_, options);
    EXPECT_TRUE(report.ok());
    return report.ok() ? *report : ScanReport();
  }
  std::vector<int64_t> all() { return *catalogue_->find_ids(SearchQuery()); }
  std::string bytes(const std::string& name) { return *read_file(sounds() / name); }

  TemporaryFolder folder_;
  std::unique_ptr<Catalogue> catalogue_;
};

TEST_F(FileTagsTest, EveryFormatSaysItAndSoundsTheSame) {
  write_sound(sounds() / "loop_120bpm_Am.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16);
  write_sound(sounds() / "loop_120bpm_Am.aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_24);
  write_sound(sounds() / "loop_120bpm_Am.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16);
  write_sound(sounds() / "loop_120bpm_Am.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS);
  write_sound(sounds() / "loop_120bpm_Am.opus", SF_FORMAT_OGG | SF_FORMAT_OPUS);
  write_sound(sounds() / "loop_120bpm_Am.mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III);
  ::chmod((sounds() / "loop_120bpm_Am.wav").c_str(), 0640);
  EXPECT_EQ(scan_all().measured, 6);
  MarksChange change;
  change.tags_add = {"dusty"};
  change.content = std::optional<std::string>("loop");
  ASSERT_TRUE(catalogue_->edit(all(), change).ok());
  std::map<std::string, std::string> before;
  for (const auto& f : fs::directory_iterator(sounds()))
    before[f.path().filename()] = *read_file(f.path());
  const auto plan = plan_tags(*catalogue_, all());
  ASSERT_TRUE(plan.ok());
  for (const TagStep& s : *plan) {
    EXPECT_EQ(s.bpm, "120");
    EXPECT_EQ(s.key, "Am");
    EXPECT_NE(s.grouping.find("dusty"), std::string::npos) << s.grouping;
    EXPECT_EQ(s.problem, "");
  }
  for (const auto& [name, old] : before) EXPECT_EQ(bytes(name), old) << "a plan touches nothing";
  const auto report = write_tags(*catalogue_, home(), *plan);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->problems, std::vector<std::string>());
  EXPECT_EQ(report->written, 6);
  for (const auto& [name, old] : before) {
    const audio::Metadata m = audio::read_metadata(sounds() / name);
    EXPECT_EQ(m.tempo_bpm, 120) << name;
    EXPECT_EQ(m.key, "A minor") << name;
    EXPECT_NE(bytes(name), old) << name;
  }
  const audio::Metadata wav = audio::read_metadata(sounds() / "loop_120bpm_Am.wav");
  EXPECT_EQ(wav.one_shot, false);
  EXPECT_EQ(wav.beats, 4);
  struct stat s {};
  ASSERT_EQ(::stat((sounds() / "loop_120bpm_Am.wav").c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0640u);
  // The library knows already; nothing is left beside the files; a second time changes nothing.
  EXPECT_EQ(scan_all().unchanged, 6);
  const auto known = catalogue_->get(all()[0])->value().facts;
  EXPECT_TRUE(std::any_of(known.begin(), known.end(), [](const Fact& f) {
    return f.source == FactSource::kEmbedded && f.what == "tempo" && f.number == 120;
  }));
  EXPECT_EQ(std::distance(fs::directory_iterator(sounds()), fs::directory_iterator()), 6);
  const auto again = write_tags(*catalogue_, home(), *plan_tags(*catalogue_, all()));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->written, 0) << (again->problems.empty() ? "" : again->problems[0]);
  // Back, but for the file that somebody changed since.
  write_file(sounds() / "loop_120bpm_Am.flac", bytes("loop_120bpm_Am.flac") + "x");
  const auto undone = undo_tags(*catalogue_, home());
  ASSERT_TRUE(undone.ok());
  EXPECT_EQ(undone->written, 5);
  ASSERT_EQ(undone->problems.size(), 1u);
  EXPECT_NE(undone->problems[0].find("flac"), std::string::npos);
  for (const auto& [name, old] : before)
    EXPECT_EQ(bytes(name) == old, !name.ends_with("flac")) << name;
  EXPECT_EQ(scan_all().unchanged, 5);
}

TEST_F(FileTagsTest, AWritingIsAChangeOfTheJournal) {
  write_sound(sounds() / "loop_120bpm_Am.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16);
  write_sound(sounds() / "loop_120bpm_Em.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16);
  ASSERT_EQ(scan_all().measured, 2);
  const std::string wav = bytes("loop_120bpm_Am.wav");
  const std::string flac = bytes("loop_120bpm_Em.flac");
  const auto first = write_tags(*catalogue_, home(), *plan_tags(*catalogue_, all()));
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(first->written, 2);
  auto journal = *catalogue_->journal(10);
  ASSERT_EQ(journal.size(), 1u);
  EXPECT_EQ(journal[0].id, first->journal_id);
  EXPECT_EQ(journal[0].changes, 2);
  EXPECT_EQ(journal[0].state, "done");
  // Said already: no change.
  const auto same = write_tags(*catalogue_, home(), *plan_tags(*catalogue_, all()));
  EXPECT_EQ(same->journal_id, 0);
  EXPECT_EQ(catalogue_->journal(10)->size(), 1u);
  // The catalogue alone does not take it back, nor is it a renaming.
  EXPECT_EQ(catalogue_->undo({}).error().code(), ErrorCode::kUnsupported);
  EXPECT_FALSE(catalogue_->moves(first->journal_id).ok());
  MarksChange change;
  change.tags_add = {"dusty"};
  const auto edited = catalogue_->edit(all(), change);
  EXPECT_EQ(*catalogue_->files_record(edited->journal_id), std::nullopt);
  const auto second = write_tags(*catalogue_, home(), *plan_tags(*catalogue_, all()));
  ASSERT_EQ(second->written, 2);
  // One of them by its record, whatever came after it; then a second time finds nothing.
  const auto record = *catalogue_->files_record(second->journal_id);
  ASSERT_TRUE(record);
  EXPECT_EQ(undo_tags(*catalogue_, home(), record)->written, 2);
  EXPECT_EQ(undo_tags(*catalogue_, home(), record).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(undo_tags(*catalogue_, home())->written, 2);
  EXPECT_EQ(bytes("loop_120bpm_Am.wav"), wav);
  EXPECT_EQ(bytes("loop_120bpm_Em.flac"), flac);
  journal = *catalogue_->journal(10);
  ASSERT_EQ(journal.size(), 3u);
  EXPECT_EQ(journal[0].state, "undone");
  EXPECT_EQ(journal[1].state, "done");
  EXPECT_EQ(journal[2].state, "undone");
}

TEST_F(FileTagsTest, OneShotsHaveTheirNoteAndLoopPointsStay) {
  write_sound(sounds() / "Bass_C2.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 0.5);
  ASSERT_EQ(scan_all().measured, 1);
  MarksChange change;
  change.content = std::optional<std::string>("oneshot");
  ASSERT_TRUE(catalogue_->edit(all(), change).ok());
  auto plan = *plan_tags(*catalogue_, all());
  ASSERT_GE(plan[0].note, 0);
  EXPECT_EQ(plan[0].bpm, "");
  ASSERT_EQ(write_tags(*catalogue_, home(), plan)->written, 1);
  const audio::Metadata m = audio::read_metadata(sounds() / "Bass_C2.wav");
  EXPECT_EQ(m.root_note_midi, plan[0].note);
  EXPECT_EQ(m.one_shot, true);
  EXPECT_EQ(m.tempo_bpm, std::nullopt);
}

TEST_F(FileTagsTest, ChangedMissingAndForeignFilesAreLeftAlone) {
  write_sound(sounds() / "loop_120bpm_a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16);
  write_sound(sounds() / "loop_120bpm_b.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_24);
  scan_all();
  const auto plan = *plan_tags(*catalogue_, all());
  const std::string changed = bytes("loop_120bpm_a.wav") + "tail";
  write_file(sounds() / "loop_120bpm_a.wav", changed);
  fs::remove(sounds() / "loop_120bpm_b.wav");
  const auto report = write_tags(*catalogue_, home(), plan);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->written, 0);
  EXPECT_EQ(report->problems.size(), 2u);
  EXPECT_EQ(bytes("loop_120bpm_a.wav"), changed);
  EXPECT_EQ(undo_tags(*catalogue_, home()).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(set_file_tags(sounds() / "loop_120bpm_a.wav", "rar", {}).error().code(),
            ErrorCode::kUnsupported);
  write_file(sounds() / "no.flac", "no flac at all");
  FileTags tags;
  tags.bpm = "120";
  EXPECT_EQ(set_file_tags(sounds() / "no.flac", "flac", tags).error().code(), ErrorCode::kDataLoss);
}

}  // namespace
}  // namespace samplemind::library
