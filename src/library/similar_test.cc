#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "library/catalogue.h"
#include "library/excerpt.h"
#include "library/index/sound_vectors.h"
#include "library/same_sound.h"
#include "library/test_support.h"

namespace samplemind::library {
namespace {

using Random = std::mt19937;

std::string descriptor(Random& random, int spread = 60) {
  std::string d(audio::kDescriptorHeaderBytes, '\0');
  d[0] = audio::kDescriptorVersion;
  std::normal_distribution<double> normal(0, spread);
  for (size_t i = 0; i < audio::kDescriptorDims; ++i)
    d += static_cast<char>(static_cast<int8_t>(std::clamp(normal(random), -127.0, 127.0)));
  return d;
}

std::string changed(std::string d, Random& random, int most) {
  for (size_t i = audio::kDescriptorHeaderBytes; i < d.size(); ++i) {
    const int v = static_cast<int8_t>(d[i]) +
                  static_cast<int>(random() % static_cast<uint32_t>(2 * most + 1)) - most;
    d[i] = static_cast<char>(static_cast<int8_t>(std::clamp(v, -128, 127)));
  }
  return d;
}

TEST(SoundVectors, VectorCodeAgreesWithThePlainOne) {
  Random random(1);
  std::vector<int8_t> rows(audio::kDescriptorDims * 37);
  std::vector<int8_t> query(audio::kDescriptorDims);
  for (auto& v : rows) v = static_cast<int8_t>(random());
  for (auto& v : query) v = static_cast<int8_t>(random());
  std::fill_n(rows.begin(), audio::kDescriptorDims, int8_t{127});
  std::fill_n(query.begin(), 16, int8_t{-128});
  for (const size_t count : {0u, 1u, 2u, 37u}) {
    std::vector<int32_t> fast(count * 5, -1), plain(count * 5, -1);
    block_sums(query.data(), rows.data(), count, fast.data());
    block_sums_plain(query.data(), rows.data(), count, plain.data());
    EXPECT_EQ(fast, plain);
  }
}

TEST(SoundVectors, NearestIsWhatComparingAllGives) {
  Random random(2);
  SoundVectors vectors;
  std::vector<std::string> all;
  for (int64_t id = 1; id <= 3000; ++id) {
    all.push_back(descriptor(random));
    vectors.put(id, all.back());
  }
  vectors.put(5, "no descriptor");  // silence now
  vectors.remove(7);
  vectors.put(9, all[100]);
  all[8] = all[100];
  EXPECT_EQ(vectors.size(), 2998u);
  for (const audio::AspectWeights weights :
       {audio::AspectWeights{}, audio::AspectWeights{0, 1, 0, 0},
        audio::AspectWeights{1, 2, 3, 4}}) {
    const std::string query = descriptor(random);
    std::vector<SoundVectors::Near> expected;
    for (int64_t id = 1; id <= 3000; ++id) {
      if (id == 5 || id == 7 || id % 3 == 0) continue;
      expected.push_back({id, *audio::distance(query, all[static_cast<size_t>(id - 1)], weights)});
    }
    std::sort(expected.begin(), expected.end());
    for (const size_t threads : {1u, 3u}) {
      const auto got = vectors.nearest(
          query, weights, 25, [](int64_t id) { return id % 3 != 0; }, threads);
      ASSERT_EQ(got.size(), 25u);
      for (size_t i = 0; i < got.size(); ++i)
        EXPECT_NEAR(got[i].distance, expected[i].distance, 1e-4) << i;
    }
  }
  EXPECT_EQ(vectors.descriptor(9), all[100]);
  EXPECT_TRUE(vectors.descriptor(5).empty());
  EXPECT_TRUE(vectors.nearest("x", {}, 5, {}, 1).empty());
  EXPECT_EQ(vectors.nearest(all[0], {}, 5000, {}, 2).size(), 2998u);
}

// So many that a sample gives the first bound; some are the same, and few are wanted.
TEST(SoundVectors, NearestOfManyIsExactToo) {
  Random random(8);
  SoundVectors vectors;
  std::vector<std::string> all;
  const std::string centre = descriptor(random);
  for (int64_t id = 1; id <= 60003; ++id) {
    all.push_back(id % 7 == 0   ? centre
                  : id % 2 == 0 ? changed(centre, random, 20)
                                : descriptor(random, 30));
    vectors.put(id, all.back());
  }
  for (int64_t id = 60003; id > 60000 - 9; --id) {
    vectors.remove(id);
    all.pop_back();
  }
  for (const audio::AspectWeights weights :
       {audio::AspectWeights{}, audio::AspectWeights{0, 0, 1, 0},
        audio::AspectWeights{0.01f, 2, 3, 4}}) {
    for (const int64_t one_in : {1, 500, 40000}) {
      std::vector<float> expected;
      for (size_t i = 0; i < all.size(); ++i)
        if ((static_cast<int64_t>(i) + 1) % one_in == 0)
          expected.push_back(*audio::distance(all[3], all[i], weights));
      std::sort(expected.begin(), expected.end());
      const auto got = vectors.nearest(
          all[3], weights, 50, [one_in](int64_t id) { return id % one_in == 0; }, 2);
      ASSERT_EQ(got.size(), std::min<size_t>(50, expected.size()));
      for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i].distance, expected[i], 1e-3) << i;
    }
  }
}

TEST(SoundVectors, ClosePairsAreFound) {
  Random random(3);
  SoundVectors vectors;
  for (int64_t id = 1; id <= 4000; ++id) {
    const std::string d = descriptor(random);
    vectors.put(id, d);
    if (id % 100 == 0) vectors.put(10000 + id, changed(d, random, 3));
  }
  const auto pairs = vectors.close_pairs(0.25f, {}, 100000);
  EXPECT_GE(pairs.size(), 38u);  // of 40
  for (const auto& p : pairs) EXPECT_EQ(std::abs(p.a - p.b), 10000);
}

class Similarity : public ::testing::Test {
 protected:
  Similarity() {
    auto opened = open_catalogue(home_.path() / "home", Catalogue::Access::kWrite);
    EXPECT_TRUE(opened.ok());
    catalogue_ = std::move(*opened);
  }
  int64_t add(const std::string& path, const std::string& d, const char* kind,
              double duration_s = 1) {
    Sample s;
    s.file = {path, 10, 20};
    s.digest_hex = blake3(path).hex();
    s.analysis_version = audio::kAnalysisVersion;
    s.analysis.format = "wav";
    s.analysis.duration_s = duration_s;
    s.analysis.kind = kind;
    s.analysis.kind_confidence = 0.9;
    s.analysis.descriptor = d;
    EXPECT_TRUE(catalogue_->put({s}).ok());
    return (*catalogue_->get_by_path(path))->id;
  }
  TemporaryFolder home_;
  std::unique_ptr<Catalogue> catalogue_;
};

TEST_F(Similarity, NearestFirstWithinAFilter) {
  Random random(4);
  const std::string d = descriptor(random);
  const int64_t self = add("/x/a.wav", d, "kick");
  const int64_t near = add("/x/b.wav", changed(d, random, 4), "kick");
  const int64_t farther = add("/x/c.wav", changed(d, random, 30), "snare");
  for (int i = 0; i < 20; ++i) add("/x/o" + std::to_string(i) + ".wav", descriptor(random), "pad");
  SimilarQuery q;
  q.descriptor = d;
  q.except = self;
  q.limit = 3;
  auto found = catalogue_->similar(q);
  ASSERT_TRUE(found.ok()) << found.error().message();
  ASSERT_EQ(found->size(), 3u);
  EXPECT_EQ((*found)[0].sample.id, near);
  EXPECT_EQ((*found)[1].sample.id, farther);
  EXPECT_GT((*found)[1].distance, (*found)[0].distance);
  EXPECT_NEAR((*found)[0].distance,
              *audio::distance(d, (*catalogue_->get(near))->analysis.descriptor), 1e-4);
  q.filter = "kind:snare";
  found = catalogue_->similar(q);
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ((*found)[0].sample.id, farther);
  // Changes are seen: a sound goes missing, another comes.
  ASSERT_TRUE(catalogue_->mark_missing({farther}, true).ok());
  EXPECT_TRUE(catalogue_->similar(q)->empty());
  const int64_t fresh = add("/x/new.wav", d, "snare");
  EXPECT_EQ((*catalogue_->similar(q))[0].sample.id, fresh);
  q.filter = "bpm:x";
  EXPECT_EQ(catalogue_->similar(q).error().code(), ErrorCode::kInvalidArgument);
  q.filter.clear();
  q.descriptor.clear();
  EXPECT_EQ(catalogue_->similar(q).error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(Similarity, DuplicatesOfEveryKind) {
  Random random(5);
  const auto put = [&](const std::string& path, const std::string& content,
                       const std::string& sound, const std::string& d, double duration_s) {
    Sample s;
    s.file = {path, 10, 20};
    s.digest_hex = blake3(content).hex();
    s.analysis_version = audio::kAnalysisVersion;
    s.analysis.format = "wav";
    s.analysis.duration_s = duration_s;
    s.analysis.audio_blake3 = blake3(sound).hex();
    s.analysis.descriptor = d;
    EXPECT_TRUE(catalogue_->put({s}).ok());
  };
  const std::string d = descriptor(random);
  put("/a.wav", "1", "A", d, 2);
  put("/copy of a.wav", "1", "A", d, 2);
  put("/a.flac", "2", "A", d, 2);
  put("/a.mp3", "3", "A mp3", changed(d, random, 3), 1.95);
  put("/a longer.wav", "4", "A longer", changed(d, random, 3), 9);
  for (int i = 0; i < 50; ++i)
    put("/o" + std::to_string(i), "o" + std::to_string(i), "o" + std::to_string(i),
        descriptor(random), 2);
  const auto paths = [](const DuplicateGroup& g) {
    std::vector<std::string> list;
    for (const Sample& s : g.samples) list.push_back(s.file.path);
    std::sort(list.begin(), list.end());
    return list;
  };
  const auto exact = catalogue_->duplicates(false, 100);
  ASSERT_TRUE(exact.ok()) << exact.error().message();
  ASSERT_EQ(exact->size(), 2u);
  EXPECT_EQ((*exact)[0].how, "bytes");
  EXPECT_EQ(paths((*exact)[0]), (std::vector<std::string>{"/a.wav", "/copy of a.wav"}));
  EXPECT_EQ((*exact)[1].how, "audio");
  EXPECT_EQ(paths((*exact)[1]), (std::vector<std::string>{"/a.flac", "/a.wav"}));
  const auto near = catalogue_->duplicates(true, 100);
  ASSERT_TRUE(near.ok()) << near.error().message();
  ASSERT_EQ(near->size(), 3u);
  EXPECT_EQ((*near)[2].how, "near");
  EXPECT_EQ(paths((*near)[2]),
            (std::vector<std::string>{"/a.flac", "/a.mp3", "/a.wav", "/copy of a.wav"}));
}

// A hit: noise and a falling tone that die away. `shift` in samples, also parts of one.
std::vector<float> hit(uint32_t seed, double shift = 0, double gain = 1, int rate = 44100) {
  Random random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> phases, rates;
  for (int i = 0; i < 80; ++i) {
    rates.push_back(60 + 9000.0 * i / 80 + 20 * normal(random));
    phases.push_back(6.28 * static_cast<double>(random() % 1000) / 1000);
  }
  std::vector<float> out(static_cast<size_t>(rate / 5));
  for (size_t n = 0; n < out.size(); ++n) {
    const double t = (static_cast<double>(n) - shift) / rate;
    if (t < 0) continue;
    double v = std::sin(2 * M_PI * 180 * t * std::exp(-3 * t));
    for (size_t i = 0; i < rates.size(); ++i)
      v += 0.1 * std::sin(2 * M_PI * rates[i] * t + phases[i]);
    out[n] = static_cast<float>(0.3 * gain * v * std::exp(-18 * t));
  }
  return out;
}

class SameSoundTest : public testing::Test {
 protected:
  SoundTrace trace(const std::vector<float>& sound, int rate = 44100) {
    const fs::path file = folder_.path() / "x.wav";
    std::string bytes("RIFF");
    const auto u32 = [&bytes](uint32_t v) { bytes.append(reinterpret_cast<const char*>(&v), 4); };
    const auto u16 = [&bytes](uint16_t v) { bytes.append(reinterpret_cast<const char*>(&v), 2); };
    u32(static_cast<uint32_t>(36 + 2 * sound.size()));
    bytes += "WAVEfmt ";
    u32(16);
    u16(1);
    u16(1);
    u32(static_cast<uint32_t>(rate));
    u32(static_cast<uint32_t>(2 * rate));
    u16(2);
    u16(16);
    bytes += "data";
    u32(static_cast<uint32_t>(2 * sound.size()));
    for (const float v : sound) u16(static_cast<uint16_t>(static_cast<int16_t>(v * 20000)));
    write_file(file, bytes);
    auto made = trace_of(file);
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message());
    return made.ok() ? std::move(*made) : SoundTrace();
  }
  TemporaryFolder folder_;
};

TEST_F(SameSoundTest, CopiesAreOneRecordingAndOtherHitsAreNot) {
  const SoundTrace original = trace(hit(1));
  EXPECT_GT(sameness(original, original), 0.999);
  EXPECT_GT(sameness(original, trace(hit(1, 0, 0.25))), 0.99) << "12 dB quieter";
  EXPECT_GT(sameness(original, trace(hit(1, 0, -1))), 0.99) << "turned over";
  for (const double late : {0.3, 0.5, 7.25, 441.5})
    EXPECT_GT(sameness(original, trace(hit(1, late))), 0.95) << late;
  EXPECT_GT(sameness(original, trace(hit(1, 0, 1, 48000), 48000)), 0.95) << "another rate";
  std::vector<float> cut = hit(1);
  cut.resize(cut.size() * 9 / 10);
  EXPECT_GT(sameness(original, trace(cut)), 0.99);
  // The same drum and envelope, another stroke.
  for (uint32_t seed = 2; seed < 12; ++seed) {
    const double other = sameness(original, trace(hit(seed)));
    EXPECT_LT(other, kSameSound) << seed;
    EXPECT_NEAR(other, sameness(trace(hit(seed)), original), 1e-4) << "the same both ways";
  }
}

TEST_F(SameSoundTest, WhatCannotBeComparedSaysSo) {
  EXPECT_EQ(trace_of(folder_.path() / "none.wav").error().code(), ErrorCode::kNotFound);
  const fs::path silent = folder_.path() / "silent.wav";
  write_file(silent, "RIFF\x24\x04\0\0WAVEfmt \x10\0\0\0");
  EXPECT_FALSE(trace_of(silent).ok());
}

TEST(Stretch, IsMeasuredOnItsOwn) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "long.wav";
  write_file(file, wav_bytes(1, 2.0));
  const auto part = analyze_stretch(file, 0.5, 1.25);
  ASSERT_TRUE(part.ok()) << part.error().message();
  EXPECT_NEAR(part->duration_s, 0.75, 1e-3);
  EXPECT_NEAR(analyze_stretch(file, 1.5, 0)->duration_s, 0.5, 1e-3);
  EXPECT_EQ(analyze_stretch(file, 5, 6).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(analyze_stretch(file, 1, 0.5).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(analyze_stretch(folder.path() / "none.wav", 0, 1).error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace samplemind::library
