#include "net/sse.h"

#include <gtest/gtest.h>

#include <chrono>

namespace samplemind::net {
namespace {

std::string show(const SseEvent& event) {
  return event.event + "|" + event.id + "|" + event.data;
}

std::vector<std::string> read(const std::vector<std::string_view>& pieces,
                              bool* partial = nullptr) {
  SseReader reader;
  std::vector<std::string> events;
  for (const std::string_view piece : pieces) {
    EXPECT_TRUE(reader.feed(piece).ok());
    while (auto event = reader.next()) events.push_back(show(*event));
  }
  if (partial != nullptr) *partial = reader.partial();
  return events;
}

using Events = std::vector<std::string>;

struct Case {
  std::string_view name;
  std::string_view bytes;
  Events events;
  bool partial = false;
};

// NUL bytes stand inside some of them.
template <size_t N>
constexpr std::string_view bytes(const char (&text)[N]) {
  return {text, N - 1};
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"plain", "data: a\n\ndata: b\n\n", {"message||a", "message||b"}},
      {"CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", {"message||a", "message||b"}},
      {"CR", "data: a\r\rdata: b\r\r", {"message||a", "message||b"}},
      {"mixed ends",
       "data: a\rdata: b\ndata: c\r\n\ndata: d\n\r\n",
       {"message||a\nb\nc", "message||d"}},
      {"no blank after the colon", "data:a\n\ndata:  b\n\n", {"message||a", "message|| b"}},
      {"several data lines", "data: a\ndata\ndata:\ndata: b\n\n", {"message||a\n\n\nb"}},
      {"empty data", "data\n\ndata:\n\ndata: \n\n", {"message||", "message||", "message||"}},
      {"no data, no event", "event: ping\n\nid: 7\n\ndata: x\n\n", {"message|7|x"}},
      {"names", "event: delta\ndata: {\"a\":1}\n\ndata: y\n\n", {"delta||{\"a\":1}", "message||y"}},
      {"id stays",
       "id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
       {"message|1|a", "message|1|b", "message||c"}},
      {"id with NUL is ignored",
       bytes("id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n"),
       {"message|1|a", "message|1|b"}},
      {"NUL in data", bytes("data: a\0b\n\n"), {std::string("message||a\0b", 12)}},
      {"comments", ": keep-alive\n\n:\n:x\ndata: a\n: y\ndata: b\n\n", {"message||a\nb"}},
      {"unknown fields", "foo: bar\nretry: 100\ndataset: 1\nData: 2\ndata: a\n\n", {"message||a"}},
      {"byte order mark",
       "\xEF\xBB\xBF"
       "data: a\n\n",
       {"message||a"}},
      {"two marks: the second belongs to the name",
       "\xEF\xBB\xBF\xEF\xBB\xBF"
       "data: a\n\ndata: b\n\n",
       {"message||b"}},
      {"half a mark",
       "\xEF\xBB"
       "data: a\n\ndata: b\n\n",
       {"message||b"}},
      {"U+2028, U+2029, U+0085, VT and FF do not split",
       "data: {\"t\":\"a\xE2\x80\xA8"
       "b\xE2\x80\xA9"
       "c\xC2\x85"
       "d\x0B"
       "e\x0C"
       "f\"}\n\n",
       {"message||{\"t\":\"a\xE2\x80\xA8"
        "b\xE2\x80\xA9"
        "c\xC2\x85"
        "d\x0B"
        "e\x0C"
        "f\"}"}},
      {"UTF-8",
       "data: \xF0\x9F\xA5\x81 \xC3\xA4\xE6\xBC\xA2\n\n",
       {"message||\xF0\x9F\xA5\x81 \xC3\xA4\xE6\xBC\xA2"}},
      {"done",
       "data: {\"x\":[1,2]}\n\ndata: [DONE]\n\n",
       {"message||{\"x\":[1,2]}", "message||[DONE]"}},
      {"cut in a line", "data: a\n\ndata: b", {"message||a"}, true},
      {"cut after a line", "data: a\n\ndata: b\n", {"message||a"}, true},
      {"cut in a CRLF", "data: a\r\n\r", {"message||a"}},
      {"only ends", "\n\r\n\r\r\n\n", {}},
      {"nothing", "", {}},
  };
  return all;
}

TEST(Sse, ReadsTheSameAtEverySplit) {
  for (const Case& each : cases()) {
    bool partial = false;
    EXPECT_EQ(read({each.bytes}, &partial), each.events) << each.name;
    EXPECT_EQ(partial, each.partial) << each.name;
    for (size_t i = 0; i <= each.bytes.size(); ++i) {
      for (size_t j = i; j <= each.bytes.size(); ++j) {
        ASSERT_EQ(read({each.bytes.substr(0, i), each.bytes.substr(i, j - i), each.bytes.substr(j)},
                       &partial),
                  each.events)
            << each.name << " split at " << i << " and " << j;
        ASSERT_EQ(partial, each.partial) << each.name << " split at " << i << " and " << j;
      }
    }
    std::vector<std::string_view> single;
    for (size_t i = 0; i < each.bytes.size(); ++i) single.push_back(each.bytes.substr(i, 1));
    EXPECT_EQ(read(single), each.events) << each.name;
  }
}

TEST(Sse, RefusesAnEventAboveTheLimitAndStaysFailed) {
  SseReader in_one_line(1000);
  EXPECT_TRUE(in_one_line.feed(std::string(900, 'x')).ok());
  Result<void> failed = in_one_line.feed(std::string(200, 'x'));
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code(), ErrorCode::kTooLarge);
  EXPECT_FALSE(in_one_line.feed("\n\n").ok());
  SseReader in_many_lines(1000);
  bool refused = false;
  for (int i = 0; i < 100 && !refused; ++i)
    refused = !in_many_lines.feed("data: 0123456789012345\n").ok();
  EXPECT_TRUE(refused);
  SseReader many_events(1000);
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(many_events.feed("data: 0123456789012345\n\n").ok());
}

// Quadratic reading would need minutes for these.
TEST(Sse, TakesLinearTime) {
  SseReader bytewise;
  const std::string line = "data: " + std::string(4 << 20, 'x') + "\n\n";
  for (const char c : line) ASSERT_TRUE(bytewise.feed(std::string_view(&c, 1)).ok());
  ASSERT_EQ(bytewise.next()->data.size(), size_t{4} << 20);
  for (const char end : {'\r', '\n'}) {
    SseReader many;
    std::string lines;
    for (int i = 0; i < 400000; ++i) lines.append("data: x").append(2, end);
    ASSERT_TRUE(many.feed(lines).ok());
    size_t count = 0;
    while (many.next()) ++count;
    EXPECT_EQ(count, 400000u);
  }
}

std::vector<std::string> read_lines(const std::vector<std::string_view>& pieces) {
  NdjsonReader reader;
  std::vector<std::string> lines;
  for (const std::string_view piece : pieces) {
    EXPECT_TRUE(reader.feed(piece).ok());
    while (auto line = reader.next()) lines.push_back(*line);
  }
  if (auto last = reader.flush()) lines.push_back("last:" + *last);
  return lines;
}

TEST(Ndjson, ReadsTheSameAtEverySplit) {
  const std::string_view text =
      "{\"a\":1}\n\n \t\r\n{\"b\":\"\xE2\x80\xA8\xF0\x9F\xA5\x81\"}\r\n[1,\r2]\n\n{\"c\":3}";
  const std::vector<std::string> expected = {
      "{\"a\":1}", "{\"b\":\"\xE2\x80\xA8\xF0\x9F\xA5\x81\"}", "[1,\r2]", "last:{\"c\":3}"};
  for (size_t i = 0; i <= text.size(); ++i) {
    for (size_t j = i; j <= text.size(); ++j) {
      ASSERT_EQ(read_lines({text.substr(0, i), text.substr(i, j - i), text.substr(j)}), expected)
          << i << " " << j;
    }
  }
  EXPECT_EQ(read_lines({"{}\n"}), std::vector<std::string>{"{}"});
}

TEST(Ndjson, LimitsLinesAndTakesLinearTime) {
  NdjsonReader small(100);
  EXPECT_TRUE(small.feed(std::string(100, 'x')).ok());
  Result<void> failed = small.feed("x");
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code(), ErrorCode::kTooLarge);
  NdjsonReader whole(100);
  EXPECT_FALSE(whole.feed(std::string(101, 'x') + "\n").ok());
  NdjsonReader many(100);
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(many.feed(std::string(90, 'x') + "\n").ok());
  NdjsonReader bytewise;
  for (int i = 0; i < 4 << 20; ++i) {
    ASSERT_TRUE(bytewise.feed("x").ok());
    ASSERT_FALSE(bytewise.next());
  }
  ASSERT_TRUE(bytewise.feed("\n").ok());
  EXPECT_EQ(bytewise.next()->size(), size_t{4} << 20);
  NdjsonReader lines;
  std::string text;
  for (int i = 0; i < 400000; ++i) text += "{}\n";
  ASSERT_TRUE(lines.feed(text).ok());
  size_t count = 0;
  while (lines.next()) ++count;
  EXPECT_EQ(count, 400000u);
}

}  // namespace
}  // namespace samplemind::net
