#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "library/map/library_map.h"
#include "library/test_support.h"

namespace samplemind::library {
namespace {

constexpr size_t kDims = audio::kDescriptorDims;
const char* const kKinds[] = {"kick", "snare", "hat_closed", "pad", "vocal"};

// Sounds of five families, each about a middle of its own.
std::vector<int8_t> family(int which, std::mt19937& random) {
  std::mt19937 middle(static_cast<uint32_t>(which) + 100);
  std::normal_distribution<float> noise(0, 9);
  std::vector<int8_t> values(kDims);
  for (int8_t& v : values) {
    const float at = static_cast<float>(static_cast<int>(middle() % 141) - 70);
    v = static_cast<int8_t>(std::clamp(at + noise(random), -127.0f, 127.0f));
  }
  return values;
}

std::vector<int8_t> rows(int count, uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::vector<int8_t> all;
  for (int i = 0; i < count; ++i) {
    const auto one = family(i % 5, random);
    all.insert(all.end(), one.begin(), one.end());
  }
  return all;
}

float distance(const MapPlace& a, const MapPlace& b) {
  return std::hypot(a.x - b.x, a.y - b.y);
}

TEST(MapLayout, FamiliesLieTogetherAndApartFromOthers) {
  const auto all = rows(300);
  const MapLayout layout = MapLayout::fit(all);
  EXPECT_EQ(layout.anchors(), 300u);
  const auto added = rows(100, 7);  // not laid out by
  int right = 0;
  for (size_t i = 0; i < 100; ++i) {
    const MapPlace at = layout.place(added.data() + i * kDims);
    ASSERT_GE(at.x, 0);
    ASSERT_LE(at.x, 1);
    size_t nearest = 0;
    for (size_t k = 1; k < 300; ++k) {
      if (distance(at, layout.place(all.data() + k * kDims)) <
          distance(at, layout.place(all.data() + nearest * kDims)))
        nearest = k;
    }
    right += nearest % 5 == i % 5;
  }
  EXPECT_EQ(right, 100);
}

TEST(MapLayout, IsTheSameEachTimeAndSurvivesTheFile) {
  const auto all = rows(120);
  const MapLayout first = MapLayout::fit(all);
  const MapLayout second = MapLayout::fit(all);
  std::string bytes, other;
  first.write(bytes);
  second.write(other);
  EXPECT_EQ(bytes, other);
  std::string_view rest = bytes;
  const auto read = MapLayout::read(rest);
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(rest.empty());
  const auto added = rows(50, 3);
  for (size_t i = 0; i < 50; ++i)
    EXPECT_EQ(read->place(added.data() + i * kDims), first.place(added.data() + i * kDims));
  for (size_t cut = 0; cut < bytes.size(); cut += 97) {
    std::string_view part = std::string_view(bytes).substr(0, cut);
    EXPECT_FALSE(MapLayout::read(part).ok());
  }
}

TEST(MapLayout, FewAndEqualSoundsHavePlacesToo) {
  const auto two = rows(2);
  EXPECT_EQ(MapLayout().place(two.data()).x, 0.5f);
  for (const int count : {0, 1, 2, 3, 4, 5, 8}) {
    const auto some = rows(count);
    const MapLayout layout = MapLayout::fit(some);
    for (int i = 0; i < count; ++i) {
      const MapPlace at = layout.place(some.data() + static_cast<size_t>(i) * kDims);
      EXPECT_TRUE(at.x >= 0 && at.x <= 1 && at.y >= 0 && at.y <= 1) << count;
    }
  }
  std::vector<int8_t> equal;
  for (int i = 0; i < 40; ++i) equal.insert(equal.end(), two.begin(), two.begin() + kDims);
  EXPECT_EQ(MapLayout::fit(equal).anchors(), 1u);
}

class Library : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    catalogue_.reset();
    auto opened = open_catalogue(folder_.path(), Catalogue::Access::kWrite);
    ASSERT_TRUE(opened.ok());
    catalogue_ = std::move(*opened);
    map_ = std::make_unique<LibraryMap>(*catalogue_, folder_.path(), true);
  }
  void add(int count) {
    std::vector<Sample> batch;
    for (int i = 0; i < count; ++i, ++made_) {
      Sample s;
      s.file.path = "/sounds/" + std::to_string(made_) + ".wav";
      s.file.size = 100;
      s.file.mtime_ns = 1;
      s.analysis_version = audio::kAnalysisVersion;
      s.analysis.format = "wav";
      s.analysis.duration_s = 1;
      s.analysis.kind = kKinds[made_ % 5];
      s.analysis.kind_confidence = 0.9;
      s.analysis.descriptor.assign(audio::kDescriptorHeaderBytes, '\0');
      s.analysis.descriptor[0] = static_cast<char>(audio::kDescriptorVersion);
      const auto values = family(made_ % 5, random_);
      s.analysis.descriptor.append(reinterpret_cast<const char*>(values.data()), kDims);
      batch.push_back(std::move(s));
    }
    ASSERT_TRUE(catalogue_->put(batch).ok());
  }
  std::map<int64_t, std::pair<int, int>> places(const std::string& query = "") {
    SearchQuery q;
    q.text = query;
    const auto view = map_->view(q);
    EXPECT_TRUE(view.ok()) << (view.ok() ? "" : view.error().message());
    std::map<int64_t, std::pair<int, int>> all;
    for (size_t i = 0; view.ok() && i < view->ids.size(); ++i)
      all[view->ids[i]] = {view->x[i], view->y[i]};
    return all;
  }

  TemporaryFolder folder_;
  std::unique_ptr<Catalogue> catalogue_;
  std::unique_ptr<LibraryMap> map_;
  std::mt19937 random_{4};
  int made_ = 0;
};

TEST_F(Library, NothingMovesWhenSoundsAreAddedUntilTheUserSaysSo) {
  EXPECT_TRUE(places().empty());
  add(60);
  const auto before = places();
  EXPECT_EQ(before.size(), 60u);
  add(200);
  const auto after = places();
  EXPECT_EQ(after.size(), 260u);
  for (const auto& [id, at] : before) EXPECT_EQ(after.at(id), at);
  open();  // the service starts anew
  EXPECT_EQ(places(), after);
  ASSERT_TRUE(catalogue_->mark_missing({before.begin()->first}, true).ok());
  const auto fewer = places();
  EXPECT_EQ(fewer.size(), 259u);
  for (const auto& [id, at] : fewer) EXPECT_EQ(after.at(id), at);
  ASSERT_TRUE(map_->lay_out_anew().ok());
  EXPECT_NE(places(), fewer);
  const auto anew = places();
  open();
  EXPECT_EQ(places(), anew);
}

TEST_F(Library, AQueryNarrowsAndKeepsPlaces) {
  add(100);
  const auto all = places();
  const auto kicks = places("kind:kick");
  EXPECT_EQ(kicks.size(), 20u);
  for (const auto& [id, at] : kicks) EXPECT_EQ(all.at(id), at);
  SearchQuery wrong;
  wrong.text = "bpm:fast";
  const auto view = map_->view(wrong);
  ASSERT_FALSE(view.ok());
  EXPECT_EQ(view.error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(Library, WhatIsStoredWhileDescriptorsAreReadIsThere) {
  add(4000);
  for (int round = 0; round < 6; ++round) {
    open();  // reads them in the background, and is closed in the middle of that the next time
    add(1);
    if (round % 2 == 1) continue;
    const auto points = catalogue_->points({}, 100000);
    ASSERT_TRUE(points.ok());
    EXPECT_EQ(points->total, made_);
  }
}

TEST_F(Library, ClustersAreNamedByTheirKinds) {
  add(500);
  const auto view = map_->view({});
  ASSERT_TRUE(view.ok());
  std::map<std::string, int64_t> of;
  int64_t all = 0;
  for (const MapCluster& c : view->clusters) {
    of[c.kind] += c.of_kind;
    all += c.samples;
    EXPECT_LE(c.of_kind, c.samples);
  }
  EXPECT_EQ(of.size(), 5u);
  for (const auto& [kind, count] : of) EXPECT_GE(count, 90) << kind;
  EXPECT_LE(all, 500);
  EXPECT_GE(all, 480);
}

TEST_F(Library, ADamagedFileIsAFirstTime) {
  add(50);
  const auto before = places();
  auto bytes = read_file(folder_.path() / "library.map");
  ASSERT_TRUE(bytes.ok());
  for (const size_t cut :
       {size_t{0}, size_t{10}, size_t{40}, bytes->size() / 2, bytes->size() - 1}) {
    write_file(folder_.path() / "library.map", bytes->substr(0, cut));
    open();
    EXPECT_EQ(places(), before) << cut;  // the same sounds give the same layout
  }
  std::string more = *bytes + "x";
  write_file(folder_.path() / "library.map", more);
  open();
  EXPECT_EQ(places(), before);
}

}  // namespace
}  // namespace samplemind::library
