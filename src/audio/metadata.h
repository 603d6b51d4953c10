// What a file says about itself: tags, loop points, cue points, tempo and key as somebody wrote
// them. Facts about the file, kept apart from what the ear measured: a tag may be wrong.
//
// Read: ID3v1, ID3v2.2 to 2.4 (mp3, and inside wav and aiff), RIFF INFO, cue and adtl, smpl, inst,
// acid and bext chunks, AIFF text, MARK, INST and Apple Loops' basc chunks, Vorbis comments (flac,
// ogg, opus), MP4's ilst. Only the parts that hold metadata are read, by position; at most
// kMetadataReadMax bytes a file. Thread-safe.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace samplemind::audio {

inline constexpr size_t kMetadataReadMax = 8 << 20;
inline constexpr size_t kMetadataTextMax = 2048;   // bytes of one text; longer ones are cut
inline constexpr size_t kMetadataPointsMax = 256;  // cue points and loops, each

struct Metadata {
  std::optional<std::string> title, artist, album, genre, date, comment;  // valid UTF-8, one line
  std::optional<double> tempo_bpm;                                        // 20..400
  std::optional<std::string> key;             // "F# minor", when the text was understood
  std::optional<std::string> key_text;        // as written: "F#m", "11A", "Gbm"
  std::optional<int> root_note_midi;          // 0..127, of a sampler's or ACID's chunk
  std::optional<double> tuning_cents;         // beside the root note
  std::optional<bool> one_shot;               // ACID and Apple Loops: true, or false for a loop
  std::optional<int> beats;                   // length of the loop
  std::optional<std::string> time_signature;  // "4/4"

  struct Loop {
    double start_s = 0, end_s = 0;
    std::string type;  // "forward", "alternating", "backward"
    int count = 0;     // 0: for ever
  };
  std::vector<Loop> loops;
  struct Cue {
    double time_s = 0;
    std::string label;
  };
  std::vector<Cue> cues;

  // Where it stood, in the order of reading: "ID3v2.3", "acid", "smpl", "Vorbis comment", ...
  std::vector<std::string> sources;
  bool empty() const { return sources.empty(); }
};

// What a file that cannot be read, is damaged or says nothing gives is empty, or what could be read
// before the damage.
Metadata read_metadata(const std::filesystem::path& path);
// The same for a file's bytes in memory.
Metadata metadata_of(std::string_view bytes);

// A key as people write it ("Am", "a minor", "Bbmin", "F# maj", "Abm", Camelot "8A", Open Key "1m")
// as "A minor" with sharps; nothing for other text.
std::optional<std::string> key_from_text(std::string_view text);

}  // namespace samplemind::audio
