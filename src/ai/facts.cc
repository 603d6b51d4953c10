#include "ai/facts.h"

#include <algorithm>
#include <cstring>

namespace samplemind::ai {

namespace {

constexpr int64_t kImageTokens = 1100;
constexpr int64_t kMessageTokens = 4;  // what a message costs besides its words
constexpr size_t kLastTextKept = 512;
constexpr size_t kConversationKept = 512;
// Base64 bytes of a second of sound: 16 kHz, 16 bit, one channel. Compressed sound counts less than
// it is; the estimate is then settled by what the provider reports.
constexpr int64_t kBase64ASecond = 16000 * 2 * 4 / 3;
constexpr int64_t kAudioTokensASecond = 32;
constexpr int64_t kDocumentBytesAToken = 16;

struct Walk {
  RequestFacts& facts;
  int64_t tokens = 0;

  void part(const Part& p) {
    using Kind = Part::Kind;
    switch (p.kind) {
      case Kind::kImage:
        facts.image = true;
        tokens += kImageTokens;
        return;
      case Kind::kAudio:
        facts.audio = true;
        tokens += kAudioTokensASecond +
                  static_cast<int64_t>(p.media.data.size()) * kAudioTokensASecond / kBase64ASecond;
        return;
      case Kind::kDocument:
        if (p.text.empty()) facts.document = true;
        tokens += estimate_tokens(p.text) +
                  static_cast<int64_t>(p.media.data.size()) / kDocumentBytesAToken;
        return;
      default:
        tokens += estimate_tokens(p.text) + estimate_tokens(p.name);
        for (const Part& inner : p.parts) part(inner);
        if (p.kind == Kind::kOther) {
          for (const auto& [name, value] : p.extra) tokens += estimate_tokens(value.dump());
        }
    }
  }
};

const std::string* text_of(const ExtraValues& values, std::string_view group,
                           std::string_view member, std::string& kept) {
  for (const auto& [name, value] : values) {
    if (name != group) continue;
    if (auto text = value[member].string()) {
      kept = std::move(*text);
      return &kept;
    }
  }
  return nullptr;
}

}  // namespace

int64_t estimate_tokens(std::string_view text) {
  // Eight bytes at a time: the compiler does not see it by itself at -O2, and every request that is
  // read passes here.
  size_t wide = 0, at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t eight = 0;
    std::memcpy(&eight, text.data() + at, 8);
    // One bit a byte, summed by the multiplication: a count of bits is a call on plain x86-64.
    wide += (((eight >> 7) & 0x0101010101010101U) * 0x0101010101010101U) >> 56;
  }
  for (; at < text.size(); ++at) wide += static_cast<unsigned char>(text[at]) >= 0x80 ? 1 : 0;
  const size_t plain = text.size() - wide;
  return static_cast<int64_t>((plain + 3) / 4 + (wide + 2) / 3);
}

RequestFacts facts_of(const ChatRequest& r) {
  RequestFacts f;
  Walk walk{f};
  bool answered = false;
  for (const Message& m : r.messages) {
    walk.tokens += kMessageTokens;
    if (m.role == Message::Role::kUser) f.last_text.clear();
    if (m.role == Message::Role::kAssistant) answered = true;
    for (const Part& p : m.parts) {
      walk.part(p);
      if (m.role == Message::Role::kUser && p.kind == Part::Kind::kText &&
          f.last_text.size() < kLastTextKept) {
        if (!f.last_text.empty()) f.last_text += ' ';
        f.last_text.append(p.text, 0, kLastTextKept - f.last_text.size());
      }
      // What a conversation begins with stays as it goes on.
      if (!answered && p.kind == Part::Kind::kText && f.conversation.size() < kConversationKept) {
        f.conversation.append(p.text, 0, kConversationKept - f.conversation.size());
        f.conversation += '\n';
      }
    }
  }
  f.goes_on = answered;
  f.prefill = !r.messages.empty() && r.messages.back().role == Message::Role::kAssistant;
  for (const ToolSpec& t : r.tools) {
    walk.tokens += 8 + estimate_tokens(t.name) + estimate_tokens(t.description);
    if (!t.schema.is_null()) walk.tokens += estimate_tokens(t.schema.dump());
  }
  f.tools = !r.tools.empty() && r.tool_choice.mode != ToolChoice::Mode::kNone;
  f.schema = r.format.kind == OutputFormat::Kind::kSchema;
  if (f.schema) walk.tokens += estimate_tokens(r.format.schema.dump());
  f.input_tokens = walk.tokens;
  f.output_tokens = std::max<int64_t>(0, r.max_tokens.value_or(0));
  std::string kept;
  if (const std::string* hint = text_of(r.aside, "metadata", "samplemind_task", kept))
    f.task_hint = *hint;
  return f;
}

}  // namespace samplemind::ai
