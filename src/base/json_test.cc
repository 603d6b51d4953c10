#include "base/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace samplemind {
namespace {

TEST(JsonWriter, ObjectsArraysAndNulls) {
  std::string out;
  JsonWriter w(out);
  w.begin_object()
      .field("a", 1)
      .field("b", "x\"\n\x01")
      .key("c")
      .begin_array()
      .value(true)
      .null()
      .value(0.1)
      .end_array();
  w.field("d", std::optional<double>()).field("e", std::vector<double>{1, 2.5}).end_object();
  EXPECT_EQ(out, R"({"a":1,"b":"x\"\n\u0001","c":[true,null,0.1],"d":null,"e":[1,2.5]})");
}

TEST(JsonWriter, InvalidUtf8BecomesReplacement) {
  std::string out;
  append_json_string(out, "a\xFFz\xC3");
  EXPECT_EQ(out, "\"a\xEF\xBF\xBDz\xEF\xBF\xBD\"");
  out.clear();
  append_json_string(out,
                     "é€🎛\xED\xA0\x80");  // the last is a surrogate half: three bad bytes
  EXPECT_EQ(out, "\"é€🎛\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

TEST(JsonWriter, NumbersThatAreNone) {
  std::string out;
  append_json_number(out, std::nan(""));
  append_json_number(out, std::numeric_limits<double>::infinity());
  EXPECT_EQ(out, "nullnull");
}

TEST(JsonValue, RoundTripKeepsOrder) {
  const char* text = R"({"z":[1,2.5,"x",null,true],"a":{"k":-9007199254740993}})";
  const auto v = JsonValue::parse(text);
  ASSERT_TRUE(v.ok());
  EXPECT_EQ(v->dump(), text);
  EXPECT_EQ((*v)["z"][2].string(), "x");
  EXPECT_TRUE((*v)["nothing"]["below"].is_null());
}

TEST(JsonValue, LargeWholeNumbersKeepTheirDigits) {
  const auto v = JsonValue::parse("[18446744073709551615,9223372036854775807]");
  ASSERT_TRUE(v.ok());
  EXPECT_EQ(v->dump(), "[18446744073709551615,9223372036854775807]");
  EXPECT_TRUE((*v)[0].is_number());
  EXPECT_EQ((*v)[0].large_integer(), 18446744073709551615u);
  EXPECT_FALSE((*v)[0].integer().has_value());
}

TEST(JsonValue, PartsAreMovedOut) {
  auto v = JsonValue::parse(R"({"a":["x"]})");
  ASSERT_TRUE(v.ok());
  EXPECT_EQ((*v)["a"][0].text(), "x");
  EXPECT_EQ((*v)["a"].text(), "");
  JsonValue::Object members = v->take_members();
  ASSERT_EQ(members.size(), 1u);
  JsonValue::Array items = members[0].second.take_items();
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].take_string(), "x");
  EXPECT_TRUE(JsonValue().take_members().empty());
}

TEST(JsonValue, RefusesWhatIsNoJson) {
  for (const char* bad : {"", "{", "{\"a\":}", "[1,]", "nul", "{\"a\":1}x", "'a'", "\"\x01\""}) {
    EXPECT_FALSE(JsonValue::parse(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace samplemind
