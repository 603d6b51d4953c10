#include "audio/picture.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>

#include "audio/picture/curves_internal.h"
#include "audio/picture/scene_internal.h"
#include "audio/test_sounds.h"

namespace samplemind::audio {
namespace {

using test::sine;

struct Pixels {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;
  Colour at(int x, int y) const {
    const size_t i = static_cast<size_t>(y * width + x) * 3;
    return {rgb[i], rgb[i + 1], rgb[i + 2]};
  }
};

uint32_t be32(std::string_view s, size_t at) {
  uint32_t v = 0;
  for (size_t i = 0; i < 4; ++i) v = v << 8 | static_cast<unsigned char>(s[at + i]);
  return v;
}

// A reader of its own: checks every chunk's sum and undoes the row filter.
Pixels read_png(const std::string& png) {
  Pixels p;
  EXPECT_EQ(png.substr(0, 8), std::string("\x89PNG\r\n\x1A\n", 8));
  std::string packed;
  for (size_t at = 8; at + 12 <= png.size();) {
    const size_t size = be32(png, at);
    const std::string type = png.substr(at + 4, 4), body = png.substr(at + 8, size);
    const auto sum =
        crc32(0, reinterpret_cast<const Bytef*>(png.data() + at + 4), static_cast<uInt>(size + 4));
    EXPECT_EQ(sum, be32(png, at + 8 + size)) << type;
    if (type == "IHDR") {
      p.width = static_cast<int>(be32(body, 0));
      p.height = static_cast<int>(be32(body, 4));
    }
    if (type == "IDAT") packed += body;
    at += 12 + size;
  }
  const size_t stride = static_cast<size_t>(p.width) * 3;
  std::string rows((stride + 1) * static_cast<size_t>(p.height), '\0');
  uLongf size = rows.size();
  EXPECT_EQ(uncompress(reinterpret_cast<Bytef*>(rows.data()), &size,
                       reinterpret_cast<const Bytef*>(packed.data()), packed.size()),
            Z_OK);
  EXPECT_EQ(size, rows.size());
  for (size_t y = 0; y < static_cast<size_t>(p.height); ++y) {
    EXPECT_EQ(rows[y * (stride + 1)], 1);
    for (size_t i = 0; i < stride; ++i) {
      const uint8_t left = i >= 3 ? p.rgb[y * stride + i - 3] : 0;
      p.rgb.push_back(static_cast<uint8_t>(rows[y * (stride + 1) + 1 + i] + left));
    }
  }
  return p;
}

int brightness(Colour c) {
  return c.r + c.g + c.b;
}

class PictureTest : public testing::Test {
 protected:
  std::string draw(const std::vector<float>& sound, PictureFormat format,
                   std::vector<Panel> panels = {}) {
    PictureOptions options;
    options.panels = std::move(panels);
    options.width_px = 600;
    auto picture =
        draw_picture(test::write(folder_.path / "<tone> & co.wav", sound), format, options);
    EXPECT_TRUE(picture.ok()) << (picture.ok() ? "" : picture.error().message());
    return picture.ok() ? *picture : "";
  }
  test::TemporaryFolder folder_;
};

TEST_F(PictureTest, PngShowsWhatSounds) {
  // A tone in the second half: the spectrogram is dark on the left and bright at 1 kHz on the
  // right.
  std::vector<float> sound(44100 * 2, 0.0f);
  test::add(sound, sine(1000, 1), 1);
  const Pixels p = read_png(draw(sound, PictureFormat::kPng, {Panel::kLog}));
  EXPECT_EQ(p.width, 600);
  // The panel lies between x 92 and 576, y 98 and 318; 1 kHz at ln(1000/30)/ln(10800/30) from
  // below.
  const int y = 318 - static_cast<int>(220 * std::log(1000 / 30.0) / std::log(10800 / 30.0));
  int right = 0, left = 0, elsewhere = 0;
  for (int dy = -2; dy <= 2; ++dy) {
    right = std::max(right, brightness(p.at(460, y + dy)));
    left = std::max(left, brightness(p.at(200, y + dy)));
    elsewhere = std::max(elsewhere, brightness(p.at(460, y + 60 + dy)));
  }
  EXPECT_GT(right, 550);
  EXPECT_LT(left, 60);
  EXPECT_LT(elsewhere, 250);
}

TEST_F(PictureTest, EveryPanelInBothFormats) {
  const std::vector<float> sound = test::clicks(120, 9);
  const Pixels all = read_png(draw(sound, PictureFormat::kPng));
  EXPECT_GT(all.height, 1000);
  const std::string svg = draw(sound, PictureFormat::kSvg);
  for (const char* word : {"Waveform", "Mel spectrogram", "logarithmic frequency", "Chromagram",
                           "Tempogram", "Onset strength", "10 kHz", "0:04", "beats", "onsets",
                           "&lt;tone&gt; &amp; co.wav", "data:image/png;base64,iVBORw0KGgo"})
    EXPECT_NE(svg.find(word), std::string::npos) << word;
  EXPECT_EQ(svg.find("<tone>"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.substr(svg.size() - 7), "</svg>\n");
}

TEST_F(PictureTest, OddSoundsCanBeDrawn) {
  for (const auto& sound : {std::vector<float>(1, 0.5f), std::vector<float>(44100, 0.0f),
                            std::vector<float>(50, 1.0f)}) {
    EXPECT_GT(read_png(draw(sound, PictureFormat::kPng)).width, 0);
    EXPECT_EQ(draw(sound, PictureFormat::kSvg).find("nan"), std::string::npos);
  }
  EXPECT_EQ(draw_picture(folder_.path / "none.wav", PictureFormat::kPng).error().code(),
            ErrorCode::kNotFound);
  PictureOptions narrow;
  narrow.width_px = 10;
  EXPECT_EQ(draw_picture(folder_.path / "none.wav", PictureFormat::kPng, narrow).error().code(),
            ErrorCode::kInvalidArgument);
}

TEST(Picture, PanelsHaveNames) {
  for (const char* text : {"waveform", "mel", "log", "chroma", "tempogram", "beats"}) {
    const auto panel = panel_from(text);
    ASSERT_TRUE(panel.ok());
    EXPECT_EQ(name(*panel), text);
  }
  EXPECT_FALSE(panel_from("spectrum").ok());
}

TEST(Picture, ColumnsHalveAndKeepTheirExtremesAndMeans) {
  Columns high(1, 8, 1, Columns::Merge::kMaximum), mean(1, 8, 1, Columns::Merge::kMean);
  for (int i = 0; i < 1000; ++i) {
    const float v = i == 417 ? 5 : static_cast<float>(i % 2);
    high.add(&v);
    mean.add(&v);
  }
  high.finish();
  mean.finish();
  EXPECT_LT(high.size(), 9u);
  EXPECT_EQ(high.step_s(), 128);
  EXPECT_EQ(high.at(417, 0), 5);
  EXPECT_EQ(high.at(700, 0), 1);
  EXPECT_NEAR(mean.at(0, 0), 0.5, 1e-6);
  EXPECT_NEAR(mean.at(417, 0), 0.5 + 4.0 / 128, 1e-6);
}

}  // namespace
}  // namespace samplemind::audio
