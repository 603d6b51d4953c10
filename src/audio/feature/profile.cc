#include "audio/feature/profile.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace samplemind::audio {

namespace {
constexpr size_t kStepsAFrame = kProfileHop / kLevelHop;
constexpr float kFloorDb = -70;      // of relative values
constexpr float kMeanFloorDb = -60;  // the noise of 8 bit and of codecs lies below
constexpr float kSilence = 1e-4f;    // RMS of a step, -80 dBFS
constexpr float kBeginDb = -35;      // below the loudest step: where the sound begins
constexpr float kAudibleDb = -50;
constexpr size_t kThinning = 4;  // beyond the head one block of frames in so many is enough
constexpr double kLowHz = 40, kHighHz = 10500;
constexpr double kTonalLowHz = 50, kTonalHighHz = 3600;

double mel(double hz) {
  return 2595 * std::log10(1 + hz / 700);
}
double hertz(double mel_value) {
  return 700 * (std::pow(10, mel_value / 2595) - 1);
}

float db_of_power(float power) {
  return 10 * std::log10(power + 1e-12f);
}
}  // namespace

SoundProfile::SoundProfile() : bands_(mel_bands()) {
  spectra_.profile = this;
  pitches_.profile = this;
}

// Made once: a short sound takes less time than they do.
const std::vector<SoundProfile::Band>& SoundProfile::mel_bands() {
  static const std::vector<Band> bands = make_mel_bands();
  return bands;
}

std::vector<SoundProfile::Band> SoundProfile::make_mel_bands() {
  std::vector<Band> bands;
  const double bin_hz = static_cast<double>(kProfileRateHz) / kProfileFrame;
  const double step = (mel(kHighHz) - mel(kLowHz)) / (kMelBands + 1);
  for (size_t b = 0; b < kMelBands; ++b) {
    const double left = hertz(mel(kLowHz) + step * static_cast<double>(b));
    const double centre = hertz(mel(kLowHz) + step * static_cast<double>(b + 1));
    const double right = hertz(mel(kLowHz) + step * static_cast<double>(b + 2));
    Band band;
    band.first = static_cast<size_t>(std::ceil(left / bin_hz));
    for (size_t k = band.first; static_cast<double>(k) * bin_hz < right; ++k) {
      const double hz = static_cast<double>(k) * bin_hz;
      band.weights.push_back(static_cast<float>(hz < centre ? (hz - left) / (centre - left)
                                                            : (right - hz) / (right - centre)));
    }
    bands.push_back(std::move(band));
  }
  return bands;
}

void SoundProfile::feed(std::span<const float> mono) {
  while (!mono.empty()) {
    if (step_.empty() && mono.size() >= kLevelHop) {
      level_step(mono.first(kLevelHop));
      mono = mono.subspan(kLevelHop);
      continue;
    }
    const size_t n = std::min(kLevelHop - step_.size(), mono.size());
    step_.insert(step_.end(), mono.begin(), mono.begin() + static_cast<ptrdiff_t>(n));
    mono = mono.subspan(n);
    if (step_.size() == kLevelHop) {
      level_step(step_);
      step_.clear();
    }
  }
}

void SoundProfile::level_step(std::span<const float> step) {
  float energy = 0;
  size_t crossings = 0;
  for (const float s : step) {
    energy += s * s;
    crossings += (s < 0) != (last_sample_ < 0) ? 1 : 0;
    last_sample_ = s;
  }
  const float rms = std::sqrt(energy / static_cast<float>(step.size()));
  loudest_step_ = std::max(loudest_step_, rms);
  if (!begun_ && rms > kSilence) {
    begun_ = true;
    begun_step_ = steps_;
  }
  const float db = 20 * std::log10(rms + 1e-7f);
  crossings_ += static_cast<double>(crossings) * energy;
  crossings_weight_ += energy;
  if (begun_ && level_db_.size() < 2 * kProfileFramesMax) level_db_.push_back(db);
  if (rms > 1.2e-5f) {
    const auto level = static_cast<size_t>(std::clamp(-db, 0.0f, static_cast<float>(kLevels - 1)));
    if (!level_seen_[level]) first_step_[level] = steps_;
    level_seen_[level] = true;
    last_step_[level] = steps_;
  }
  ++steps_;
}

void SoundProfile::take_spectra(const FrameBlock& block) {
  // The level at a frame's centre is known by now: the frame's last sample lies beyond it, unless
  // the sound has ended.
  const size_t last = block.first + block.count;
  if (!begun_ || last * kStepsAFrame <= begun_step_) return;
  if (head_.size() >= kProfileFramesMax && block.first % (kLanes * kThinning) != 0) return;
  // A sine of full scale has a power of 1 in its band.
  constexpr float kScale = 16.0f / (kProfileFrame * kProfileFrame);
  std::array<std::array<float, kLanes>, kMelBands> bands;
  for (size_t b = 0; b < kMelBands; ++b) {
    std::array<float, kLanes> sum{};
    const Band& shape = bands_[b];
    const float* m = block.magnitude + shape.first * kLanes;
    for (size_t i = 0; i < shape.weights.size(); ++i, m += kLanes) {
      const float weight = shape.weights[i] * kScale;
      for (size_t l = 0; l < kLanes; ++l) sum[l] += weight * m[l] * m[l];
    }
    bands[b] = sum;
  }
  for (size_t l = 0; l < block.count; ++l) {
    MelFrame power;
    for (size_t b = 0; b < kMelBands; ++b) power[b] = bands[b][l];
    spectrum_frame(block.first + l, power);
  }
}

void SoundProfile::spectrum_frame(size_t index, const MelFrame& power) {
  if (index * kStepsAFrame < begun_step_) return;
  if (head_.empty()) first_frame_ = index;
  const bool in_head = head_.size() < kProfileFramesMax;
  MelFrame frame;
  float sum = 0;
  for (size_t b = 0; b < kMelBands; ++b) {
    loudest_band_ = std::max(loudest_band_, power[b]);
    sum += power[b];
    frame[b] = db_of_power(power[b]);
  }
  const float floor = db_of_power(loudest_band_) + kMeanFloorDb;
  const double weight = std::sqrt(sum) * (in_head ? 1.0 : static_cast<double>(kThinning));
  weight_ += weight;
  for (size_t b = 0; b < kMelBands; ++b) {
    const double db = std::max(frame[b], floor);
    sum_[b] += weight * db;
    squares_[b] += weight * db * db;
  }
  if (in_head) head_.push_back(frame);
}

void SoundProfile::take_pitches(const FrameBlock& block) {
  const auto heard = [&](size_t lane) {
    const size_t centre = (block.first + lane) * kPitches.hop;
    return begun_ && centre + kPitches.size / 4 >= begun_step_ * kLevelHop;
  };
  if (!heard(block.count - 1)) return;
  // One pass over the spectra for all frames: lane by lane it would be eight.
  std::array<double, kLanes> all{};
  for (size_t k = 0; k < block.bins; ++k) {
    const float* m = block.magnitude + k * kLanes;
    for (size_t l = 0; l < kLanes; ++l) {
      const float p = m[l] * m[l];
      all[l] += static_cast<double>(p);
      if (k < kTonalBins) power_[l][k] = p;
    }
  }
  const double bin_hz = static_cast<double>(kProfileRateHz) / kPitches.size;
  for (size_t l = 0; l < block.count; ++l)
    if (heard(l) && all[l] > 0) pitch_frame(power_[l], all[l], bin_hz);
}

void SoundProfile::pitch_frame(const TonalRow& power, double all, double bin_hz) {
  const auto first = static_cast<size_t>(kTonalLowHz / bin_hz);
  const auto last = static_cast<size_t>(kTonalHighHz / bin_hz);
  // A peak stands out when it holds 20 times the mean power of the 30 bins on either side of it.
  constexpr size_t kAround = 30;
  SM_ASSERT(last + kAround < kTonalBins);
  double window = 0;
  for (size_t k = 0; k < first + kAround; ++k) window += power[k];
  double tonal = 0;
  for (size_t k = first; k <= last; ++k) {
    window += power[k + kAround];
    if (k > kAround) window -= power[k - kAround - 1];
    const float p = power[k];
    if (p <= power[k - 1] || p < power[k + 1]) continue;
    const double lobe = static_cast<double>(p) + power[k - 1] + power[k + 1];
    const auto bins = static_cast<double>(std::min(k, kAround) + kAround + 1);
    if (static_cast<double>(p) * (bins - 3) < 20 * std::max(0.0, window - lobe)) continue;
    if (lobe < 0.002 * all) continue;
    const double a = std::log(power[k - 1] + 1e-30), b = std::log(p + 1e-30),
                 c = std::log(power[k + 1] + 1e-30);
    const double curve = a - 2 * b + c;
    const double shift = curve < 0 ? 0.5 * (a - c) / curve : 0;
    const double hz = (static_cast<double>(k) + std::clamp(shift, -0.5, 0.5)) * bin_hz;
    const double pitch = 12 * std::log2(hz / 440) + 69;
    tonal += lobe;
    const double root = std::sqrt(lobe);
    // Shared between the two nearest pitch classes.
    const double low = std::floor(pitch);
    const auto pc = static_cast<size_t>(static_cast<int>(low) % 12);
    chroma_sum_[pc] += root * (1 - (pitch - low));
    chroma_sum_[(pc + 1) % 12] += root * (pitch - low);
    height_sum_ += lobe * std::max(0.0, std::log2(hz / 55));
  }
  tonal_ += std::min(tonal, all);
  total_ += all;
}

void SoundProfile::flush() {
  if (!step_.empty()) {
    step_.resize(kLevelHop, 0.0f);
    level_step(step_);
    step_.clear();
  }
}

void SoundProfile::finish() {
  if (!begun_ || head_.empty() || level_db_.empty()) return;
  audible_ = true;
  cut_head();
  summarise();
}

void SoundProfile::cut_head() {
  const float loudest = *std::max_element(level_db_.begin(), level_db_.end());
  const auto begin = std::find_if(level_db_.begin(), level_db_.end(),
                                  [&](float db) { return db >= loudest + kBeginDb; });
  const auto skip = static_cast<size_t>(begin - level_db_.begin());
  level_db_.erase(level_db_.begin(), begin);
  for (float& db : level_db_) db = std::max(db - loudest, kFloorDb);
  const size_t begin_frame = (begun_step_ + skip + kStepsAFrame - 1) / kStepsAFrame;
  const size_t skip_frames =
      std::min(begin_frame - std::min(begin_frame, first_frame_), head_.size() - 1);
  head_.erase(head_.begin(), head_.begin() + static_cast<ptrdiff_t>(skip_frames));
  float peak = -1000;
  for (const MelFrame& frame : head_)
    peak = std::max(peak, *std::max_element(frame.begin(), frame.end()));
  for (MelFrame& frame : head_)
    for (float& db : frame) db = std::clamp(db - peak, kFloorDb, 0.0f);
}

void SoundProfile::summarise() {
  float loudest = -1000;
  for (size_t b = 0; b < kMelBands && weight_ > 0; ++b) {
    const double mean = sum_[b] / weight_;
    mean_db_[b] = static_cast<float>(mean);
    deviation_db_[b] =
        static_cast<float>(std::sqrt(std::max(0.0, squares_[b] / weight_ - mean * mean)));
    loudest = std::max(loudest, mean_db_[b]);
  }
  for (float& db : mean_db_) db = std::clamp(db - loudest, kMeanFloorDb, 0.0f);
  double chroma = 0;
  for (const double c : chroma_sum_) chroma += c;
  for (size_t i = 0; i < 12; ++i)
    chroma_[i] = chroma > 0 ? static_cast<float>(chroma_sum_[i] / chroma) : 1.0f / 12;
  tonality_ = total_ > 0 ? static_cast<float>(tonal_ / total_) : 0;
  height_ = tonal_ > 0 ? static_cast<float>(std::min(6.0, height_sum_ / tonal_)) : 0;
  const float top_db = 20 * std::log10(loudest_step_ + 1e-7f);
  size_t from = steps_, to = 0;
  for (size_t level = 0; level < kLevels; ++level) {
    if (!level_seen_[level] || -static_cast<float>(level) < top_db + kAudibleDb) continue;
    from = std::min(from, first_step_[level]);
    to = std::max(to, last_step_[level]);
  }
  audible_s_ = to >= from ? static_cast<double>((to - from + 1) * kLevelHop) / kProfileRateHz : 0;
  if (crossings_weight_ > 0)
    zero_crossings_hz_ = crossings_ / crossings_weight_ * kProfileRateHz / kLevelHop;
}

}  // namespace samplemind::audio
