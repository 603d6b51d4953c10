// Harmonic-percussive separation by median filtering (Fitzgerald, "Harmonic/percussive separation
// using median filtering", DAFx 2010) with soft masks, as librosa.decompose.hpss: medians over 31
// frames and over 31 bins, masks of their squares. A sink of kDetailSpec; needs 1 MB whatever the
// sound's length. Not thread-safe.
#pragma once

#include "audio/dsp/aligned.h"
#include "audio/dsp/frames.h"
#include "audio/facts.h"

namespace samplemind::audio {

class SeparationMeter final : public FrameSink {
 public:
  SeparationMeter();
  void take(const FrameBlock& block) override;
  // REQUIRES: called once, after the last take().
  HarmonicPercussiveFacts finish();

 private:
  void run();
  void copy_column(size_t to, size_t from);

  AlignedFloats magnitude_;   // [bin][column]: 31 past columns, then new ones
  AlignedFloats percussive_;  // medians over bins, likewise
  AlignedFloats sorted_;      // [group of 8 bins][31][8]: the columns of the window, in order
  size_t fill_;               // columns in use
  size_t pushed_ = 0;         // columns that went through the window
  bool begun_ = false;        // the mirrored start is in place
  double harmonic_ = 0, percussive_energy_ = 0, energy_ = 0;
};

}  // namespace samplemind::audio
