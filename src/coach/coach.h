// The coach: questions about sounds, answered by a model from what was measured. It builds the
// context and the prompt; the gateway does the rest. The same question about the same sounds is the
// same request, byte for byte: that is what lets the cache answer it. Functions are thread-safe;
// ask() runs on the shard's loop.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ai/gateway.h"
#include "base/result.h"
#include "coach/facts.h"
#include "library/catalogue.h"
#include "net/task.h"

namespace samplemind::coach {

inline constexpr size_t kQuestionBytesMax = 16 << 10;
inline constexpr size_t kSoundsMax = 50;

struct Question {
  std::string text;
  std::vector<Sound> sounds;                       // what it is about; may be empty
  std::optional<library::LibrarySummary> library;  // told when no sound is named
  std::string model = "auto";
};

// The chat completions request for it. kInvalidArgument for an empty or too long question or too
// many sounds.
Result<std::string> write_request(const Question& question);

// Sounds of the library that a question without a named sound may be about: the best matches of its
// words, at most 12. Blocks on the disk.
Result<std::vector<Sound>> find_context(library::Catalogue& catalogue, std::string_view question);

net::Task<Result<ai::AskAnswer>> ask(ai::GatewayShard& gateway, Question question,
                                     ai::AskOptions options,
                                     std::function<void(std::string_view)> on_text);

}  // namespace samplemind::coach
