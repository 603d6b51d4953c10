// The demo pack: about 60 sounds of known tempo, key and kind, made by seeded synthesis (no
// recordings), CC0. It lets the first start do the main job on real sound, and tests know the right
// answers.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace samplemind::library {

struct DemoSound {
  std::string file;     // relative to the pack: "Loops/Loop_Drums_House_124bpm.flac"
  std::string content;  // oneshot or loop
  std::string kind;     // kick, snare, ...; "drums" or "melody" for loops
  std::optional<double> tempo_bpm;
  std::optional<std::string> key;
  std::optional<double> note_midi;
};

// What the pack holds, in a fixed order.
std::vector<DemoSound> demo_pack_contents();

// Writes the pack into `folder` (created with mode 0700) with LICENSE.txt and manifest.jsonl; files
// that are there already are kept. `on_file` is called after each file with done and total, from
// one thread at a time. About a second on two cores. The same samples every time.
Result<void> write_demo_pack(const std::filesystem::path& folder,
                             const std::function<void(int done, int total)>& on_file = {});

// The samples of one sound (mono, 44,100 Hz, peak 0.9); for tests.
std::vector<float> render_demo_sound(const DemoSound& sound);

}  // namespace samplemind::library
