#include "audio/feature/descriptor.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

#include "audio/feature/descriptor_internal.h"
#include "audio/feature/profile.h"

namespace samplemind::audio {

namespace {

static_assert(kTimbreDims + kPitchDims + kRhythmDims + kEnvelopeDims == kDescriptorDims);
constexpr float kStep = 100;  // int8 steps of a value of 1

constexpr size_t kCosines = 13;  // coefficients 0..12 are asked for

using CosineTable = std::array<std::array<double, kMelBands>, kCosines>;
const CosineTable& cosine_table() {
  static const CosineTable table = [] {
    CosineTable t;
    for (size_t k = 0; k < kCosines; ++k) {
      for (size_t b = 0; b < kMelBands; ++b)
        t[k][b] = std::cos(std::numbers::pi / kMelBands * static_cast<double>(k) *
                           (static_cast<double>(b) + 0.5));
    }
    return t;
  }();
  return table;
}

// Cosine transform over the mel bands: coefficients first..first+count-1 in units of 10 dB.
// REQUIRES: first + count <= kCosines.
void cosines(const MelFrame& db, size_t first, size_t count, float* out) {
  const CosineTable& table = cosine_table();
  for (size_t k = 0; k < count; ++k) {
    double sum = 0;
    for (size_t b = 0; b < kMelBands; ++b) sum += db[b] * table[first + k][b];
    out[k] = static_cast<float>(sum / kMelBands / 10);
  }
}

MelFrame mean_of(std::span<const MelFrame> frames) {
  MelFrame mean{};
  for (const MelFrame& frame : frames)
    for (size_t b = 0; b < kMelBands; ++b) mean[b] += frame[b] / static_cast<float>(frames.size());
  return mean;
}

// Frames [from, from + count) of the head, as many as there are; at least the last one.
std::span<const MelFrame> part(const SoundProfile& p, size_t from, size_t count) {
  const std::span<const MelFrame> head = p.head();
  from = std::min(from, head.size() - 1);
  return head.subspan(from, std::min(count, head.size() - from));
}

float centre_band(const MelFrame& db) {
  double sum = 0, weight = 0;
  for (size_t b = 0; b < kMelBands; ++b) {
    const double power = std::pow(10, db[b] / 20.0);
    sum += power * static_cast<double>(b);
    weight += power;
  }
  return static_cast<float>(sum / (weight + 1e-9) / kMelBands);
}

size_t loudest_band(const MelFrame& db) {
  return static_cast<size_t>(std::max_element(db.begin(), db.end()) - db.begin());
}

}  // namespace

void describe_timbre(const SoundProfile& p, std::span<float> out) {
  const MelFrame attack = mean_of(part(p, 0, 6));
  const MelFrame later = mean_of(part(p, 20, 20));
  cosines(p.mean_db(), 1, 12, &out[0]);
  cosines(attack, 1, 8, &out[12]);
  cosines(p.deviation_db(), 0, 6, &out[20]);
  out[26] = p.tonality();
  out[27] = static_cast<float>(std::log10(p.zero_crossings_hz() / 1000 + 0.02)) * 0.5f;
  out[28] = centre_band(p.mean_db());
  out[29] = centre_band(attack);
  float change[3];
  MelFrame difference;
  for (size_t b = 0; b < kMelBands; ++b) difference[b] = later[b] - attack[b];
  cosines(difference, 0, 3, change);
  for (size_t i = 0; i < 2; ++i) out[30 + i] = change[i + 1] * 0.5f;
}

void describe_pitch(const SoundProfile& p, std::span<float> out) {
  const float tone = std::sqrt(p.tonality());
  float norm = 0, most = 0;
  for (const float c : p.chroma()) {
    norm += c * c;
    most = std::max(most, c);
  }
  for (size_t i = 0; i < 12; ++i) out[i] = tone * p.chroma()[i] / std::sqrt(norm + 1e-9f);
  out[12] = tone * (p.height() - 2) * 0.4f;
  out[13] = tone * 0.5f;
  out[14] = tone * most * 0.5f;
  // A glide from the attack on: up is positive.
  const auto early = static_cast<float>(loudest_band(mean_of(part(p, 1, 2))));
  const auto late = static_cast<float>(loudest_band(mean_of(part(p, 10, 4))));
  out[15] = std::clamp((late - early) / 20, -1.0f, 1.0f) * 0.5f;
}

namespace {

// Autocorrelation of onset strength at 14 lags from 0.1 to 1.6 s: a single hit has none.
void rhythm(const std::vector<float>& strength, double fps, std::span<float> out) {
  const size_t n = strength.size();
  if (n < 20 || fps <= 0) return;
  double mean = 0;
  for (const float s : strength) mean += s / static_cast<double>(n);
  std::vector<float> x(n);
  double zero = 0;
  for (size_t i = 0; i < n; ++i) {
    x[i] = std::max(0.0f, strength[i] - static_cast<float>(mean));
    zero += static_cast<double>(x[i]) * x[i];
  }
  if (zero <= 0) return;
  const auto correlation = [&](size_t lag) {
    double sum = 0;
    for (size_t i = lag; i < n; ++i) sum += static_cast<double>(x[i]) * x[i - lag];
    return sum / zero;
  };
  float most = 0;
  for (size_t k = 0; k < 14; ++k) {
    const double centre = 0.1 * std::pow(2.0, static_cast<double>(k) * 4 / 13);
    const auto low = static_cast<size_t>(centre * 0.9 * fps);
    const auto high = static_cast<size_t>(centre * 1.1 * fps) + 1;
    double best = 0;
    for (size_t lag = low; lag <= high && lag < n; ++lag) best = std::max(best, correlation(lag));
    out[k] = static_cast<float>(best);
    most = std::max(most, out[k]);
  }
  size_t attacks = 0;
  for (size_t i = 1; i + 1 < n; ++i)
    attacks +=
        strength[i] > 0.25f && strength[i] > strength[i - 1] && strength[i] >= strength[i + 1] ? 1
                                                                                               : 0;
  const double seconds = static_cast<double>(n) / fps;
  out[14] = attacks < 3
                ? 0
                : static_cast<float>(0.3 * std::log2(1 + static_cast<double>(attacks) / seconds));
  out[15] = most * 0.5f;
}

}  // namespace

void describe_envelope(const SoundProfile& p, std::span<float> out) {
  const std::span<const float> level = p.level_db();
  const double step_s = static_cast<double>(kLevelHop) / kProfileRateHz;
  const auto logarithm = [](double seconds) {  // 5 ms .. 10 s -> -0.65 .. 1
    return static_cast<float>(0.5 * std::log10(seconds * 10 + 1e-3));
  };
  const auto top =
      static_cast<size_t>(std::max_element(level.begin(), level.end()) - level.begin());
  out[0] = logarithm(std::clamp(p.audible_s(), 0.005, 10.0)) * 1.2f;
  out[1] = logarithm(static_cast<double>(top + 1) * step_s);
  for (size_t k = 0; k < 4; ++k) {
    size_t i = top;
    while (i < level.size() && level[i] > -10 * static_cast<float>(k + 1)) ++i;
    out[2 + k] = logarithm(static_cast<double>(i - top + 1) * step_s);
  }
  double sum = 0, weight = 0;
  size_t loud = 0;
  for (size_t i = 0; i < level.size(); ++i) {
    const double amplitude = std::pow(10, level[i] / 20.0);
    sum += amplitude * static_cast<double>(i) * step_s;
    weight += amplitude;
    loud += level[i] > -10 ? 1 : 0;
  }
  out[6] = logarithm(sum / weight + step_s);
  out[7] = static_cast<float>(loud) / static_cast<float>(level.size()) * 0.5f;
  // Level around 10, 20, ... 1280 ms after the beginning; -60 dB and less is silence.
  for (size_t k = 0; k < 8; ++k) {
    const auto from = (size_t{2} << k) * 3 / 4, to = (size_t{2} << k) * 3 / 2;
    float best = -60;
    for (size_t i = from; i < to && i < level.size(); ++i) best = std::max(best, level[i]);
    out[8 + k] = best / 60;
  }
}

namespace {

int8_t value_at(std::string_view bytes, size_t dim) {
  return static_cast<int8_t>(bytes[kDescriptorHeaderBytes + dim]);
}

}  // namespace

// The scales are 1 / the median distance of two sounds picked at random, in int8 steps.
const std::array<AspectPart, kAspectCount> kAspectParts{{
    {"timbre", 0, kTimbreDims, 1 / 150.0f},
    {"pitch", 32, kPitchDims, 1 / 100.0f},
    {"rhythm", 48, kRhythmDims, 1 / 50.0f},
    {"envelope", 64, kEnvelopeDims, 1 / 150.0f},
}};

float AspectWeights::of(Aspect aspect) const {
  switch (aspect) {
    case Aspect::kTimbre:
      return timbre;
    case Aspect::kPitch:
      return pitch;
    case Aspect::kRhythm:
      return rhythm;
    case Aspect::kEnvelope:
      return envelope;
  }
  return 0;
}

bool is_descriptor(std::string_view bytes) {
  return bytes.size() == kDescriptorBytes && bytes[0] == kDescriptorVersion && bytes[1] == 0 &&
         bytes[2] == 0 && bytes[3] == 0;
}

std::optional<AspectDistances> aspect_distances(std::string_view a, std::string_view b) {
  if (!is_descriptor(a) || !is_descriptor(b)) return std::nullopt;
  std::array<float, kAspectCount> d{};
  for (size_t k = 0; k < kAspectCount; ++k) {
    const AspectPart& p = kAspectParts[k];
    int32_t sum = 0;
    for (size_t i = p.first; i < p.first + p.dims; ++i) {
      const int32_t difference = value_at(a, i) - value_at(b, i);
      sum += difference * difference;
    }
    d[k] = std::sqrt(static_cast<float>(sum)) * p.scale;
  }
  return AspectDistances{d[0], d[1], d[2], d[3]};
}

std::optional<float> distance(std::string_view a, std::string_view b,
                              const AspectWeights& weights) {
  const auto d = aspect_distances(a, b);
  if (!d) return std::nullopt;
  return std::sqrt(weights.timbre * d->timbre * d->timbre + weights.pitch * d->pitch * d->pitch +
                   weights.rhythm * d->rhythm * d->rhythm +
                   weights.envelope * d->envelope * d->envelope);
}

std::vector<float> descriptor_vector(std::string_view bytes, const AspectWeights& weights) {
  std::vector<float> out;
  if (!is_descriptor(bytes)) return out;
  out.reserve(kDescriptorDims);
  for (size_t k = 0; k < kAspectCount; ++k) {
    const AspectPart& p = kAspectParts[k];
    const float factor = p.scale * std::sqrt(weights.of(static_cast<Aspect>(k)));
    for (size_t i = p.first; i < p.first + p.dims; ++i)
      out.push_back(factor * static_cast<float>(value_at(bytes, i)));
  }
  return out;
}

float similarity(float distance) {
  return std::exp2(-distance * distance);
}

std::string make_descriptor(const SoundProfile& profile, const std::vector<float>& onset_strength,
                            double fps) {
  if (!profile.audible()) return {};
  std::array<float, kDescriptorDims> values{};
  const std::span<float> all(values);
  const auto of = [&](Aspect aspect) {
    const AspectPart& p = kAspectParts[static_cast<size_t>(aspect)];
    return all.subspan(p.first, p.dims);
  };
  describe_timbre(profile, of(Aspect::kTimbre));
  describe_pitch(profile, of(Aspect::kPitch));
  rhythm(onset_strength, fps, of(Aspect::kRhythm));
  describe_envelope(profile, of(Aspect::kEnvelope));
  std::string bytes(kDescriptorHeaderBytes, '\0');
  bytes[0] = kDescriptorVersion;
  for (const float v : values) {
    const float steps = std::isfinite(v) ? std::round(v * kStep) : 0;
    bytes.push_back(static_cast<char>(static_cast<int8_t>(std::clamp(steps, -127.0f, 127.0f))));
  }
  return bytes;
}

}  // namespace samplemind::audio
