#include "base/json.h"

#include <simdjson.h>

#include <charconv>
#include <cmath>

namespace samplemind {

namespace {
// Length of the valid UTF-8 sequence at the start of `s`, or 0.
size_t utf8_length(std::string_view s) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char lead = byte(0);
  const auto tail = [&](size_t i) { return i < s.size() && (byte(i) & 0xC0) == 0x80; };
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return tail(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (!tail(1) || !tail(2)) return 0;
    if (lead == 0xE0 && byte(1) < 0xA0) return 0;
    if (lead == 0xED && byte(1) > 0x9F) return 0;
    return 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if (lead == 0xF0 && byte(1) < 0x90) return 0;
    if (lead == 0xF4 && byte(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}
}  // namespace

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t n = utf8_length(text.substr(i));
    if (n == 0) return false;
    i += n;
  }
  return true;
}

void append_json_string(std::string& out, std::string_view text) {
  out.push_back('"');
  size_t plain = 0;  // start of the run not yet copied
  for (size_t i = 0; i < text.size();) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
      ++i;
      continue;
    }
    if (c >= 0x80) {
      if (const size_t n = utf8_length(text.substr(i)); n > 0) {
        i += n;
        continue;
      }
    }
    out.append(text, plain, i - plain);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (c >= 0x80) {
          out += "\xEF\xBF\xBD";
        } else {
          static constexpr char kDigits[] = "0123456789abcdef";
          out += "\\u00";
          out.push_back(kDigits[c >> 4]);
          out.push_back(kDigits[c & 15]);
        }
    }
    plain = ++i;
  }
  out.append(text, plain);
  out.push_back('"');
}

void append_json_number(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  out.append(text, end);
}

void JsonWriter::comma() {
  if (need_comma_) out_.push_back(',');
  need_comma_ = true;
}
JsonWriter& JsonWriter::open(char bracket) {
  comma();
  out_.push_back(bracket);
  need_comma_ = false;
  return *this;
}
JsonWriter& JsonWriter::close(char bracket) {
  out_.push_back(bracket);
  need_comma_ = true;
  return *this;
}
JsonWriter& JsonWriter::key(std::string_view name) {
  comma();
  append_json_string(out_, name);
  out_.push_back(':');
  need_comma_ = false;
  return *this;
}
JsonWriter& JsonWriter::value(std::string_view text) {
  comma();
  append_json_string(out_, text);
  return *this;
}
JsonWriter& JsonWriter::value(bool truth) {
  comma();
  out_ += truth ? "true" : "false";
  return *this;
}
JsonWriter& JsonWriter::value(double number) {
  comma();
  append_json_number(out_, number);
  return *this;
}
JsonWriter& JsonWriter::null() {
  comma();
  out_ += "null";
  return *this;
}
JsonWriter& JsonWriter::raw(std::string_view json) {
  comma();
  out_ += json;
  return *this;
}

struct JsonBuilder {
  static JsonValue build(const simdjson::dom::element& element) {
    using simdjson::dom::element_type;
    JsonValue v;
    switch (element.type()) {
      case element_type::ARRAY: {
        JsonValue::Array list;
        list.reserve(simdjson::dom::array(element).size());
        for (auto child : simdjson::dom::array(element)) list.push_back(build(child));
        v.data_ = std::move(list);
        break;
      }
      case element_type::OBJECT: {
        JsonValue::Object members;
        members.reserve(simdjson::dom::object(element).size());
        for (auto [key, child] : simdjson::dom::object(element))
          members.emplace_back(std::string(key), build(child));
        v.data_ = std::move(members);
        break;
      }
      case element_type::STRING:
        v.data_ = std::string(std::string_view(element));
        break;
      case element_type::INT64:
        v.data_ = int64_t(element);
        break;
      case element_type::UINT64:
        v.data_ = uint64_t(element);
        break;
      case element_type::DOUBLE:
        v.data_ = double(element);
        break;
      case element_type::BOOL:
        v.data_ = bool(element);
        break;
      case element_type::NULL_VALUE:
        break;
    }
    return v;
  }
};

Result<JsonValue> JsonValue::parse(std::string_view text) {
  // A parser keeps its buffers: making them anew costs more than most parses. What a very large
  // text needed is given back.
  constexpr size_t kKeptMax = 1 << 20;
  thread_local std::optional<simdjson::dom::parser> parser;
  if (!parser || parser->capacity() > kKeptMax) parser.emplace();
  simdjson::dom::element root;
  if (const auto error = parser->parse(text.data(), text.size()).get(root)) {
    return Error(ErrorCode::kInvalidArgument,
                 std::string("not valid JSON: ") + simdjson::error_message(error));
  }
  return JsonBuilder::build(root);
}

namespace {
const JsonValue kNull;
const JsonValue::Array kNoItems;
const JsonValue::Object kNoMembers;
}  // namespace

const JsonValue& JsonValue::operator[](std::string_view key) const {
  for (const auto& [name, child] : members()) {
    if (name == key) return child;
  }
  return kNull;
}
const JsonValue& JsonValue::operator[](size_t index) const {
  return index < items().size() ? items()[index] : kNull;
}
size_t JsonValue::size() const {
  return is_array() ? items().size() : members().size();
}
const JsonValue::Array& JsonValue::items() const {
  const auto* list = std::get_if<Array>(&data_);
  return list != nullptr ? *list : kNoItems;
}
const JsonValue::Object& JsonValue::members() const {
  const auto* object = std::get_if<Object>(&data_);
  return object != nullptr ? *object : kNoMembers;
}
std::optional<std::string> JsonValue::string() const {
  if (const auto* s = std::get_if<std::string>(&data_)) return *s;
  return std::nullopt;
}
std::string_view JsonValue::text() const {
  const auto* s = std::get_if<std::string>(&data_);
  return s != nullptr ? std::string_view(*s) : std::string_view();
}
std::string JsonValue::take_string() {
  auto* s = std::get_if<std::string>(&data_);
  return s != nullptr ? std::move(*s) : std::string();
}
JsonValue::Object JsonValue::take_members() {
  auto* object = std::get_if<Object>(&data_);
  return object != nullptr ? std::move(*object) : Object();
}
JsonValue::Array JsonValue::take_items() {
  auto* list = std::get_if<Array>(&data_);
  return list != nullptr ? std::move(*list) : Array();
}
std::optional<int64_t> JsonValue::exact_integer() const {
  if (const auto* i = std::get_if<int64_t>(&data_)) return *i;
  return std::nullopt;
}
std::optional<uint64_t> JsonValue::large_integer() const {
  if (const auto* u = std::get_if<uint64_t>(&data_)) return *u;
  return std::nullopt;
}
std::optional<double> JsonValue::number() const {
  if (const auto* u = std::get_if<uint64_t>(&data_)) return static_cast<double>(*u);
  if (const auto* d = std::get_if<double>(&data_)) return *d;
  if (const auto* i = std::get_if<int64_t>(&data_)) return static_cast<double>(*i);
  return std::nullopt;
}
std::optional<int64_t> JsonValue::integer() const {
  if (const auto* i = std::get_if<int64_t>(&data_)) return *i;
  if (const auto* d = std::get_if<double>(&data_);
      d != nullptr && *d == std::floor(*d) && std::abs(*d) < 9e15) {
    return static_cast<int64_t>(*d);
  }
  return std::nullopt;
}
std::optional<bool> JsonValue::boolean() const {
  if (const auto* b = std::get_if<bool>(&data_)) return *b;
  return std::nullopt;
}

void JsonValue::write(JsonWriter& writer) const {
  if (is_array()) {
    writer.begin_array();
    for (const JsonValue& item : items()) item.write(writer);
    writer.end_array();
  } else if (is_object()) {
    writer.begin_object();
    for (const auto& [key, child] : members()) {
      writer.key(key);
      child.write(writer);
    }
    writer.end_object();
  } else if (const auto* s = std::get_if<std::string>(&data_)) {
    writer.value(*s);
  } else if (const auto* i = std::get_if<int64_t>(&data_)) {
    writer.value(*i);
  } else if (const auto* u = std::get_if<uint64_t>(&data_)) {
    writer.value(*u);
  } else if (const auto* d = std::get_if<double>(&data_)) {
    writer.value(*d);
  } else if (const auto* b = std::get_if<bool>(&data_)) {
    writer.value(*b);
  } else {
    writer.null();
  }
}

std::string JsonValue::dump() const {
  std::string out;
  JsonWriter writer(out);
  write(writer);
  return out;
}

}  // namespace samplemind
