// Figures as JSON shows them: to the nearest multiple of 1/inverse_step.
#pragma once

#include <cmath>
#include <optional>

namespace samplemind::audio {

inline double rounded(double v, double inverse_step) {
  return std::round(v * inverse_step) / inverse_step;
}

inline std::optional<double> rounded(const std::optional<double>& v, double inverse_step) {
  if (!v) return std::nullopt;
  return rounded(*v, inverse_step);
}

}  // namespace samplemind::audio
