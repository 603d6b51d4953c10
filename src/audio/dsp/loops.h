// Sums over samples at a sound's own rate, chosen for the processor at run time: what every sample
// of every channel goes through must cost next to nothing. Pure, thread-safe. Sums are taken in
// single precision over up to 256 values a lane and added up in double.
#pragma once

#include <cstddef>

namespace samplemind::audio {

// The largest magnitude of x[0..n); 0 when empty.
float largest(const float* x, size_t n);
double sum_of_squares(const float* x, size_t n);
double sum(const float* x, size_t n);

// out[i] = (left + right) / 2 of n interleaved frames, at most 16 in magnitude, what is too small
// to hear (1e-15) set to 0. Returns the largest magnitude.
float mix_two(const float* interleaved, size_t n, float* out);
// The same of one channel.
float mix_one(const float* in, size_t n, float* out);

// Adds over n interleaved frames.
struct StereoSums {
  double ll = 0, rr = 0, lr = 0;
};
void add_stereo(const float* interleaved, size_t n, StereoSums& sums);

// Adds to left and right over n interleaved frames.
void add_two(const float* interleaved, size_t n, double& left, double& right);

// How many of x[0..n) have another sign than the value before (x[-1] is read).
size_t sign_changes(const float* x, size_t n);

}  // namespace samplemind::audio
