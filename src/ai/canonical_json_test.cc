#include "ai/canonical_json.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <random>

#include "ai/fingerprint.h"
#include "base/json.h"

namespace samplemind::ai {
namespace {

std::string canonical(std::string_view text) {
  auto result = canonical_json(text);
  return result.ok() ? *result : "error: " + result.error().message();
}

// RFC 8785, appendix B.
TEST(CanonicalJson, NumbersOfTheRfc) {
  const std::vector<std::pair<uint64_t, const char*>> samples{
      {0x0000000000000000, "0"},
      {0x8000000000000000, "0"},
      {0x0000000000000001, "5e-324"},
      {0x8000000000000001, "-5e-324"},
      {0x7fefffffffffffff, "1.7976931348623157e+308"},
      {0xffefffffffffffff, "-1.7976931348623157e+308"},
      {0x4340000000000000, "9007199254740992"},
      {0xc340000000000000, "-9007199254740992"},
      {0x4430000000000000, "295147905179352830000"},
      {0x44b52d02c7e14af5, "9.999999999999997e+22"},
      {0x44b52d02c7e14af6, "1e+23"},
      {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
      {0x444b1ae4d6e2ef4e, "999999999999999700000"},
      {0x444b1ae4d6e2ef4f, "999999999999999900000"},
      {0x444b1ae4d6e2ef50, "1e+21"},
      {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
      {0x3eb0c6f7a0b5ed8d, "0.000001"},
      {0x41b3de4355555553, "333333333.3333332"},
      {0x41b3de4355555554, "333333333.33333325"},
      {0x41b3de4355555555, "333333333.3333333"},
      {0x41b3de4355555556, "333333333.3333334"},
      {0x41b3de4355555557, "333333333.33333343"},
      {0xbecbf647612f3696, "-0.0000033333333333333333"},
      {0x43143ff3c1cb0959, "1424953923781206.2"}};
  for (const auto& [bits, text] : samples)
    EXPECT_EQ(ecmascript_number(std::bit_cast<double>(bits)), text);
}

// RFC 8785, sections 3.2.2 and 3.2.3.
TEST(CanonicalJson, SamplesOfTheRfc) {
  EXPECT_EQ(canonical(R"({
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    })"),
            "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
            "\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
  EXPECT_EQ(canonical(R"({
      "\u20ac": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face",
      "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis"
    })"),
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\","
            "\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\","
            "\"😀\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}");
}

// The RFC's table of lone surrogates and such does not apply: they are no valid UTF-8 and refused.
TEST(CanonicalJson, WhatIsNoJsonIsRefused) {
  for (const char* bad : {"", "{", "{\"a\":01}", "[1,]", "{\"a\":1}x", "nul", "\"\\ud800\"", "NaN",
                          "{'a':1}", "\"\xff\""})
    EXPECT_FALSE(canonical_json(bad).ok()) << bad;
}

TEST(CanonicalJson, WholeNumbersThatADoubleCannotHoldStayApart) {
  EXPECT_EQ(canonical("9007199254740992"), "9007199254740992");
  EXPECT_EQ(canonical("[9007199254740993,9007199254740994]"),
            "[9007199254740993,9007199254740994]");
  EXPECT_EQ(canonical("-9007199254740993"), "-9007199254740993");
  EXPECT_EQ(canonical("18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(canonical("[1,1.0,10e-1,1E0,-0,0.0]"), "[1,1,1,1,0,0]");
}

// Strings are read eight bytes at a time: an escape may stand anywhere.
TEST(CanonicalJson, EscapesAtEveryPosition) {
  for (size_t at = 0; at < 40; ++at) {
    for (int c = 0; c < 0x80; ++c) {
      std::string text(40, 'x');
      text[at] = static_cast<char>(c);
      if (at % 5 == 0) text.replace(20, 2, "\xC3\xA9");
      std::string escaped = "\"";
      for (const char each : text) {
        char form[8] = {each, 0};
        if (each == '"' || each == '\\' || static_cast<unsigned char>(each) < 0x20)
          std::snprintf(form, sizeof form, "\\u%04x", static_cast<unsigned>(each));
        escaped += form;
      }
      escaped += "\"";
      const std::string got = canonical(escaped);
      ASSERT_EQ(JsonValue::parse(got)->string(), text) << got;
      ASSERT_EQ(canonical(got), got);
      ASSERT_LE(got.size(), text.size() + 7);
    }
  }
}

// Keys of every UTF-8 length against the order of their UTF-16 code units.
TEST(CanonicalJson, KeysSortByUtf16) {
  struct Key {
    std::string utf8;
    std::u16string utf16;
  };
  const auto key = [](std::initializer_list<uint32_t> points) {
    Key k;
    for (const uint32_t p : points) {
      if (p < 0x80) {
        k.utf8 += static_cast<char>(p);
      } else if (p < 0x800) {
        k.utf8 += static_cast<char>(0xC0 | p >> 6);
        k.utf8 += static_cast<char>(0x80 | (p & 63));
      } else if (p < 0x10000) {
        k.utf8 += static_cast<char>(0xE0 | p >> 12);
        k.utf8 += static_cast<char>(0x80 | (p >> 6 & 63));
        k.utf8 += static_cast<char>(0x80 | (p & 63));
      } else {
        k.utf8 += static_cast<char>(0xF0 | p >> 18);
        k.utf8 += static_cast<char>(0x80 | (p >> 12 & 63));
        k.utf8 += static_cast<char>(0x80 | (p >> 6 & 63));
        k.utf8 += static_cast<char>(0x80 | (p & 63));
      }
      if (p < 0x10000) {
        k.utf16 += static_cast<char16_t>(p);
      } else {
        k.utf16 += static_cast<char16_t>(0xD800 + ((p - 0x10000) >> 10));
        k.utf16 += static_cast<char16_t>(0xDC00 + ((p - 0x10000) & 0x3FF));
      }
    }
    return k;
  };
  const std::vector<uint32_t> points{0x61,   0x7F,   0x80,    0x7FF,    0x800,
                                     0xCFFF, 0xD000, 0xD7FF,  0xE000,   0xEFFF,
                                     0xF000, 0xFFFD, 0x10000, 0x10FFFF, 0x1F600};
  std::vector<Key> keys;
  for (const uint32_t a : points) {
    keys.push_back(key({a}));
    for (const uint32_t b : points) keys.push_back(key({a, b}));
  }
  std::string object = "{";
  for (const Key& k : keys) object += (object.size() > 1 ? ",\"" : "\"") + k.utf8 + "\":0";
  object += "}";
  std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) { return a.utf16 < b.utf16; });
  std::string wanted = "{";
  for (const Key& k : keys) wanted += (wanted.size() > 1 ? ",\"" : "\"") + k.utf8 + "\":0";
  EXPECT_EQ(canonical(object), wanted + "}");
}

// --- Properties: another spelling, the same key; another meaning, another key -------------------

class Spelling {
 public:
  explicit Spelling(uint32_t seed) : random_(seed) {}
  std::string spell(const JsonValue& v) {
    std::string out = space();
    if (v.is_object()) {
      JsonValue::Object members = v.members();
      std::shuffle(members.begin(), members.end(), random_);
      out += "{" + space();
      bool first = true;
      for (const auto& [name, value] : members) {
        if (!std::exchange(first, false)) out += ",";
        out += space() + text(name) + space() + ":" + spell(value);
      }
      out += "}";
    } else if (v.is_array()) {
      out += "[";
      bool first = true;
      for (const JsonValue& each : v.items()) {
        if (!std::exchange(first, false)) out += ",";
        out += spell(each);
      }
      out += space() + "]";
    } else if (v.is_string()) {
      out += text(*v.string());
    } else if (v.is_number()) {
      out += number(*v.number());
    } else {
      out += v.dump();
    }
    return out + space();
  }

 private:
  std::string space() {
    static constexpr const char* kSpaces[] = {"", "", " ", "\n", "\t", "\r\n  "};
    return kSpaces[random_() % 6];
  }
  std::string text(const std::string& s) {
    std::string out = "\"";
    for (const char c : s) {
      if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20 ||
          (static_cast<unsigned char>(c) < 0x80 && random_() % 3 == 0)) {
        char escaped[8];
        std::snprintf(escaped, sizeof escaped, random_() % 2 == 0 ? "\\u%04x" : "\\u%04X",
                      static_cast<unsigned>(c));
        out += escaped;
      } else {
        out += c;
      }
    }
    return out + "\"";
  }
  std::string number(double value) {
    char digits[64];
    static constexpr const char* kForms[] = {"%.17g", "%.17e", "%.17E"};
    std::snprintf(digits, sizeof digits, kForms[random_() % 3], value);
    return digits;
  }
  std::mt19937 random_;
};

constexpr std::string_view kRequest =
    R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"h\u00e9llo \"x\"\n"},)"
    R"({"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}],"temperature":0.7,)"
    R"("seed":42,"logit_bias":{"50256":-100,"7":1.5},"tools":[{"type":"function","function":)"
    R"({"name":"f","parameters":{"type":"object","properties":{"b":{"type":"number"},"a":{}}}}}],)"
    R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"x":1,"a":[]}}},)"
    R"("options":{"num_ctx":4096},"x_unknown":[null,true,{"deep":[1e-9]}]})";

Digest key_of(std::string_view body, FingerprintScope scope = {}) {
  auto key = fingerprint(scope, body);
  EXPECT_TRUE(key.ok());
  return key.ok() ? *key : Digest();
}

TEST(Fingerprint, SpellingDoesNotMatter) {
  const JsonValue request = *JsonValue::parse(kRequest);
  const Digest key = key_of(kRequest);
  for (uint32_t seed = 0; seed < 2000; ++seed) {
    const std::string other = Spelling(seed).spell(request);
    ASSERT_EQ(key_of(other), key) << other;
  }
}

// Every value within the request, changed one at a time.
void changed(const JsonValue& v, std::string_view prefix, std::string_view suffix,
             std::vector<std::string>& out) {
  const auto add = [&](std::string_view text) {
    out.push_back(std::string(prefix) + std::string(text) + std::string(suffix));
  };
  if (v.is_object()) {
    const JsonValue::Object& members = v.members();
    for (size_t i = 0; i < members.size(); ++i) {
      std::string before = "{", after;
      for (size_t k = 0; k < members.size(); ++k) {
        std::string member;
        append_json_string(member, members[k].first);
        member += ":";
        if (k < i) before += member + members[k].second.dump() + ",";
        if (k == i) before += member;
        if (k > i) after += "," + member + members[k].second.dump();
      }
      changed(members[i].second, std::string(prefix) + before, after + "}" + std::string(suffix),
              out);
    }
    std::string with = v.dump();
    with.insert(with.size() - 1, members.empty() ? "\"zz\":0" : ",\"zz\":0");
    add(with);
  } else if (v.is_array()) {
    const JsonValue::Array& items = v.items();
    for (size_t i = 0; i < items.size(); ++i) {
      std::string before = "[", after;
      for (size_t k = 0; k < i; ++k) before += items[k].dump() + ",";
      for (size_t k = i + 1; k < items.size(); ++k) after += "," + items[k].dump();
      changed(items[i], std::string(prefix) + before, after + "]" + std::string(suffix), out);
    }
    std::string with = v.dump();
    with.insert(with.size() - 1, items.empty() ? "0" : ",0");
    add(with);
  } else if (v.is_string()) {
    std::string text;
    append_json_string(text, *v.string() + "~");
    add(text);
  } else if (v.is_number()) {
    std::string text;
    append_json_number(text, std::nextafter(*v.number(), 1e300));
    add(text);
  } else if (v.is_bool()) {
    add(*v.boolean() ? "false" : "true");
  } else {
    add("\"null\"");
  }
}

TEST(Fingerprint, EveryChangeOfMeaningMatters) {
  std::vector<std::string> others;
  changed(*JsonValue::parse(kRequest), "", "", others);
  EXPECT_GT(others.size(), 30u);
  std::vector<Digest> keys{key_of(kRequest)};
  for (const std::string& other : others) {
    if (other.find("\"model\":\"m~\"") != std::string::npos) continue;  // the scope names the model
    keys.push_back(key_of(other));
  }
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
}

TEST(Fingerprint, OnlyWhatCannotChangeTheAnswerIsIgnored) {
  const std::string base = R"({"messages":[],"a":1})";
  for (const char* ignored :
       {R"("user":"u")", R"("metadata":{"a":"b"})", R"("stream":true)", R"("store":true)",
        R"("stream_options":{"include_usage":true})", R"("service_tier":"flex")", R"("model":"x")",
        R"("safety_identifier":"s")", R"("prompt_cache_key":"p")"})
    EXPECT_EQ(key_of("{" + std::string(ignored) + "," + base.substr(1)), key_of(base)) << ignored;
  // Only at the top: deeper they may be anything.
  EXPECT_NE(key_of(R"({"messages":[{"user":"a"}]})"), key_of(R"({"messages":[{"user":"b"}]})"));
}

TEST(Fingerprint, ScopesDoNotRunIntoEachOther) {
  const auto with = [](std::string_view tenant, std::string_view space, std::string_view provider,
                       std::string_view model, std::string_view headers) {
    FingerprintScope scope;
    scope.tenant = tenant;
    scope.cache_namespace = space;
    scope.provider = provider;
    scope.model = model;
    scope.headers = headers;
    return key_of("{}", scope);
  };
  std::vector<Digest> keys{with("ab", "", "", "", ""), with("a", "b", "", "", ""),
                           with("", "ab", "", "", ""), with("", "", "ab", "", ""),
                           with("", "", "a", "b", ""), with("", "", "", "ab", ""),
                           with("", "", "", "a", "b"), with("", "", "", "", "ab")};
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
}

}  // namespace
}  // namespace samplemind::ai
