// HTTP's nouns, the same for HTTP/1.1 and HTTP/2, server and client (RFC 9110).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace samplemind::net {

// Header fields in order; names compare without case. Duplicates are kept. All text lies in one
// string: what the getters give is valid until the next change.
class Headers {
 public:
  struct Field {
    std::string_view name, value;
    bool operator==(const Field&) const = default;
  };
  class Fields;  // a range of Field
  void add(std::string_view name, std::string_view value);
  void set(std::string_view name, std::string_view value);  // replaces all of that name
  void remove(std::string_view name);
  // The first value of that name.
  std::optional<std::string_view> get(std::string_view name) const;
  std::vector<std::string_view> get_all(std::string_view name) const;
  bool has(std::string_view name) const { return get(name).has_value(); }
  Fields fields() const;
  void clear() {
    text_.clear();
    entries_.clear();
  }

 private:
  struct Entry {  // the name and then the value, in text_
    uint32_t at, name_size, value_size;
  };
  Field field(const Entry& e) const {
    const char* name = text_.data() + e.at;
    return {{name, e.name_size}, {name + e.name_size, e.value_size}};
  }
  std::string text_;
  std::vector<Entry> entries_;
};

class Headers::Fields {
 public:
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Field;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = Field;
    Iterator(const Headers* headers, const Entry* at) : headers_(headers), at_(at) {}
    Field operator*() const { return headers_->field(*at_); }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    const Headers* headers_;
    const Entry* at_;
  };
  explicit Fields(const Headers& headers) : headers_(&headers) {}
  Iterator begin() const { return {headers_, headers_->entries_.data()}; }
  Iterator end() const { return {headers_, headers_->entries_.data() + size()}; }
  size_t size() const { return headers_->entries_.size(); }
  // The same fields in the same order, byte by byte.
  bool operator==(const Fields& other) const {
    return std::equal(begin(), end(), other.begin(), other.end());
  }

 private:
  const Headers* headers_;
};

inline Headers::Fields Headers::fields() const {
  return Fields(*this);
}

enum class HttpVersion { k1_0, k1_1, k2 };

struct RequestHead {
  std::string method;     // upper case as sent
  std::string target;     // origin form: path and query as sent
  std::string authority;  // Host header, or :authority
  HttpVersion version = HttpVersion::k1_1;
  Headers headers;

  std::string_view path() const;   // target up to '?', still percent-encoded
  std::string_view query() const;  // after '?', or empty
};

struct ResponseHead {
  int status = 200;
  Headers headers;
};

// "application/json; charset=utf-8" -> "application/json", lower case.
std::string media_type(std::string_view content_type);
std::string_view reason_phrase(int status);

// Percent-decoding ('+' stays); an invalid escape is an error.
Result<std::string> percent_decode(std::string_view text);
std::string percent_encode(std::string_view text);  // all but RFC 3986 unreserved
// "a=1&b=x%20y" in order; '+' means space here.
Result<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view query);

struct Url {
  std::string scheme;             // "http" or "https"
  std::string host;               // lower case, IPv6 without brackets
  uint16_t port = 0;              // the scheme's default when absent
  std::string target;             // path and query, "/" at least
  std::string authority() const;  // host[:port] as a Host header wants it
  static Result<Url> parse(std::string_view text);
};

}  // namespace samplemind::net
