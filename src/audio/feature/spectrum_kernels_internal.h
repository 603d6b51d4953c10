// Inner loops over blocks of eight spectra, chosen for the processor at run time (internal). All
// take magnitudes as FrameBlock holds them: [bin][lane].
#pragma once

#include <cstddef>
#include <cstdint>

#include "audio/facts.h"

namespace samplemind::audio {

struct SpectrumShapes {
  // In bins, but for flatness and contrast. Of silent frames: 0.
  float centroid[8], bandwidth[8], rolloff[8], flatness[8];
  float contrast_db[kContrastBands][8];
};
struct ContrastBand {
  uint32_t first = 0, end = 0;  // bins
  uint32_t extremes = 0;  // how many of the largest and of the smallest are averaged, up to 16
};
void spectrum_shapes(const float* magnitude, size_t bins, const ContrastBand* bands,
                     SpectrumShapes& out);

// out[b][lane] = 10 log10(max(1e-10, sum of weights * power)) for bands of `count` bins from
// `first` on; weights lie one band after the other.
struct WeightedBand {
  uint32_t first = 0, count = 0;
};
void band_levels_db(const float* magnitude, const WeightedBand* bands, const float* weights,
                    size_t count, float* out);
// out[r][lane] = sum over c of matrix[r][c] * in[c][lane]
void matrix_times(const float* matrix, size_t rows, size_t columns, const float* in, float* out);
// out[r][lane] = sum over bins of weights[bin][r] * power, r = 0..11
void twelve_sums(const float* magnitude, size_t bins, const float* weights, float* out);

}  // namespace samplemind::audio
