// The similarity descriptor: 84 bytes that say how a sound sounds, for finding sounds like it.
//
// One part an aspect, each a vector of int8 whose Euclidean distance, times the part's scale, is
// about 1 for two sounds picked at random:
//
//   timbre    32  colour: the spectrum's shape at the attack and over the whole sound, its movement
//   pitch     16  pitch classes and height, all near 0 for a sound without pitch
//   rhythm    16  which periods its attacks repeat at and how densely; near 0 for a single hit
//   envelope  16  length, attack, decay and the course of level over time
//
// It does not change with level, leading silence or sample rate, and little with a codec or a
// trimmed end. Descriptors of different versions cannot be compared: store them beside
// kAnalysisVersion, which is raised with kDescriptorVersion. All functions are pure and
// thread-safe; distance() allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace samplemind::audio {

class SoundProfile;

inline constexpr int kDescriptorVersion = 1;
inline constexpr size_t kAspectCount = 4;
inline constexpr size_t kDescriptorDims = 80;
// One version byte, three that are 0, then the parts as int8 in the order of Aspect.
inline constexpr size_t kDescriptorHeaderBytes = 4;
inline constexpr size_t kDescriptorBytes = kDescriptorHeaderBytes + kDescriptorDims;

enum class Aspect { kTimbre, kPitch, kRhythm, kEnvelope };

// Where an aspect's part lies among the 80 dimensions. `scale` turns the Euclidean distance of
// int8 values into the aspect's distance: a scan over packed descriptors needs only integer
// arithmetic and one multiplication a part.
struct AspectPart {
  std::string_view name;  // "timbre", as in JSON and on the command line
  size_t first = 0;
  size_t dims = 0;
  float scale = 0;
};
extern const std::array<AspectPart, kAspectCount> kAspectParts;

// How much each aspect counts: the squared distance is the sum of weight * (aspect's distance)^2.
// 0 leaves an aspect out. The defaults are what agrees best with labelled kinds and with copies of
// the same sound (docs/benchmarks.md).
struct AspectWeights {
  float timbre = 1;
  float pitch = 0.1f;
  float rhythm = 0.3f;
  float envelope = 0.25f;
  float of(Aspect aspect) const;
};

// Each 0 for the same sound, about 1 for two sounds picked at random, unbounded above.
struct AspectDistances {
  float timbre = 0;
  float pitch = 0;
  float rhythm = 0;
  float envelope = 0;
};

// True for bytes that this version's functions understand. An empty descriptor (silence) is none.
bool is_descriptor(std::string_view bytes);

// Nothing when either is not a descriptor of this version.
std::optional<AspectDistances> aspect_distances(std::string_view a, std::string_view b);
std::optional<float> distance(std::string_view a, std::string_view b,
                              const AspectWeights& weights = {});

// The descriptor as 80 floats whose plain Euclidean distance is distance(a, b, weights): what a
// nearest-neighbour index takes. Empty when `bytes` is not a descriptor of this version.
std::vector<float> descriptor_vector(std::string_view bytes, const AspectWeights& weights = {});

// A distance as a share to show to people: 1 for the same sound, 0.5 for two sounds picked at
// random, falling towards 0.
float similarity(float distance);

// The descriptor of what was heard; empty when it was silence. `onset_strength` holds a value every
// 1 / fps seconds over the whole sound (feature/rhythm.h).
std::string make_descriptor(const SoundProfile& profile, const std::vector<float>& onset_strength,
                            double fps);

}  // namespace samplemind::audio
