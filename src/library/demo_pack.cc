#include "library/demo_pack.h"

#include <sndfile.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <mutex>
#include <numbers>
#include <thread>

#include "base/files.h"
#include "base/hash.h"
#include "base/json.h"
#include "library/query.h"

namespace samplemind::library {

namespace {

constexpr int kRate = 44100;
constexpr double kTau = 2 * std::numbers::pi;
using Sound = std::vector<float>;

// xorshift64*: the same noise on every machine (the standard library's distributions are not).
class Noise {
 public:
  explicit Noise(uint64_t seed) : state_(seed | 1) {}
  double unit() {  // 0..1
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<double>((state_ * 0x2545F4914F6CDD1DULL) >> 11) / 9007199254740992.0;
  }
  double next() { return 2 * unit() - 1; }

 private:
  uint64_t state_;
};

size_t samples(double seconds) {
  return static_cast<size_t>(seconds * kRate);
}
double hz(double midi) {
  return 440 * std::pow(2, (midi - 69) / 12);
}

// Two-pole state-variable filter (Chamberlin), stable below a sixth of the rate.
class Filter {
 public:
  Filter(double cutoff_hz, double q) : damp_(1 / q) { set_cutoff(cutoff_hz); }
  void set_cutoff(double cutoff_hz) {
    f_ = 2 * std::sin(std::numbers::pi * std::min(cutoff_hz, kRate / 6.5) / kRate);
  }
  void step(double in) {
    low_ += f_ * band_;
    high = in - low_ - damp_ * band_;
    band_ += f_ * high;
  }
  double low() const { return low_; }
  double band() const { return band_; }
  double high = 0;

 private:
  double f_ = 0, damp_, low_ = 0, band_ = 0;
};

double decay(size_t i, double seconds) {
  return std::exp(-static_cast<double>(i) / (seconds * kRate));
}
double fade_in(size_t i, double seconds) {
  return std::min(1.0, static_cast<double>(i) / (seconds * kRate));
}

Sound kick(double from_hz, double to_hz, double length_s, double click, Noise& noise) {
  Sound out(samples(length_s * 2.2));
  double phase = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    phase += kTau * (to_hz + (from_hz - to_hz) * decay(i, 0.03)) / kRate;
    const double body =
        std::tanh(1.6 * std::sin(phase)) * decay(i, length_s * 0.45) * fade_in(i, 0.0008);
    out[i] = static_cast<float>(body + click * noise.next() * decay(i, 0.003));
  }
  return out;
}

Sound snare(double tone_hz, double snap, double length_s, Noise& noise) {
  Sound out(samples(length_s * 2.5));
  Filter wires(3800, 0.8);
  for (size_t i = 0; i < out.size(); ++i) {
    const double t = static_cast<double>(i) / kRate;
    const double body =
        (std::sin(kTau * tone_hz * t) + 0.6 * std::sin(kTau * tone_hz * 1.59 * t)) * decay(i, 0.06);
    wires.step(noise.next());
    out[i] = static_cast<float>(0.5 * body + snap * (wires.high * 0.5 + wires.band() * 0.7) *
                                                 decay(i, length_s * 0.5));
  }
  return out;
}

Sound clap(double length_s, Noise& noise) {
  Sound out(samples(length_s * 2));
  Filter room(1500, 1.5);
  constexpr std::array<double, 4> kHands{0, 0.011, 0.021, 0.033};
  for (size_t i = 0; i < out.size(); ++i) {
    const double t = static_cast<double>(i) / kRate;
    double level = 0;
    for (size_t h = 0; h < kHands.size(); ++h) {
      if (t >= kHands[h])
        level = std::max(
            level, std::exp(-(t - kHands[h]) / (h + 1 == kHands.size() ? length_s * 0.4 : 0.006)));
    }
    room.step(noise.next() * level);
    out[i] = static_cast<float>(room.band() + 0.3 * room.high);
  }
  return out;
}

// Six inharmonic squares through a high pass (the classic analogue metal), shared by hats, cymbals
// and cowbell-like sounds.
Sound metal(double base_hz, double length_s, double cutoff_hz, double noise_part, Noise& noise) {
  constexpr std::array<double, 6> kRatios{2.0, 3.0, 4.16, 5.43, 6.79, 8.21};
  Sound out(samples(length_s * 3));
  Filter high(cutoff_hz, 0.9);
  for (size_t i = 0; i < out.size(); ++i) {
    const double t = static_cast<double>(i) / kRate;
    double sum = 0;
    for (const double r : kRatios) sum += std::sin(kTau * base_hz * r * t) > 0 ? 1 : -1;
    high.step((1 - noise_part) * sum / 6 + noise_part * noise.next());
    out[i] = static_cast<float>(high.high * decay(i, length_s) * fade_in(i, 0.0005));
  }
  return out;
}

Sound tom(double midi, double length_s, Noise& noise) {
  Sound out(samples(length_s * 2.5));
  double phase = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    phase += kTau * hz(midi) * (1 + 0.6 * decay(i, 0.025)) / kRate;
    out[i] = static_cast<float>(std::sin(phase) * decay(i, length_s * 0.6) +
                                0.15 * noise.next() * decay(i, 0.01));
  }
  return out;
}

Sound ping(double f1, double f2, double length_s) {  // rim, cowbell, wood
  Sound out(samples(length_s * 4));
  Filter band(f1 * 1.2, 3);
  for (size_t i = 0; i < out.size(); ++i) {
    const double t = static_cast<double>(i) / kRate;
    const double square =
        (std::sin(kTau * f1 * t) > 0 ? 0.5 : -0.5) + (std::sin(kTau * f2 * t) > 0 ? 0.5 : -0.5);
    band.step(square);
    out[i] = static_cast<float>((0.4 * square + 0.6 * band.band()) * decay(i, length_s) *
                                fade_in(i, 0.0003));
  }
  return out;
}

// Band-limited by summing harmonics; brightness 0..1 sets how slowly they fall. The levels move
// slowly: they are set anew every 64 samples, and sin(h x) follows from the two before it, so that
// no harmonic costs a sine.
class Harmonics {
 public:
  Harmonics(double f_hz, bool odd) : top_(std::min(24, static_cast<int>(9000 / f_hz))), odd_(odd) {}
  void set_brightness(double brightness) {
    for (int h = 1; h <= top_; ++h)
      level_[static_cast<size_t>(h)] =
          odd_ && h % 2 == 0 ? 0 : std::pow(h, -1.9 + 1.1 * brightness);
  }
  double at(double phase) const {
    const double twice_cos = 2 * std::cos(phase);
    double before = 0;
    double now = std::sin(phase);
    double sum = 0;
    for (int h = 1; h <= top_; ++h) {
      sum += level_[static_cast<size_t>(h)] * now;
      const double next = twice_cos * now - before;
      before = now;
      now = next;
    }
    return sum;
  }

 private:
  std::array<double, 25> level_{};
  int top_;
  bool odd_;
};

Sound tone(double midi, double length_s, double attack_s, double decay_s, double brightness,
           bool odd, double detune) {
  Sound out(samples(length_s));
  const double f = hz(midi);
  Harmonics harmonics(f, odd);
  const size_t release = samples(std::min(0.08, length_s / 4));
  double fading = 1;
  for (size_t i = 0; i < out.size(); ++i) {
    if (i % 64 == 0) {
      harmonics.set_brightness(brightness * (0.35 + 0.65 * decay(i, decay_s * 0.4)));
      fading = decay(i, decay_s);
    }
    const double t = static_cast<double>(i) / kRate;
    double s = harmonics.at(kTau * f * t);
    if (detune > 0) s = 0.5 * s + 0.5 * harmonics.at(kTau * f * (1 + detune) * t + 1);
    const double end =
        std::min(1.0, static_cast<double>(out.size() - i) / static_cast<double>(release));
    out[i] = static_cast<float>(s * fade_in(i, attack_s) * fading * end);
  }
  return out;
}

void mix(Sound& into, const Sound& part, double at_s, double gain) {
  const size_t at = samples(at_s);
  for (size_t i = 0; i < part.size() && at + i < into.size(); ++i)
    into[at + i] += static_cast<float>(gain) * part[i];
}

Sound chord(const std::vector<int>& notes, double length_s, double attack_s, double decay_s,
            double brightness) {
  Sound out(samples(length_s));
  for (const int n : notes)
    mix(out, tone(n, length_s, attack_s, decay_s, brightness, false, 0.003), 0, 1);
  return out;
}

Sound sweep(bool up, double length_s, Noise& noise) {
  Sound out(samples(length_s));
  Filter f(200, 2.5);
  for (size_t i = 0; i < out.size(); ++i) {
    const double x = static_cast<double>(i) / static_cast<double>(out.size());
    const double pos = up ? x : 1 - x;
    if (i % 64 == 0) f.set_cutoff(200 + 6000 * pos * pos);
    f.step(noise.next());
    out[i] = static_cast<float>(f.band() * (0.1 + 0.9 * pos) * fade_in(i, 0.01) *
                                fade_in(out.size() - i, 0.01));
  }
  return out;
}

Sound crackle(double length_s, Noise& noise) {
  Sound out(samples(length_s));
  Filter hum(900, 0.7);
  for (float& s : out) {
    hum.step(noise.next());
    s = static_cast<float>(0.05 * hum.low() + (noise.unit() > 0.9996 ? noise.next() : 0));
  }
  return out;
}

// Sixteen steps a bar: x loud, o soft.
struct Groove {
  const char* kick;
  const char* snare;
  const char* hat;
  double swing;  // delay of every second step, as a part of a step
};

Sound drum_loop(double bpm, int bars, const Groove& g, bool clap_too, Noise& noise) {
  const double step = 60 / bpm / 4;
  Sound out(static_cast<size_t>(std::llround(step * 16 * bars * kRate)));
  const Sound k = kick(170, 48, 0.28, 0.3, noise);
  const Sound s = clap_too ? clap(0.22, noise) : snare(190, 0.8, 0.2, noise);
  const Sound h = metal(410, 0.035, 7000, 0.4, noise);
  for (int i = 0; i < bars * 16; ++i) {
    const double t = i * step + (i % 2 == 1 ? g.swing * step : 0);
    const auto hit = [&](const char* line, const Sound& sound, double gain) {
      const char c = line[i % 16];
      if (c == 'x') mix(out, sound, t, gain);
      if (c == 'o') mix(out, sound, t, gain * 0.4);
    };
    hit(g.kick, k, 1);
    hit(g.snare, s, 0.7);
    hit(g.hat, h, 0.4);
  }
  return out;
}

// Chords on scale degrees, a bar each, with a bass and an arpeggio.
Sound melody_loop(double bpm, int tonic, bool minor, const std::array<int, 4>& degrees, int bars,
                  Noise& noise) {
  static constexpr std::array<int, 7> kMajorScale{0, 2, 4, 5, 7, 9, 11};
  static constexpr std::array<int, 7> kMinorScale{0, 2, 3, 5, 7, 8, 10};
  const auto& scale = minor ? kMinorScale : kMajorScale;
  const double beat = 60 / bpm;
  Sound out(static_cast<size_t>(std::llround(beat * 4 * bars * kRate)));
  for (int bar = 0; bar < bars; ++bar) {
    const int root = degrees[static_cast<size_t>(bar % 4)];
    // In minor the dominant takes the leading note (harmonic minor): without it the piece might as
    // well be in the relative major.
    const bool leading_note = minor && root == 4;
    const auto pitch = [&](int degree) {
      return tonic + scale[static_cast<size_t>(degree % 7)] + 12 * (degree / 7) +
             (leading_note && degree % 7 == 6 ? 1 : 0);
    };
    const double t = bar * 4 * beat;
    mix(out,
        chord({pitch(root) + 48, pitch(root + 2) + 48, pitch(root + 4) + 48}, beat * 4, 0.02, 3,
              0.35),
        t, 0.16);
    for (int b = 0; b < 4; ++b)
      mix(out, tone(pitch(root) + 36, beat * 0.9, 0.004, 0.5, 0.4, false, 0), t + b * beat, 0.4);
    for (int e = 0; e < 8; ++e) {
      const int note = pitch(root + (e % 4) * 2) + 60;
      mix(out, tone(note, beat * 0.45, 0.003, 0.18, 0.6, true, 0), t + e * beat / 2,
          0.22 + 0.05 * noise.unit());
    }
  }
  return out;
}

enum class Recipe {
  kKick,
  kSnare,
  kClap,
  kHatClosed,
  kHatOpen,
  kTom,
  kRim,
  kCowbell,
  kCrash,
  kBass,
  kPad,
  kKeys,
  kStab,
  kLead,
  kRiser,
  kDrop,
  kCrackle,
  kDrums,
  kMelody
};

struct Entry {
  DemoSound sound;
  Recipe recipe;
  double a = 0, b = 0, c = 0;
  int variant = 0;
};

constexpr std::array<Groove, 6> kGrooves{{
    {"x...x...x...x...", "....x.......x...", "..x...x...x...x.", 0},
    {"x.....x...x.....", "....x.......x..o", "x.x.x.x.x.x.x.x.", 0.18},
    {"x..x..x...x.....", "........x.......", "x.xxx.x.x.x.xxx.", 0},
    {"x.........x.....", "....x.......x...", "x.x.x.x.x.x.x.x.", 0},
    {"x..x...x..x.x...", "....x..o.o..x..o", "x.x.x.x.x.x.x.xx", 0.1},
    {"x.x.......x..x..", "....x..o....x...", "x.x.x.x.x.x.x.x.", 0.3},
}};
constexpr std::array<std::array<int, 4>, 4> kProgressions{
    {{0, 5, 3, 4}, {0, 3, 4, 0}, {0, 4, 5, 3}, {0, 3, 0, 4}}};

std::string note_name(int midi) {
  static constexpr std::array<const char*, 12> kNames{"C",  "Cs", "D",  "Ds", "E",  "F",
                                                      "Fs", "G",  "Gs", "A",  "As", "B"};
  return std::string(kNames[static_cast<size_t>(midi % 12)]) + std::to_string(midi / 12 - 1);
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all = [] {
    std::vector<Entry> list;
    const auto hit = [&](std::string file, const char* kind, Recipe r, double a, double b = 0,
                         double c = 0, std::optional<double> note = {}) {
      list.push_back({{std::move(file), "oneshot", kind, {}, {}, note}, r, a, b, c, 0});
    };
    hit("Drums/Kick_Deep.wav", "kick", Recipe::kKick, 140, 42, 0.45);
    hit("Drums/Kick_Punch.wav", "kick", Recipe::kKick, 220, 52, 0.25);
    hit("Drums/Kick_Hard.wav", "kick", Recipe::kKick, 320, 58, 0.18);
    hit("Drums/Kick_Long_808.wav", "kick", Recipe::kKick, 120, 44, 0.9);
    hit("Drums/Snare_Tight.wav", "snare", Recipe::kSnare, 210, 0.8, 0.12);
    hit("Drums/Snare_Fat.wav", "snare", Recipe::kSnare, 170, 0.7, 0.24);
    hit("Drums/Snare_Bright.wav", "snare", Recipe::kSnare, 240, 1.0, 0.18);
    hit("Drums/Clap_Short.wav", "clap", Recipe::kClap, 0.12);
    hit("Drums/Clap_Room.wav", "clap", Recipe::kClap, 0.28);
    hit("Drums/HatClosed_Tick.wav", "hat_closed", Recipe::kHatClosed, 420, 0.02, 8000);
    hit("Drums/HatClosed_Soft.wav", "hat_closed", Recipe::kHatClosed, 380, 0.04, 6500);
    hit("Drums/HatClosed_Metal.wav", "hat_closed", Recipe::kHatClosed, 540, 0.03, 7500);
    hit("Drums/HatOpen_Bright.wav", "hat_open", Recipe::kHatOpen, 430, 0.22, 7000);
    hit("Drums/HatOpen_Loose.wav", "hat_open", Recipe::kHatOpen, 390, 0.34, 6000);
    hit("Drums/Tom_Low.wav", "tom", Recipe::kTom, 40, 0.35);
    hit("Drums/Tom_Mid.wav", "tom", Recipe::kTom, 47, 0.3);
    hit("Drums/Tom_High.wav", "tom", Recipe::kTom, 54, 0.25);
    hit("Drums/Rim_Click.wav", "rim", Recipe::kRim, 1700, 820, 0.012);
    hit("Drums/Cowbell_Classic.wav", "cowbell", Recipe::kCowbell, 540, 800, 0.11);
    hit("Drums/Crash_Wide.wav", "crash", Recipe::kCrash, 310, 0.7, 4200);
    for (const int n : {28, 31, 33, 36})
      hit("Bass/Bass_" + note_name(n) + ".wav", "bass", Recipe::kBass, n, 0, 0, n);
    hit("Bass/Bass_Sub_F1.wav", "bass", Recipe::kBass, 29, 1, 0, 29);
    for (const int n : {60, 64, 67, 72})
      hit("Keys/Keys_" + note_name(n) + ".wav", "keys", Recipe::kKeys, n, 0, 0, n);
    for (const int n : {57, 62, 69})
      hit("Lead/Lead_" + note_name(n) + ".wav", "lead", Recipe::kLead, n, 0, 0, n);
    hit("Stabs/Stab_Cm.wav", "stab", Recipe::kStab, 60, 1);
    hit("Stabs/Stab_Am.wav", "stab", Recipe::kStab, 57, 1);
    hit("Stabs/Stab_G.wav", "stab", Recipe::kStab, 55, 0);
    hit("Pads/Pad_Dm.flac", "pad", Recipe::kPad, 50, 1);
    hit("Pads/Pad_F.flac", "pad", Recipe::kPad, 53, 0);
    hit("Pads/Pad_Em.flac", "pad", Recipe::kPad, 52, 1);
    hit("FX/Riser_Noise_2s.flac", "fx", Recipe::kRiser, 2);
    hit("FX/Downlifter_Noise_2s.flac", "fx", Recipe::kDrop, 2);
    hit("FX/Vinyl_Crackle.flac", "ambience", Recipe::kCrackle, 4);
    const auto drums = [&](const char* style, double bpm, int groove, bool clap_too) {
      list.push_back({{"Loops/Loop_Drums_" + std::string(style) + "_" +
                           std::to_string(static_cast<int>(bpm)) + "bpm.flac",
                       "loop",
                       "drums",
                       bpm,
                       {},
                       {}},
                      Recipe::kDrums,
                      bpm,
                      clap_too ? 1.0 : 0.0,
                      0,
                      groove});
    };
    drums("House", 124, 0, true);
    drums("Techno", 132, 0, false);
    drums("BoomBap", 90, 1, false);
    drums("Trap", 140, 2, true);
    drums("HipHop", 84, 5, false);
    drums("Rock", 110, 3, false);
    drums("Funk", 104, 4, false);
    drums("DnB", 174, 3, false);
    drums("Disco", 118, 0, true);
    drums("Slow", 96, 4, false);
    const auto melody = [&](const char* name, double bpm, int tonic, bool minor, int progression) {
      static constexpr std::array<const char*, 12> kKeys{"C",  "Cs", "D",  "Ds", "E",  "F",
                                                         "Fs", "G",  "Gs", "A",  "As", "B"};
      static constexpr std::array<const char*, 12> kNames{"C",  "C#", "D",  "D#", "E",  "F",
                                                          "F#", "G",  "G#", "A",  "A#", "B"};
      const std::string key =
          std::string(kNames[static_cast<size_t>(tonic)]) + (minor ? " minor" : " major");
      list.push_back(
          {{"Loops/Loop_" + std::string(name) + "_" + kKeys[static_cast<size_t>(tonic)] +
                (minor ? "m" : "") + "_" + std::to_string(static_cast<int>(bpm)) + "bpm.flac",
            "loop",
            "melody",
            bpm,
            key,
            {}},
           Recipe::kMelody,
           bpm,
           static_cast<double>(tonic),
           minor ? 1.0 : 0.0,
           progression});
    };
    melody("Arp", 120, 9, true, 0);
    melody("Chords", 100, 0, false, 1);
    melody("Keys", 92, 6, true, 0);
    melody("Sunset", 110, 7, false, 2);
    melody("Night", 128, 2, true, 3);
    melody("Morning", 105, 5, false, 1);
    melody("Drift", 85, 3, true, 0);
    melody("Bright", 126, 4, false, 2);
    melody("Fall", 140, 11, true, 3);
    return list;
  }();
  return all;
}

Sound render(const Entry& e) {
  Noise noise(blake3(e.sound.file).prefix64());  // the name is the seed
  const auto chord_notes = [&](int root) {
    return std::vector<int>{root, root + (e.b != 0 ? 3 : 4), root + 7, root + 12};
  };
  switch (e.recipe) {
    case Recipe::kKick:
      return kick(e.a, e.b, e.c, 0.35, noise);
    case Recipe::kSnare:
      return snare(e.a, e.b, e.c, noise);
    case Recipe::kClap:
      return clap(e.a, noise);
    case Recipe::kHatClosed:
    case Recipe::kHatOpen:
      return metal(e.a, e.b, e.c, 0.4, noise);
    case Recipe::kTom:
      return tom(e.a, e.b, noise);
    case Recipe::kRim:
    case Recipe::kCowbell:
      return ping(e.a, e.b, e.c);
    case Recipe::kCrash:
      return metal(e.a, e.b, e.c, 0.7, noise);
    case Recipe::kBass:
      return tone(e.a, 1.4, 0.004, e.b != 0 ? 2.0 : 0.6, e.b != 0 ? 0.0 : 0.7, false, 0);
    case Recipe::kKeys:
      return tone(e.a, 1.5, 0.003, 0.5, 0.45, false, 0.001);
    case Recipe::kLead:
      return tone(e.a, 1.2, 0.01, 2.0, 0.85, true, 0.004);
    case Recipe::kStab:
      return chord(chord_notes(static_cast<int>(e.a)), 0.5, 0.003, 0.18, 0.8);
    case Recipe::kPad:
      return chord(chord_notes(static_cast<int>(e.a)), 4.0, 0.8, 8, 0.3);
    case Recipe::kRiser:
      return sweep(true, e.a, noise);
    case Recipe::kDrop:
      return sweep(false, e.a, noise);
    case Recipe::kCrackle:
      return crackle(e.a, noise);
    case Recipe::kDrums:
      return drum_loop(e.a, e.a > 130 ? 4 : 2, kGrooves[static_cast<size_t>(e.variant)], e.b != 0,
                       noise);
    case Recipe::kMelody:
      return melody_loop(e.a, static_cast<int>(e.b), e.c != 0,
                         kProgressions[static_cast<size_t>(e.variant)], 4, noise);
  }
  return {};
}

Sound finished(const Entry& e) {
  Sound sound = render(e);
  if (e.sound.content == "oneshot") {  // no click where a tail is cut
    const size_t fade = std::min(sound.size(), samples(0.005));
    for (size_t i = 0; i < fade; ++i)
      sound[sound.size() - 1 - i] *= static_cast<float>(i) / static_cast<float>(fade);
  }
  float peak = 0;
  for (const float s : sound) peak = std::max(peak, std::abs(s));
  if (peak > 0) {
    for (float& s : sound) s *= 0.9f / peak;
  }
  return sound;
}

Result<void> write_sound(const fs::path& path, const Sound& sound) {
  SF_INFO info{};
  info.samplerate = kRate;
  info.channels = 1;
  info.format = (path.extension() == ".flac" ? SF_FORMAT_FLAC : SF_FORMAT_WAV) | SF_FORMAT_PCM_16;
  const fs::path temporary = path.string() + ".part";
  SNDFILE* file = nullptr;
  {
    // libsndfile keeps what went wrong with an opening in globals.
    static std::mutex opening;
    const std::lock_guard lock(opening);
    file = sf_open(temporary.c_str(), SFM_WRITE, &info);
    if (file == nullptr)
      return Error(ErrorCode::kUnavailable, "write " + path.string() + ": " + sf_strerror(nullptr));
  }
  const bool whole = sf_write_float(file, sound.data(), static_cast<sf_count_t>(sound.size())) ==
                     static_cast<sf_count_t>(sound.size());
  const bool closed = sf_close(file) == 0;
  std::error_code error;
  if (whole && closed) fs::rename(temporary, path, error);
  if (!whole || !closed || error) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    return Error(ErrorCode::kResourceExhausted,
                 "write " + path.string() + ": the disk may be full");
  }
  return ok();
}

// On all cores: the first start waits for it.
Result<void> write_sounds(const fs::path& folder, const std::function<void(int, int)>& on_file) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  int done = 0;
  std::optional<Error> failure;
  const auto write_one = [&](const Entry& e) -> Result<void> {
    const fs::path path = folder / e.sound.file;
    SM_CHECK_OK(make_private_dir(path.parent_path()));
    std::error_code ignored;
    return fs::exists(path, ignored) ? ok() : write_sound(path, finished(e));
  };
  const auto work = [&] {
    for (;;) {
      // The last are the longest, so they come first.
      const size_t taken = next++;
      if (taken >= entries().size()) return;
      auto written = write_one(entries()[entries().size() - 1 - taken]);
      const std::lock_guard lock(mutex);
      if (!written.ok() && !failure) failure = std::move(written).error();
      if (failure) return;
      ++done;
      if (on_file) on_file(done, static_cast<int>(entries().size()));
    }
  };
  {
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
      others.emplace_back(work);
    work();
  }
  if (failure) return std::move(*failure);
  return ok();
}

constexpr std::string_view kLicense =
    "The sounds in this folder were made by SampleMind's own synthesis. They are dedicated to the "
    "public domain:\n"
    "Creative Commons CC0 1.0 Universal, https://creativecommons.org/publicdomain/zero/1.0/\n";

}  // namespace

std::vector<DemoSound> demo_pack_contents() {
  std::vector<DemoSound> list;
  for (const Entry& e : entries()) list.push_back(e.sound);
  return list;
}

std::vector<float> render_demo_sound(const DemoSound& sound) {
  for (const Entry& e : entries()) {
    if (e.sound.file == sound.file) return finished(e);
  }
  return {};
}

Result<void> write_demo_pack(const fs::path& folder, const std::function<void(int, int)>& on_file) {
  SM_CHECK_OK(make_private_dir(folder));
  SM_CHECK_OK(write_sounds(folder, on_file));
  std::string manifest;
  for (const Entry& e : entries()) {
    JsonWriter w(manifest);
    w.begin_object()
        .field("file", e.sound.file)
        .field("content", e.sound.content)
        .field("kind", e.sound.kind);
    if (e.sound.tempo_bpm) {
      w.field("tempo", *e.sound.tempo_bpm).field("time_signature", "4/4");
      w.key("beats").begin_array();  // every loop begins on a beat and holds whole bars
      const int bars = e.recipe == Recipe::kDrums && *e.sound.tempo_bpm <= 130 ? 2 : 4;
      for (int b = 0; b < bars * 4; ++b)
        w.value(std::round(b * 60 / *e.sound.tempo_bpm * 1e4) / 1e4);
      w.end_array();
    }
    if (e.sound.key) w.field("key", *e.sound.key);
    if (e.sound.note_midi) w.field("note", *e.sound.note_midi);
    w.end_object();
    manifest += '\n';
  }
  SM_CHECK_OK(write_file_atomic(folder / "manifest.jsonl", manifest));
  return write_file_atomic(folder / "LICENSE.txt", kLicense);
}

}  // namespace samplemind::library
