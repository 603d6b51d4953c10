// Configuration: every key is declared once (name, type, default, meaning) and gets its value from,
// in rising order, its default, the TOML file, the environment, a flag. Parts declare their keys in
// `<part>/config_keys.h`. A Config is immutable once loaded and may be shared between threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace samplemind {

enum class ConfigType { kString, kInteger, kNumber, kBool, kStringList, kDurationMs, kBytes };

struct ConfigKey {
  // Dotted, as in the file: "server.port". A part that is "*" stands for a name that the user
  // chooses, "ai.endpoints.*.url": such keys have no default and no environment variable.
  std::string name;
  ConfigType type = ConfigType::kString;
  std::string default_value;  // as text: "8000", "true", "a,b", "5s", "256MiB"; empty: unset
  std::string description;    // one line
  std::vector<std::string> env =
      {};  // besides SAMPLEMIND_SERVER_PORT, which every key has; the first that is set wins
  bool secret = false;  // masked wherever it is shown, redacted in logs; the file must then not be
                        // readable by others
  // Tables whose member names the user chooses ("ai.aliases"): keys below it are accepted, each of
  // this type.
  bool open_table = false;
};

enum class ConfigSource { kDefault, kFile, kEnvironment, kFlag };

class Config {
 public:
  // `file` may be absent (then nothing is read) unless `file_required`. `flags` are (name, text)
  // from the command line. Errors name file, line, key, and for an unknown key the nearest known
  // one.
  static Result<Config> load(std::vector<ConfigKey> keys, const std::filesystem::path& file,
                             bool file_required = false,
                             const std::vector<std::pair<std::string, std::string>>& flags = {});

  // REQUIRES: `name` was declared with that type. Unset strings are empty, unset numbers 0.
  const std::string& string(std::string_view name) const;
  int64_t integer(std::string_view name) const;
  double number(std::string_view name) const;
  bool boolean(std::string_view name) const;
  std::vector<std::string> list(std::string_view name) const;
  int64_t duration_ms(std::string_view name) const;
  uint64_t bytes(std::string_view name) const;
  bool is_set(std::string_view name) const;  // has a value that is not empty
  // The members of an open table, by name; of what is above a "*", by "NAME.member".
  std::map<std::string, std::string> table(std::string_view name) const;

  struct Entry {
    std::string name;
    std::string value;  // as text, not masked
    ConfigSource source;
    std::string origin;  // "default", "/path/config.toml:12", "$OPENAI_API_KEY", "--port"
    bool secret;
    std::string description;
  };
  // All keys in order of declaration, members of open tables after their table.
  std::vector<Entry> entries() const;
  const std::filesystem::path& file() const { return file_; }

 private:
  struct Value {
    std::string text;
    ConfigSource source = ConfigSource::kDefault;
    std::string origin = "default";
  };
  const Value& find(std::string_view name, ConfigType type) const;
  Result<void> set(const std::string& name, std::string text, ConfigSource source,
                   const std::string& origin);
  const ConfigKey* declared(std::string_view name) const;

  std::vector<ConfigKey> keys_;
  std::map<std::string, Value, std::less<>> values_;
  std::filesystem::path file_;
};

// "sk-abcdefghijkl" -> "sk-a…l" for display; short values become "…".
std::string masked(std::string_view secret);
// "250ms", "5s", "2m", "1h", "7d"; a bare number is milliseconds.
Result<int64_t> parse_duration_ms(std::string_view text);
// "1024", "64KiB", "256MB" (10^6), "1GiB".
Result<uint64_t> parse_bytes(std::string_view text);
// The candidate with the smallest edit distance (Damerau-Levenshtein, adjacent swaps count one), if
// it is close enough to be a slip.
std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates);

}  // namespace samplemind
