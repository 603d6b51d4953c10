#include "base/config.h"

#include <sys/stat.h>

#include <toml++/toml.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/files.h"
#include "base/log.h"

namespace samplemind {

namespace {

std::string env_name(std::string_view key) {
  std::string name = "SAMPLEMIND_";
  for (char c : key)
    name +=
        c == '.' || c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::string type_words(ConfigType type) {
  switch (type) {
    case ConfigType::kString:
      return "a string";
    case ConfigType::kInteger:
      return "a whole number";
    case ConfigType::kNumber:
      return "a number";
    case ConfigType::kBool:
      return "true or false";
    case ConfigType::kStringList:
      return "a list of strings";
    case ConfigType::kDurationMs:
      return "a duration such as \"5s\" or \"250ms\"";
    case ConfigType::kBytes:
      return "a size such as \"256MiB\"";
  }
  return "a value";
}

std::optional<int64_t> to_integer(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> to_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

std::optional<bool> to_bool(std::string_view text) {
  if (text == "true" || text == "1" || text == "yes" || text == "on") return true;
  if (text == "false" || text == "0" || text == "no" || text == "off") return false;
  return std::nullopt;
}

bool valid(ConfigType type, std::string_view text) {
  if (text.empty()) return true;
  switch (type) {
    case ConfigType::kString:
    case ConfigType::kStringList:
      return true;
    case ConfigType::kInteger:
      return to_integer(text).has_value();
    case ConfigType::kNumber:
      return to_number(text).has_value();
    case ConfigType::kBool:
      return to_bool(text).has_value();
    case ConfigType::kDurationMs:
      return parse_duration_ms(text).ok();
    case ConfigType::kBytes:
      return parse_bytes(text).ok();
  }
  return false;
}

// The text of a TOML value when its TOML type can stand for `type`.
std::optional<std::string> toml_text(const toml::node& node, ConfigType type) {
  if (const auto* list = node.as_array()) {
    if (type != ConfigType::kStringList) return std::nullopt;
    std::string joined;
    for (const toml::node& item : *list) {
      const auto text = item.value_exact<std::string>();
      if (!text) return std::nullopt;
      if (!joined.empty()) joined += ',';
      joined += *text;
    }
    return joined;
  }
  if (auto text = node.value_exact<std::string>()) {
    const bool takes_text = type == ConfigType::kString || type == ConfigType::kStringList ||
                            type == ConfigType::kDurationMs || type == ConfigType::kBytes;
    return takes_text ? text : std::nullopt;
  }
  if (const auto truth = node.value_exact<bool>()) {
    if (type != ConfigType::kBool) return std::nullopt;
    return *truth ? "true" : "false";
  }
  if (const auto whole = node.value_exact<int64_t>()) {
    if (type == ConfigType::kBool || type == ConfigType::kString || type == ConfigType::kStringList)
      return std::nullopt;
    return std::to_string(*whole);
  }
  if (const auto real = node.value_exact<double>()) {
    if (type != ConfigType::kNumber) return std::nullopt;
    char text[32];
    const auto [end, error] = std::to_chars(text, text + sizeof text, *real);
    return std::string(text, end);
  }
  return std::nullopt;
}

struct Found {
  std::string name;
  const toml::node* node;
  int line;
};

void flatten(const toml::table& table, const std::string& prefix, std::vector<Found>& out) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    if (const auto* inner = node.as_table()) {
      flatten(*inner, name + ".", out);
    } else {
      out.push_back({name, &node, static_cast<int>(key.source().begin.line)});
    }
  }
}

bool is_pattern(const ConfigKey& key) {
  return key.name.find(".*.") != std::string::npos;
}

// "ai.endpoints.lab.url" fits "ai.endpoints.*.url".
bool fits(std::string_view pattern, std::string_view name) {
  for (;;) {
    const size_t p = std::min(pattern.find('.'), pattern.size());
    const size_t n = std::min(name.find('.'), name.size());
    if (n == 0 || (pattern.substr(0, p) != "*" && pattern.substr(0, p) != name.substr(0, n)))
      return false;
    if (p == pattern.size() || n == name.size()) return p == pattern.size() && n == name.size();
    pattern.remove_prefix(p + 1);
    name.remove_prefix(n + 1);
  }
}

}  // namespace

const ConfigKey* Config::declared(std::string_view name) const {
  for (const ConfigKey& key : keys_) {
    if (is_pattern(key)) {
      if (fits(key.name, name)) return &key;
      continue;
    }
    if (key.name == name && !key.open_table) return &key;
    if (key.open_table && name.size() > key.name.size() + 1 && name.starts_with(key.name) &&
        name[key.name.size()] == '.')
      return &key;
  }
  return nullptr;
}

Result<void> Config::set(const std::string& name, std::string text, ConfigSource source,
                         const std::string& origin) {
  const ConfigKey* key = declared(name);
  if (key == nullptr) {
    std::vector<std::string> names;
    for (const ConfigKey& k : keys_) names.push_back(k.name);
    const auto close = nearest(name, names);
    return Error(
        ErrorCode::kInvalidArgument, origin + ": unknown key '" + name + "'",
        close ? "did you mean '" + *close + "'?" : "'samplemind config' lists the known keys");
  }
  if (!valid(key->type, text)) {
    const std::string shown = key->secret ? masked(text) : text;
    return Error(ErrorCode::kInvalidArgument, origin + ": '" + name + "' wants " +
                                                  type_words(key->type) + ", not '" + shown + "'");
  }
  if (key->secret) log::redact(text);
  values_[name] = Value{std::move(text), source, origin};
  return ok();
}

Result<Config> Config::load(std::vector<ConfigKey> keys, const fs::path& file, bool file_required,
                            const std::vector<std::pair<std::string, std::string>>& flags) {
  Config config;
  config.keys_ = std::move(keys);
  config.file_ = file;
  for (const ConfigKey& key : config.keys_) {
    SM_ASSERT(valid(key.type, key.default_value));
    if (!key.open_table && !is_pattern(key)) config.values_[key.name] = Value{key.default_value};
  }

  std::error_code ignored;
  if (!file.empty() && (file_required || fs::exists(file, ignored))) {
    SM_TRY(const std::string text, read_file(file, 1 << 20));
    toml::table table;
    try {
      table = toml::parse(text);
    } catch (const toml::parse_error& e) {
      return Error(ErrorCode::kInvalidArgument, file.string() + ":" +
                                                    std::to_string(e.source().begin.line) + ":" +
                                                    std::to_string(e.source().begin.column) + ": " +
                                                    std::string(e.description()));
    }
    std::vector<Found> found;
    flatten(table, "", found);
    std::sort(found.begin(), found.end(),
              [](const Found& a, const Found& b) { return a.line < b.line; });
    struct stat status {};
    const bool readable_by_others =
        ::stat(file.c_str(), &status) == 0 && (status.st_mode & 077) != 0;
    for (const Found& f : found) {
      const std::string origin = file.string() + ":" + std::to_string(f.line);
      const ConfigKey* key = config.declared(f.name);
      std::optional<std::string> value =
          key != nullptr ? toml_text(*f.node, key->type) : std::optional<std::string>("");
      if (!value)
        return Error(ErrorCode::kInvalidArgument,
                     origin + ": '" + f.name + "' wants " + type_words(key->type));
      if (key != nullptr && key->secret && readable_by_others) {
        return Error(ErrorCode::kPermissionDenied,
                     origin + ": '" + f.name + "' is a secret, but others can read this file",
                     "chmod 600 " + file.string());
      }
      SM_CHECK_OK(config.set(f.name, std::move(*value), ConfigSource::kFile, origin));
    }
  }

  for (const ConfigKey& key : std::vector<ConfigKey>(config.keys_)) {
    if (key.open_table || is_pattern(key)) continue;
    std::vector<std::string> variables{env_name(key.name)};
    variables.insert(variables.end(), key.env.begin(), key.env.end());
    for (const std::string& variable : variables) {
      if (auto value = env(variable.c_str())) {
        SM_CHECK_OK(config.set(key.name, *value, ConfigSource::kEnvironment, "$" + variable));
        break;
      }
    }
  }
  for (const auto& [name, text] : flags) {
    const size_t dot = name.rfind('.');
    SM_CHECK_OK(config.set(name, text, ConfigSource::kFlag,
                           "--" + (dot == std::string::npos ? name : name.substr(dot + 1))));
  }
  return config;
}

const Config::Value& Config::find(std::string_view name, ConfigType type) const {
  const ConfigKey* key = declared(name);
  SM_ASSERT(key != nullptr && key->type == type);
  const auto it = values_.find(name);
  SM_ASSERT(it != values_.end());
  return it->second;
}

const std::string& Config::string(std::string_view name) const {
  return find(name, ConfigType::kString).text;
}
int64_t Config::integer(std::string_view name) const {
  return to_integer(find(name, ConfigType::kInteger).text).value_or(0);
}
double Config::number(std::string_view name) const {
  return to_number(find(name, ConfigType::kNumber).text).value_or(0);
}
bool Config::boolean(std::string_view name) const {
  return to_bool(find(name, ConfigType::kBool).text).value_or(false);
}
int64_t Config::duration_ms(std::string_view name) const {
  return parse_duration_ms(find(name, ConfigType::kDurationMs).text).value_or(0);
}
uint64_t Config::bytes(std::string_view name) const {
  return parse_bytes(find(name, ConfigType::kBytes).text).value_or(0);
}

std::vector<std::string> Config::list(std::string_view name) const {
  std::vector<std::string> items;
  std::string_view rest = find(name, ConfigType::kStringList).text;
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    std::string_view item = rest.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return items;
}

bool Config::is_set(std::string_view name) const {
  const auto it = values_.find(name);
  return it != values_.end() && !it->second.text.empty();
}

std::map<std::string, std::string> Config::table(std::string_view name) const {
  std::map<std::string, std::string> members;
  const std::string prefix = std::string(name) + ".";
  for (auto it = values_.lower_bound(prefix); it != values_.end() && it->first.starts_with(prefix);
       ++it) {
    members[it->first.substr(prefix.size())] = it->second.text;
  }
  return members;
}

std::vector<Config::Entry> Config::entries() const {
  std::vector<Entry> list;
  for (const ConfigKey& key : keys_) {
    const auto add = [&](const std::string& name, const Value& v) {
      list.push_back({name, v.text, v.source, v.origin, key.secret, key.description});
    };
    if (is_pattern(key)) {
      for (const auto& [name, value] : values_)
        if (fits(key.name, name)) add(name, value);
      continue;
    }
    if (!key.open_table) {
      add(key.name, values_.at(key.name));
      continue;
    }
    const std::string prefix = key.name + ".";
    for (auto it = values_.lower_bound(prefix);
         it != values_.end() && it->first.starts_with(prefix); ++it)
      add(it->first, it->second);
  }
  return list;
}

std::string masked(std::string_view secret) {
  if (secret.size() < 12) return secret.empty() ? "" : "…";
  return std::string(secret.substr(0, 4)) + "…" + std::string(secret.substr(secret.size() - 1));
}

namespace {
// Splits "12.5kb" into 12.5 and "kb" (lower case).
std::optional<std::pair<double, std::string>> number_and_unit(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0 || !std::isfinite(value)) return std::nullopt;
  std::string unit(end, text.data() + text.size());
  unit.erase(0, unit.find_first_not_of(' '));
  std::transform(unit.begin(), unit.end(), unit.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::pair(value, unit);
}
}  // namespace

Result<int64_t> parse_duration_ms(std::string_view text) {
  static const std::map<std::string, double, std::less<>> kUnits{
      {"", 1}, {"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"min", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}};
  const auto parts = number_and_unit(text);
  const auto unit = parts ? kUnits.find(parts->second) : kUnits.end();
  if (unit == kUnits.end() || parts->first * unit->second > 9e15) {
    return Error(ErrorCode::kInvalidArgument, "'" + std::string(text) + "' is no duration",
                 "write 250ms, 5s, 2m, 1h or 7d");
  }
  return static_cast<int64_t>(std::llround(parts->first * unit->second));
}

Result<uint64_t> parse_bytes(std::string_view text) {
  static const std::map<std::string, double, std::less<>> kUnits{{"", 1},
                                                                 {"b", 1},
                                                                 {"kb", 1e3},
                                                                 {"mb", 1e6},
                                                                 {"gb", 1e9},
                                                                 {"tb", 1e12},
                                                                 {"k", 1024},
                                                                 {"m", 1048576.0},
                                                                 {"g", 1073741824.0},
                                                                 {"kib", 1024},
                                                                 {"mib", 1048576.0},
                                                                 {"gib", 1073741824.0},
                                                                 {"tib", 1099511627776.0}};
  const auto parts = number_and_unit(text);
  const auto unit = parts ? kUnits.find(parts->second) : kUnits.end();
  if (unit == kUnits.end() || parts->first * unit->second > 9e18) {
    return Error(ErrorCode::kInvalidArgument, "'" + std::string(text) + "' is no size",
                 "write 1024, 64KiB, 256MiB or 2GB");
  }
  return static_cast<uint64_t>(parts->first * unit->second);
}

std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates) {
  const auto distance = [](std::string_view a, std::string_view b) {
    std::vector<size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) previous[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
      current[0] = i;
      for (size_t j = 1; j <= b.size(); ++j) {
        current[j] = std::min({previous[j] + 1, current[j - 1] + 1,
                               previous[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u)});
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
          current[j] = std::min(current[j], before[j - 2] + 1);
      }
      std::swap(before, previous);
      std::swap(previous, current);
    }
    return previous[b.size()];
  };
  std::optional<std::string> best;
  size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
  const auto consider = [&](std::string_view compared, const std::string& whole) {
    if (const size_t d = distance(word, compared); d < best_distance) {
      best_distance = d;
      best = whole;
    }
  };
  for (const std::string& candidate : candidates) {
    consider(candidate, candidate);
    // "prot" is near to "server.port" too: the last part alone may be what was meant.
    if (const size_t dot = candidate.rfind('.');
        dot != std::string::npos && word.find('.') == std::string_view::npos) {
      consider(std::string_view(candidate).substr(dot + 1), candidate);
    }
  }
  return best;
}

}  // namespace samplemind
