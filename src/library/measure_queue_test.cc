#include "library/measure_queue.h"

#include <gtest/gtest.h>

#include "library/scanner.h"
#include "library/test_support.h"

namespace samplemind::library {
namespace {

std::string make_sound(const fs::path& folder, const std::string& name, int number) {
  const fs::path path = folder / name;
  write_file(path, wav_bytes(number, 0.2));
  return path.string();
}

TEST(MeasureQueue, FactsTravelUnchanged) {
  const TemporaryFolder folder;
  const audio::Analyzer analyzer;
  const auto heard = measure_file(analyzer, make_sound(folder.path(), "a.wav", 1), "", nullptr);
  ASSERT_TRUE(heard.ok());
  ASSERT_EQ(heard->state, Measured::State::kHeard);
  ASSERT_FALSE(heard->analysis.descriptor.empty());
  const std::string text = facts_text(heard->analysis);
  const auto back = facts_from_text(text);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->descriptor, heard->analysis.descriptor);
  EXPECT_EQ(facts_text(*back), text);
}

TEST(MeasureQueue, DamagedFactsAreRefused) {
  const std::string text = R"({"format":"wav","duration_s":1,"descriptor":"00ff"})";
  ASSERT_TRUE(facts_from_text(text).ok());
  for (const char* bad : {"", "[]", "null", R"({"format":"wav","descriptor":"0"})",
                          R"({"format":"wav","descriptor":"0G"})", R"({"descriptor":"00"})"}) {
    EXPECT_EQ(facts_from_text(bad).error().code(), ErrorCode::kDataLoss) << bad;
  }
  for (size_t cut = 0; cut < text.size(); ++cut)
    EXPECT_FALSE(facts_from_text(text.substr(0, cut)).ok()) << cut;
}

TEST(MeasureQueue, WhatIsWrongIsTold) {
  const TemporaryFolder folder;
  const audio::Analyzer analyzer;
  const auto gone = measure_file(analyzer, (folder.path() / "no.wav").string(), "", nullptr);
  ASSERT_TRUE(gone.ok());
  EXPECT_EQ(gone->state, Measured::State::kGone);
  write_file(folder.path() / "bad.wav", "RIFFnothing of the kind");
  const std::string path = (folder.path() / "bad.wav").string();
  const auto bad = measure_file(analyzer, path, "", nullptr);
  ASSERT_TRUE(bad.ok());
  EXPECT_EQ(bad->state, Measured::State::kBroken);
  EXPECT_FALSE(bad->error.empty());
  EXPECT_FALSE(bad->error.starts_with(path));
  const std::atomic<bool> cancel{true};
  const auto cancelled = measure_file(analyzer, make_sound(folder.path(), "b.wav", 2), "", &cancel);
  ASSERT_FALSE(cancelled.ok());
  EXPECT_EQ(cancelled.error().code(), ErrorCode::kCancelled);
}

// Workers that answer late, twice, out of order, for jobs that were never given, or not at all.
class OddQueue final : public MeasureQueue {
 public:
  size_t in_flight_max() const override { return 3; }
  void submit(std::vector<MeasureJob> jobs) override {
    for (auto& job : jobs) waiting_.push_back(std::move(job));
    most_ = std::max(most_, waiting_.size());
  }
  Result<std::vector<Measured>> collect(std::chrono::milliseconds) override {
    if (fail_after_ == 0) return Error(ErrorCode::kUnavailable, "the queue is out of reach");
    --fail_after_;
    std::vector<Measured> out;
    if (waiting_.empty()) return out;
    const MeasureJob job = waiting_.back();
    waiting_.pop_back();
    Measured m;
    if (job.file.path.find("far") == std::string::npos) {
      m = *measure_file(analyzer_, job.file.path, blake3_file(job.file.path)->hex(), nullptr);
    } else {
      m.error = "no such file on that worker";
    }
    m.n = job.n;
    out.push_back(m);
    out.push_back(m);
    m.n = 1'000'000;
    out.push_back(std::move(m));
    return out;
  }
  size_t most_ = 0;
  int fail_after_ = 1'000'000;

 private:
  audio::Analyzer analyzer_;
  std::vector<MeasureJob> waiting_;
};

class ElsewhereTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = open_catalogue(folder_.path() / "home", Catalogue::Access::kWrite);
    ASSERT_TRUE(opened.ok());
    catalogue_ = std::move(*opened);
    for (int i = 0; i < 10; ++i)
      make_sound(sounds_, (i < 2 ? "far " : "near ") + std::to_string(i) + ".wav", i);
    options_.paths = {sounds_};
    options_.queue = &queue_;
  }
  TemporaryFolder folder_;
  fs::path sounds_ = folder_.path() / "sounds";
  std::unique_ptr<Catalogue> catalogue_;
  OddQueue queue_;
  ScanOptions options_;
};

TEST_F(ElsewhereTest, EveryFileOnceAndWhatNobodyReachesHere) {
  const auto report = scan(*catalogue_, options_);
  ASSERT_TRUE(report.ok()) << report.error().message();
  EXPECT_EQ(report->measured, 10);
  EXPECT_EQ(report->broken, 0);
  EXPECT_EQ(catalogue_->known()->size(), 10u);
  EXPECT_EQ(catalogue_->summary()->samples, 10);
  EXPECT_EQ(queue_.most_, 3u);
  ASSERT_EQ(report->problems.size(), 1u);
  EXPECT_NE(report->problems[0].message.find("2 sounds"), std::string::npos);
}

TEST_F(ElsewhereTest, AMovedFileKeepsItsId) {
  ASSERT_TRUE(scan(*catalogue_, options_).ok());
  const auto before = catalogue_->get_by_path((sounds_ / "near 5.wav").string());
  fs::rename(sounds_ / "near 5.wav", sounds_ / "near moved.wav");
  const auto report = scan(*catalogue_, options_);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->moved, 1);
  EXPECT_EQ((*catalogue_->get_by_path((sounds_ / "near moved.wav").string()))->id, (*before)->id);
}

TEST_F(ElsewhereTest, WhatCameBeforeTheQueueFailedIsKept) {
  // Which files come first is the folder's affair: all of them are near.
  for (const char* far : {"far 0.wav", "far 1.wav"}) fs::remove(sounds_ / far);
  queue_.fail_after_ = 4;
  const auto report = scan(*catalogue_, options_);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(catalogue_->known()->size(), 4u);
  queue_.fail_after_ = 1'000'000;
  const auto again = scan(*catalogue_, options_);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->unchanged, 4);
  EXPECT_EQ(catalogue_->known()->size(), 8u);
}

}  // namespace
}  // namespace samplemind::library
