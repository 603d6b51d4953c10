// Renaming files by a pattern. The plan is shown before anything happens; the intent is in the
// library's journal before the first file is touched, so that a crash at any moment leaves every
// file under its old or its new name and the library knowing which (Catalogue::begin_move). No file
// is ever replaced. Functions block.
#pragma once

#include <string>
#include <vector>

#include "library/catalogue.h"

namespace samplemind::library {

struct RenameStep {
  Move move;            // `to` in the same folder
  std::string problem;  // not empty: this one is left alone, and why
};

// Patterns: {name} (without its ending), {bpm}, {key} (Am), {camelot} (8A), {kind}, {content},
// {note} (C1), {rating}, {tags}, {folder} (the last one), {n} (1, 2, ...; {n:3} gives 001). What a
// sound has not got leaves nothing, and the marks around it (_ - space) are not doubled. The ending
// stays. kInvalidArgument points at the character.
Result<std::vector<RenameStep>> plan_rename(Catalogue& catalogue, const std::vector<int64_t>& ids,
                                            std::string_view pattern);

struct RenameReport {
  int64_t journal_id = 0;
  int64_t renamed = 0;
  std::vector<std::string> problems;
};
Result<RenameReport> rename_files(Catalogue& catalogue, const std::vector<RenameStep>& plan,
                                  std::string_view pattern);
// Gives the files of that renaming their old names back, as a change of its own.
Result<RenameReport> undo_rename(Catalogue& catalogue, int64_t journal_id);

}  // namespace samplemind::library
