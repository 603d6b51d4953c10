// Words to sound: "dusty warm kick" becomes a query in our own language ("kind:kick") and aims,
// places on axes of how sounds sound. The words' meanings are a table here; whoever asks may read
// the interpretation, change it and ask again with it. Pure functions, any thread.
//
// An axis is a whole number made of a few values of the similarity descriptor
// (audio/feature/descriptor.h), such as how high the middle of the spectrum lies. An aim is
// relative: 0.9 on brightness means brighter than nine in ten of the sounds that the query finds.
// That needs no scale that fits kicks and pads alike: a dark hat is dark among hats.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace samplemind::library {

struct Axis {
  std::string_view name;  // "brightness", as in JSON and on the command line
  std::string_view low;   // what a sound with a small value is called: "dark"
  std::string_view high;  // "bright"
};
inline constexpr int kAxisLimit = 512;  // values are within -kAxisLimit .. kAxisLimit
std::span<const Axis> axes();
// REQUIRES: axis < axes().size(), 80 values.
int axis_value(size_t axis, const int8_t* values);

struct Aim {
  size_t axis = 0;
  float at = 0;      // 0..1: the share of the sounds compared that shall lie below
  float weight = 1;  // above 0
};

inline constexpr size_t kWordingMax = 1000;  // bytes
struct Wording {
  std::string query;      // in the query language; may be empty
  std::vector<Aim> aims;  // one an axis at most
  std::vector<std::pair<std::string, std::string>> understood;  // word, what it was taken for
  std::vector<std::string> rest;                                // words that mean nothing here
};
// kInvalidArgument for an empty text, kTooLarge for one above kWordingMax. Conditions of the query
// language ("bpm:120-128", "-loop") are kept as they are; "very", "slightly" and "not" change the
// word after them.
Result<Wording> interpret(std::string_view text);

// A text's conditions of the query language, as they stand there, and its other words, in order.
struct WordsApart {
  std::vector<std::string> words, conditions;
};
WordsApart words_apart(std::string_view text);
bool is_sound_word(std::string_view word);  // of the vocabulary: "dusty"

// {"query":"kind:kick","aims":{"brightness":{"at":0.2,"weight":1}},...}; reading takes a plain
// number for an aim too. kInvalidArgument names what is wrong.
void write_json(JsonWriter& writer, const Wording& wording);
Result<Wording> read_wording(const JsonValue& value);

// How near each candidate comes to the aims. `values[i * aims.size() + k]` is candidate i's value
// on the axis of aim k; gives 0..1 for each: 1 when it lies exactly at all aims.
struct Closeness {
  std::vector<float> score;
  std::vector<float> place;  // as `values`: the share of candidates below
};
Closeness closeness(std::span<const int16_t> values, std::span<const Aim> aims);

}  // namespace samplemind::library
