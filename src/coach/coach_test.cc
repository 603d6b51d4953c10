#include "coach/coach.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

namespace samplemind::coach {
namespace {

TEST(Coach, SameQuestionSameBytes) {
  Question q;
  q.text = "Is this loud enough?";
  q.sounds.push_back({"a.wav", *JsonValue::parse(R"({"loudness_lufs":-9.87})")});
  EXPECT_EQ(*write_request(q), *write_request(q));
  const auto body = JsonValue::parse(*write_request(q));
  ASSERT_TRUE(body.ok());
  EXPECT_EQ((*body)["messages"].size(), 2u);
  const std::string user = (*body)["messages"][1]["content"].string_or("");
  EXPECT_NE(user.find(R"({"sounds":[{"name":"a.wav","loudness_lufs":-9.9}]})"), std::string::npos)
      << user;
}

TEST(Coach, RefusesWhatCannotBeAsked) {
  Question q;
  q.text = " \n";
  EXPECT_EQ(write_request(q).error().code(), ErrorCode::kInvalidArgument);
  q.text = std::string(kQuestionBytesMax + 1, 'x');
  EXPECT_EQ(write_request(q).error().code(), ErrorCode::kTooLarge);
  q.text = "x";
  q.sounds.resize(kSoundsMax + 1);
  EXPECT_EQ(write_request(q).error().code(), ErrorCode::kTooLarge);
}

TEST(Coach, FindsTheSoundsAQuestionIsAbout) {
  std::string folder = (std::filesystem::temp_directory_path() / "coach_test.XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  {
    auto catalogue = library::Catalogue::open(folder, library::Catalogue::Access::kWrite);
    ASSERT_TRUE(catalogue.ok());
    std::vector<library::Sample> batch(2);
    batch[0].file.path = "/s/Kick_Deep.wav";
    batch[0].analysis.duration_s = 0.5;
    batch[1].file.path = "/s/Pad_Am.wav";
    ASSERT_TRUE((*catalogue)->put(batch).ok());
    const auto sounds = find_context(**catalogue, "Which of my kicks is the deepest kick?");
    ASSERT_TRUE(sounds.ok());
    ASSERT_EQ(sounds->size(), 1u);
    EXPECT_EQ((*sounds)[0].name, "Kick_Deep.wav");
    EXPECT_EQ((*sounds)[0].measured["duration_s"].number(), 0.5);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace samplemind::coach
