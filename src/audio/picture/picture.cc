#include "audio/picture.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "audio/analyzer.h"
#include "audio/picture/curves_internal.h"
#include "audio/picture/scene_internal.h"

namespace samplemind::audio {

namespace {

constexpr std::array<std::pair<Panel, std::string_view>, 6> kPanels{
    {{Panel::kWaveform, "waveform"},
     {Panel::kMel, "mel"},
     {Panel::kLog, "log"},
     {Panel::kChroma, "chroma"},
     {Panel::kTempogram, "tempogram"},
     {Panel::kBeats, "beats"}}};

constexpr Colour kPaper{18, 20, 26}, kPanelPaper{10, 11, 15}, kInk{222, 226, 235},
    kDimInk{140, 148, 165}, kGrid{60, 66, 80}, kWave{86, 156, 214}, kWaveCore{160, 205, 245},
    kOnset{255, 196, 84}, kBeat{120, 220, 160}, kDownbeat{255, 110, 110};
constexpr int kLeft = 92, kRight = 24, kTop = 98, kGap = 34, kBottom = 46;
constexpr float kRangeDb = 80;

int height_of(Panel panel) {
  switch (panel) {
    case Panel::kWaveform:
      return 140;
    case Panel::kMel:
    case Panel::kLog:
      return 220;
    case Panel::kChroma:
      return 216;
    case Panel::kTempogram:
      return 160;
    case Panel::kBeats:
      return 120;
  }
  return 0;
}

// Dark to bright, even steps of lightness: black, violet, red, orange, pale yellow.
Colour heat(double v) {
  static constexpr std::array<std::array<double, 3>, 6> kStops{
      {{4, 4, 12}, {58, 20, 104}, {140, 41, 110}, {221, 81, 58}, {250, 165, 40}, {252, 253, 190}}};
  const double at = std::clamp(v, 0.0, 1.0) * (kStops.size() - 1);
  const size_t i = std::min<size_t>(static_cast<size_t>(at), kStops.size() - 2);
  const double part = at - static_cast<double>(i);
  const auto mix = [&](size_t c) {
    return static_cast<uint8_t>(std::lround(kStops[i][c] * (1 - part) + kStops[i + 1][c] * part));
  };
  return {mix(0), mix(1), mix(2)};
}

std::string plain(double v, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, v);
  return text;
}

std::string clock(double s, double step) {
  char text[32];
  if (step < 1) {
    std::snprintf(text, sizeof text, step < 0.1 ? "%.2f s" : "%.1f s", s);
  } else {
    const auto whole = static_cast<long>(s + 0.5);
    if (whole >= 3600)
      std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60,
                    whole % 60);
    else
      std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
  }
  return text;
}

class Drawing {
 public:
  Drawing(const Curves& curves, const Analysis& analysis, const PictureOptions& options,
          const std::string& title)
      : curves_(curves), analysis_(analysis) {
    scene_.width = options.width_px;
    scene_.background = kPaper;
    plot_w_ = options.width_px - kLeft - kRight;
    head(title);
    int y = kTop;
    for (const Panel panel : options.panels) {
      draw(panel, y);
      y += height_of(panel) + kGap;
    }
    scene_.height = y - kGap + kBottom;
    time_axis(kTop, y - kGap);
  }
  const Scene& scene() const { return scene_; }

 private:
  double x_of(double time_s) const { return kLeft + time_s / curves_.duration_s * plot_w_; }
  void text(double x, double y, std::string what, Colour colour, Scene::Anchor anchor,
            int size = 14) {
    scene_.texts.push_back({x, y, std::move(what), colour, size, anchor});
  }
  void line(double x0, double y0, double x1, double y1, Colour colour, double width,
            double opacity) {
    scene_.lines.push_back({{{x0, y0}, {x1, y1}}, colour, width, opacity});
  }

  void head(const std::string& title) {
    const size_t room = static_cast<size_t>(plot_w_) / 18;
    text(kLeft, 34, title.size() > room ? title.substr(0, room - 3) + "..." : title, kInk,
         Scene::Anchor::kStart, 21);
    std::string facts = clock(curves_.duration_s, curves_.duration_s < 60 ? 0.05 : 1);
    const auto add = [&](const std::string& fact) { facts += "  |  " + fact; };
    add(std::to_string(analysis_.sample_rate_hz) + " Hz");
    if (analysis_.content) add(*analysis_.content + (analysis_.kind ? ", " + *analysis_.kind : ""));
    if (analysis_.tempo_bpm) add(plain(*analysis_.tempo_bpm, 1) + " bpm");
    if (analysis_.key) add(*analysis_.key);
    if (analysis_.loudness_lufs) add(plain(*analysis_.loudness_lufs, 1) + " LUFS");
    text(kLeft, 58, facts, kDimInk, Scene::Anchor::kStart);
  }

  void frame(Panel panel, int y) {
    scene_.rectangles.push_back(
        {double(kLeft), double(y), double(plot_w_), double(height_of(panel)), kPanelPaper, 1});
  }
  void label(int y, const char* what) {
    text(kLeft + 2, y - 6, what, kDimInk, Scene::Anchor::kStart);
  }
  void mark(double y, const std::string& what) {
    line(kLeft - 5, y, kLeft, y, kDimInk, 1, 1);
    text(kLeft - 9, y + 5, what, kDimInk, Scene::Anchor::kEnd);
  }

  void draw(Panel panel, int y) {
    frame(panel, y);
    switch (panel) {
      case Panel::kWaveform:
        return waveform(y);
      case Panel::kMel:
        return mel(y);
      case Panel::kLog:
        return log(y);
      case Panel::kChroma:
        return chroma(y);
      case Panel::kTempogram:
        return tempogram(y);
      case Panel::kBeats:
        return beats(y);
    }
  }

  void waveform(int y) {
    label(y, "Waveform");
    const double middle = y + height_of(Panel::kWaveform) / 2.0;
    float most = 0.05f;
    for (const float v : curves_.high.values()) most = std::max(most, v);
    for (const float v : curves_.low.values()) most = std::max(most, -v);
    const double scale = (height_of(Panel::kWaveform) / 2.0 - 4) / std::max(1.0f, most);
    const double unit =
        most > 0.25f ? 1 : 0.25 / most;  // a quiet sound is drawn larger, and says so
    line(kLeft, middle, kLeft + plot_w_, middle, kGrid, 1, 1);
    Scene::Line outline{{}, kWave, 1, 1, true}, core{{}, kWaveCore, 1, 0.9, true};
    for (int x = 0; x < plot_w_; ++x) {
      const double t = (x + 0.5) / plot_w_ * curves_.duration_s;
      outline.points.push_back(
          {kLeft + x + 0.5, middle - std::max<double>(curves_.high.at(t, 0) * scale * unit, 0.5)});
      core.points.push_back(
          {kLeft + x + 0.5, middle - std::sqrt(curves_.rms.at(t, 0)) * scale * unit});
    }
    for (int x = plot_w_ - 1; x >= 0; --x) {
      const double t = (x + 0.5) / plot_w_ * curves_.duration_s;
      outline.points.push_back(
          {kLeft + x + 0.5, middle - std::min<double>(curves_.low.at(t, 0) * scale * unit, -0.5)});
      core.points.push_back(
          {kLeft + x + 0.5, middle + std::sqrt(curves_.rms.at(t, 0)) * scale * unit});
    }
    scene_.lines.push_back(std::move(outline));
    scene_.lines.push_back(std::move(core));
    const double full = most > 1 ? most : 1 / unit;
    mark(y + 4, plain(full, full < 0.1 ? 3 : 2));
    mark(middle, "0");
    mark(y + height_of(Panel::kWaveform) - 4, plain(-full, full < 0.1 ? 3 : 2));
  }

  // Row r of the columns at the picture's row from below.
  template <typename Value>
  void image(Panel panel, int y, const Columns& columns, Value value) {
    Scene::Image image{double(kLeft),
                       double(y),
                       double(plot_w_),
                       double(height_of(panel)),
                       plot_w_,
                       static_cast<int>(columns.rows()),
                       {}};
    image.pixels.reserve(static_cast<size_t>(plot_w_) * columns.rows());
    for (size_t r = columns.rows(); r-- > 0;)
      for (int x = 0; x < plot_w_; ++x)
        image.pixels.push_back(heat(
            columns.empty() ? 0 : value(columns.at((x + 0.5) / plot_w_ * curves_.duration_s, r))));
    scene_.images.push_back(std::move(image));
  }
  double brightness(float db, float top) const { return (db - top) / kRangeDb + 1; }
  static float loudest(const Columns& c) {
    float top = -100;
    for (const float v : c.values()) top = std::max(top, v);
    return std::max(top, -70.0f);
  }

  void spectrum(Panel panel, int y, const Columns& columns, auto&& row_of) {
    const float top = loudest(columns);
    image(panel, y, columns, [&](float db) { return brightness(db, top); });
    for (const int hz : {50, 100, 200, 500, 1000, 2000, 5000, 10000}) {
      const double share = row_of(hz);
      if (share < 0.02 || share > 0.985) continue;
      if (panel == Panel::kMel && (hz == 50 || hz == 100 || hz == 200)) continue;
      mark(y + height_of(panel) * (1 - share),
           hz >= 1000 ? std::to_string(hz / 1000) + " kHz" : std::to_string(hz) + " Hz");
    }
    text(kLeft + plot_w_, y - 6, plain(top - kRangeDb, 0) + " to " + plain(top, 0) + " dBFS",
         kDimInk, Scene::Anchor::kEnd);
  }

  void mel(int y) {
    label(y, "Mel spectrogram");
    const auto m = [](double hz) { return 2595 * std::log10(1 + hz / 700); };
    spectrum(Panel::kMel, y, curves_.mel, [&](double hz) {
      return (m(hz) - m(kPictureLowHz)) / (m(kPictureHighHz) - m(kPictureLowHz));
    });
  }
  void log(int y) {
    label(y, "Spectrogram, logarithmic frequency");
    spectrum(Panel::kLog, y, curves_.log, [&](double hz) {
      return std::log(hz / kPictureLowHz) / std::log(kPictureHighHz / kPictureLowHz);
    });
  }

  void chroma(int y) {
    label(y, "Chromagram");
    image(Panel::kChroma, y, curves_.chroma, [](float v) { return double(v) * v; });
    static constexpr const char* kNames[] = {"C",  "C#", "D",  "D#", "E",  "F",
                                             "F#", "G",  "G#", "A",  "A#", "B"};
    const double row = height_of(Panel::kChroma) / 12.0;
    for (int k = 0; k < 12; ++k)
      text(kLeft - 9, y + height_of(Panel::kChroma) - row * (k + 0.5) + 7, kNames[k], kDimInk,
           Scene::Anchor::kEnd);
  }

  void tempogram(int y) {
    label(y, "Tempogram (autocorrelation)");
    float most = 0.15f;
    for (const float v : curves_.tempogram.values()) most = std::max(most, v);
    image(Panel::kTempogram, y, curves_.tempogram, [&](float v) { return v / most; });
    const auto row_of = [&](double bpm) {
      return y + height_of(Panel::kTempogram) *
                     (1 - std::log(bpm / kTempogramLowBpm) /
                              std::log(kTempogramHighBpm / kTempogramLowBpm));
    };
    for (const int bpm : {50, 70, 100, 140, 200, 280}) mark(row_of(bpm), std::to_string(bpm));
    text(kLeft + plot_w_, y - 6, "bpm", kDimInk, Scene::Anchor::kEnd);
    if (curves_.tempogram.empty())
      text(kLeft + plot_w_ / 2.0, y + height_of(Panel::kTempogram) / 2.0,
           "too short for a tempogram", kDimInk, Scene::Anchor::kMiddle);
    if (!curves_.tempogram.empty() && analysis_.tempo_bpm &&
        *analysis_.tempo_bpm > kTempogramLowBpm && *analysis_.tempo_bpm < kTempogramHighBpm)
      line(kLeft, row_of(*analysis_.tempo_bpm), kLeft + plot_w_, row_of(*analysis_.tempo_bpm),
           kBeat, 1, 0.7);
  }

  void beats(int y) {
    const int h = height_of(Panel::kBeats);
    label(y, "Onset strength");
    float most = 1e-6f;
    for (const float v : curves_.flux.values()) most = std::max(most, v);
    Scene::Line curve{{}, kWave, 1, 0.9, true};
    curve.points.push_back({double(kLeft), double(y + h)});
    for (int x = 0; x < plot_w_; ++x) {
      const double t = (x + 0.5) / plot_w_ * curves_.duration_s;
      curve.points.push_back({kLeft + x + 0.5, y + h - curves_.flux.at(t, 0) / most * (h - 22)});
    }
    curve.points.push_back({double(kLeft + plot_w_), double(y + h)});
    scene_.lines.push_back(std::move(curve));
    // More than one mark in three pixels is a smear: then they are left out, and that is said.
    const auto crowded = [&](size_t n) { return n * 3 > static_cast<size_t>(plot_w_); };
    double right = kLeft + plot_w_;
    const auto legend = [&](const char* what, Colour colour, const std::vector<double>& times,
                            double top, double bottom, double width) {
      if (times.empty()) return;
      const std::string note = std::to_string(times.size()) + " " + what +
                               (crowded(times.size()) ? " (too many to draw)" : "");
      text(right, y - 6, note, colour, Scene::Anchor::kEnd);
      right -= static_cast<double>(note.size()) * 12 + 18;
      if (crowded(times.size())) return;
      for (const double t : times) line(x_of(t), top, x_of(t), bottom, colour, width, 0.85);
    };
    legend("downbeats", kDownbeat, analysis_.downbeats_s, y, y + h, 2);
    legend("beats", kBeat, analysis_.beats_s, y + 10, y + h, 1);
    legend("onsets", kOnset, analysis_.onsets_s, y, y + 9, 1.5);
  }

  void time_axis(int top, int bottom) {
    static constexpr double kSteps[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1,   2,    5,   10,
                                        15,   30,   60,   120, 300, 600, 900, 1800, 3600};
    double step = 7200;
    for (const double s : kSteps) {
      if (s / curves_.duration_s * plot_w_ >= 90) {
        step = s;
        break;
      }
    }
    for (int i = 0; i * step <= curves_.duration_s; ++i) {
      const double x = x_of(i * step);
      line(x, bottom, x, bottom + 6, kDimInk, 1, 1);
      if (i > 0) line(x, top, x, bottom, kInk, 1, 0.08);
      const bool last = x > scene_.width - kRight - 20;
      text(last ? scene_.width - kRight : x, bottom + 26, clock(i * step, step), kDimInk,
           i == 0 ? Scene::Anchor::kStart
           : last ? Scene::Anchor::kEnd
                  : Scene::Anchor::kMiddle);
    }
  }

  const Curves& curves_;
  const Analysis& analysis_;
  Scene scene_;
  int plot_w_ = 0;
};

}  // namespace

std::string_view name(Panel panel) {
  for (const auto& [p, n] : kPanels)
    if (p == panel) return n;
  return "";
}

Result<Panel> panel_from(std::string_view text) {
  std::string known;
  for (const auto& [p, n] : kPanels) {
    if (n == text) return p;
    known += (known.empty() ? "" : ", ") + std::string(n);
  }
  return Error(ErrorCode::kInvalidArgument, "unknown panel \"" + std::string(text) + "\"",
               "known: " + known);
}

Result<std::string> draw_picture(const std::filesystem::path& sound, PictureFormat format,
                                 const PictureOptions& given) {
  PictureOptions options = given;
  if (options.width_px < 400 || options.width_px > 4000)
    return Error(ErrorCode::kInvalidArgument,
                 "a picture is 400 to 4000 pixels wide, not " + std::to_string(options.width_px));
  if (options.panels.empty())
    for (const auto& [panel, n] : kPanels) options.panels.push_back(panel);
  if (options.panels.size() > 12)
    return Error(ErrorCode::kInvalidArgument, "a picture has 12 panels at most");
  AnalysisOptions how;
  how.cancel = options.cancel;
  SM_TRY(const Analysis analysis, Analyzer().analyze(sound, how));
  SM_TRY(const Curves curves,
         gather_curves(sound, static_cast<size_t>(options.width_px) * 2, options.cancel));
  const Drawing drawing(curves, analysis, options, sound.filename().string());
  return format == PictureFormat::kPng ? png_of(drawing.scene()) : svg_of(drawing.scene());
}

}  // namespace samplemind::audio
