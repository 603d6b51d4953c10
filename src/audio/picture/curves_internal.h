// What a picture shows, gathered in one pass over the sound: values a column, with as many columns
// as are drawn, whatever the sound's length.
#pragma once

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "audio/dsp/frames.h"
#include "base/result.h"

namespace samplemind::audio {

// Columns of `rows` values each at a fixed time step, which doubles whenever there would be more
// than `columns_max` of them: neighbours are then merged by their mean, or their extremes.
class Columns {
 public:
  enum class Merge { kMean, kMaximum, kMinimum };
  Columns(size_t rows, size_t columns_max, double step_s, Merge merge)
      : rows_(rows), columns_max_(columns_max), step_s_(step_s), merge_(merge), pending_(rows, 0) {}
  void add(const float* values);  // `rows` of them: the next step
  void finish();                  // what is pending becomes the last column
  size_t rows() const { return rows_; }
  size_t size() const { return values_.size() / rows_; }
  double step_s() const { return step_s_ * static_cast<double>(merged_); }
  // Column at a time; 0 <= row < rows().
  float at(double time_s, size_t row) const;
  const std::vector<float>& values() const { return values_; }
  bool empty() const { return values_.empty(); }

 private:
  void combine(float& to, float from) const;
  void halve();
  size_t rows_, columns_max_;
  double step_s_;
  Merge merge_;
  std::vector<float> values_;
  std::vector<float> pending_;
  size_t pending_count_ = 0;
  size_t merged_ = 1;  // steps a column
};

inline constexpr size_t kPictureMelBands = 96;
inline constexpr size_t kPictureLogBands = 160;
inline constexpr double kPictureLowHz = 30, kPictureHighHz = 10800;
inline constexpr size_t kTempogramRows = 96;
inline constexpr double kTempogramLowBpm = 40, kTempogramHighBpm = 320;

struct Curves {
  double duration_s = 0;
  Columns low, high, rms;  // of the waveform
  Columns mel, log;        // dB relative to full scale
  Columns chroma;          // 12 rows, each column's largest is 1
  Columns flux;            // onset strength
  Columns tempogram;       // 0..1, rows from low to high tempo, evenly in log tempo
  Curves(size_t columns_max, double spectrum_step_s, double pitch_step_s);
};

Result<Curves> gather_curves(const std::filesystem::path& sound, size_t columns_max,
                             const std::atomic<bool>* cancel);

}  // namespace samplemind::audio
