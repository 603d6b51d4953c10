// The library for others: CSV, JSON, M3U, rekordbox XML, FL Studio's browser tags, and folders of
// copies or links; and all that the user said as one JSON text that can be read in again. Functions
// block on the catalogue.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "library/catalogue.h"

namespace samplemind::library {

enum class ExportFormat { kCsv, kJson, kM3u, kRekordbox, kFlStudio };
Result<ExportFormat> parse_export_format(std::string_view text);  // csv, json, m3u, rekordbox, fl
std::string_view export_type(ExportFormat format);                // media type
std::string_view export_file_name(ExportFormat format);           // "samplemind.csv"

// The sounds of these ids in their order. `title` names the list in formats that have names.
// Bytes of paths that are not UTF-8 become U+FFFD where the format is UTF-8 text (CSV, JSON), and
// are percent-encoded in rekordbox's URIs; M3U and FL Studio's tags hold them as they are, and
// leave out paths with a line break, which they cannot express.
Result<std::string> export_sounds(Catalogue& catalogue, const std::vector<int64_t>& ids,
                                  ExportFormat format, std::string_view title);

// All marks and collections: {"samplemind_library":1,"sounds":[...],"collections":[...]}.
Result<std::string> export_marks(Catalogue& catalogue);

struct ImportReport {
  int64_t sounds = 0;       // whose marks were set
  int64_t collections = 0;  // made or added to
  int64_t unknown = 0;      // sounds of the text that this library does not have
};
// Sounds are recognised by their path, else by their content. Marks of the text replace those of
// the sound; collections gain the text's sounds. Each step can be taken back.
Result<ImportReport> import_marks(Catalogue& catalogue, std::string_view json);

struct FolderReport {
  int64_t written = 0;
  std::vector<std::string> problems;  // at most 1,000
};
// Copies of the sounds, or links to them, in a folder that is made where needed. Names that are
// taken get a number; files that are there already are never replaced.
Result<FolderReport> export_folder(Catalogue& catalogue, const std::vector<int64_t>& ids,
                                   const std::filesystem::path& folder, bool links);

}  // namespace samplemind::library
