// Words for a sound put to a model: "something airy for a chorus" becomes a query and aims
// (library/wording.h). The model only interprets; searching is ours, and no sound, name or folder
// is told to it. What it says is checked piece by piece: a condition that is none, a kind or an
// axis that does not exist is left out and told. Where no model can be asked, or its answer is no
// interpretation, the built-in vocabulary reads the words and `note` says why.
//
// The same words are the same request, so the cache answers them. Conditions of the query language
// among the words ("bpm:120-128") are kept as they are and not part of the request. Pure functions
// are thread-safe; read_sound() runs on the shard's loop and does not touch the disk.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "ai/gateway.h"
#include "base/result.h"
#include "library/wording.h"
#include "net/loop.h"

namespace samplemind::coach {

enum class Reader {
  kAny,         // a model; the vocabulary where none answers well
  kModel,       // a model or an error
  kVocabulary,  // nothing is asked
};
Result<Reader> parse_reader(std::string_view name);  // "any", "model", "vocabulary"

struct SoundWords {
  std::string text;  // at most library::kWordingMax bytes
  Reader reader = Reader::kAny;
  std::string model = "auto";
  std::chrono::milliseconds timeout{30000};  // for the model's answer
};

struct SoundReading {
  library::Wording wording;
  bool by_model = false;
  std::string model;                               // "provider/name", when by_model
  ai::CacheState cache = ai::CacheState::kBypass;  // likewise
  std::optional<int64_t> cost_microusd;            // likewise
  std::string note;  // why the vocabulary read it although a model was wanted
};

// The chat completions request, with a JSON schema for the answer.
std::string write_sound_request(std::string_view words, std::string_view model);

// What a model answered to the words. kUpstream, with the reason, for what is no
// interpretation: no JSON, a refusal, nothing in it that can be searched for.
Result<library::Wording> read_sound_answer(std::string_view answer, std::string_view words);

// Errors: those of library::interpret() for the text; with Reader::kModel also the gateway's, and
// kDeadlineExceeded.
net::Task<Result<SoundReading>> read_sound(ai::GatewayShard& gateway, net::Loop& loop,
                                           SoundWords words, ai::AskOptions options);

}  // namespace samplemind::coach
