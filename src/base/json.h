// JSON out and in. JsonWriter appends to a string: no tree, no allocation but the string's own
// growth. JsonValue is a small owning tree for places where speed does not matter (configuration,
// answers of our own API in the CLI); the request path reads with simdjson instead. Not
// thread-safe.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace samplemind {

bool is_utf8(std::string_view text);

// Appends `text` as a JSON string with its quotes (RFC 8259 escapes; bytes that are not UTF-8
// become U+FFFD).
void append_json_string(std::string& out, std::string_view text);
// Appends the shortest digits that read back as the same number; NaN and infinities become null.
void append_json_number(std::string& out, double value);

class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(bool truth);
  JsonWriter& value(double number);
  template <std::integral I>
  requires(!std::same_as<I, bool>) JsonWriter& value(I number) {
    comma();
    out_ += std::to_string(number);
    return *this;
  }
  JsonWriter& null();
  // Text that is JSON already.
  JsonWriter& raw(std::string_view json);
  template <class T>
  JsonWriter& value(const std::optional<T>& maybe) {
    return maybe ? value(*maybe) : null();
  }
  template <class T>
  JsonWriter& value(const std::vector<T>& list) {
    begin_array();
    for (const T& item : list) value(item);
    return end_array();
  }
  template <class T>
  JsonWriter& field(std::string_view name, const T& v) {
    key(name);
    return value(v);
  }
  // Empty text is null.
  JsonWriter& field_or_null(std::string_view name, std::string_view text) {
    key(name);
    return text.empty() ? null() : value(text);
  }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void comma();
  std::string& out_;
  bool need_comma_ = false;
};

class JsonValue {
 public:
  using Array = std::vector<JsonValue>;
  using Object = std::vector<std::pair<std::string, JsonValue>>;  // order kept

  JsonValue() = default;
  explicit JsonValue(std::string text) : data_(std::move(text)) {}
  explicit JsonValue(bool truth) : data_(truth) {}
  explicit JsonValue(int64_t number) : data_(number) {}
  explicit JsonValue(double number) : data_(number) {}
  explicit JsonValue(Array items) : data_(std::move(items)) {}
  explicit JsonValue(Object members) : data_(std::move(members)) {}
  // Strict RFC 8259. The error's message names the byte offset where one is known.
  static Result<JsonValue> parse(std::string_view text);

  bool is_null() const { return std::holds_alternative<std::monostate>(data_); }
  bool is_object() const { return std::holds_alternative<Object>(data_); }
  bool is_array() const { return std::holds_alternative<Array>(data_); }
  bool is_string() const { return std::holds_alternative<std::string>(data_); }
  bool is_number() const {
    return std::holds_alternative<double>(data_) || std::holds_alternative<int64_t>(data_) ||
           std::holds_alternative<uint64_t>(data_);
  }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }

  // The member, or a null value when it is absent or this is no object.
  const JsonValue& operator[](std::string_view key) const;
  const JsonValue& operator[](size_t index) const;
  size_t size() const;            // of an array or object, else 0
  const Array& items() const;     // empty when this is no array
  const Object& members() const;  // empty when this is no object

  std::optional<std::string> string() const;
  // The text without a copy; empty when this is no string. Valid as long as the value.
  std::string_view text() const;
  // Moves the text out; empty when this is no string.
  std::string take_string();
  // Moves the members or items out; empty when this is no object or no array.
  Object take_members();
  Array take_items();
  std::optional<double> number() const;
  std::optional<int64_t> integer() const;
  // Whole numbers that were written as such: integer() gives that of 1.0, too.
  std::optional<int64_t> exact_integer() const;
  // Whole numbers above int64_t's range, which integer() does not give.
  std::optional<uint64_t> large_integer() const;
  std::optional<bool> boolean() const;
  std::string string_or(std::string_view fallback) const {
    return string().value_or(std::string(fallback));
  }
  double number_or(double fallback) const { return number().value_or(fallback); }
  int64_t integer_or(int64_t fallback) const { return integer().value_or(fallback); }
  bool bool_or(bool fallback) const { return boolean().value_or(fallback); }

  void write(JsonWriter& writer) const;
  std::string dump() const;

 private:
  friend struct JsonBuilder;
  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, Array, Object> data_;
};

}  // namespace samplemind
