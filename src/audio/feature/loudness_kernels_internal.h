// Inner loops of the loudness meter, chosen for the processor at run time (internal).
#pragma once

#include <cstddef>

namespace samplemind::audio {

// Two second-order sections one after the other, for two channels at once.
struct KWeighting {
  double b[2][3];  // feed-forward
  double a[2][2];  // feedback, of the previous and the one before
};
struct KState {
  // [section][its first delay now, the same a sample ago, its input a sample ago][channel]
  double s[2][3][2] = {};
};

// Adds the energy of the filtered samples of channel 0 and 1 to energy[0], energy[1]. Samples of
// frame i are at in[i * stride] and, when `second`, in[i * stride + 1].
void k_weighted_energy(const float* in, size_t stride, bool second, size_t frames,
                       const KWeighting& filter, KState& state, double energy[2]);

inline constexpr size_t kPeakTapsMax = 24;

// The largest magnitude of `phases` filters (1 or 3) of `count` taps over x[0..frames); they read
// x[-kPeakTapsMax + 1] and on.
struct PeakFilters {
  size_t phases = 0;
  size_t count = 0;
  float taps[3][kPeakTapsMax] = {};
};
float interpolated_peak(const float* x, size_t frames, const PeakFilters& filters);

// out_c[i] = in[i * channels + c]; two channels by vector code.
void split_two(const float* interleaved, size_t frames, float* left, float* right);

}  // namespace samplemind::audio
