// The words of names and queries: splitting, stems, synonyms, typing errors. Pure functions, any
// thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace samplemind::library {

// Lower-case words of a file's name or a query: split at anything but letters and digits, between
// letters and digits, and where a lower-case letter meets an upper-case one: "KickDrum_C1_128bpm"
// -> kick drum c1 128 bpm.
std::vector<std::string> words(std::string_view text);
// What is put into the index for a name: its words, and each run of letters and digits that was
// split once more as a whole, so that "dnb" and "boombap" find "Loop_DnB" and "BoomBap_90bpm".
std::vector<std::string> index_words(std::string_view text);

// The word without its English ending: kicks -> kick, looping -> loop, claps -> clap, bodies ->
// body. Short words and numbers stay as they are.
std::string stem(std::string_view word);

// Other words that mean the same to producers, in their stemmed form, without `word` itself: bd ->
// kick, kickdrum, bassdrum, ...; empty when there are none.
std::vector<std::string> synonyms(std::string_view word);

// True when `a` becomes `b` by at most `most` insertions, removals, replacements or swaps of two
// neighbours. Bytes, not characters. REQUIRES: most <= 2.
bool within_edits(std::string_view a, std::string_view b, int most);
// How many typing errors a word of this length may hold and still be meant: 0 below four letters,
// 1 up to seven, then 2.
int edits_allowed(std::string_view word);

// ASCII to lower case; other bytes stay.
std::string fold(std::string_view text);

}  // namespace samplemind::library
