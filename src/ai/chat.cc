#include "ai/chat.h"

#include <algorithm>

namespace samplemind::ai {

namespace {

enum class Merge { kKeepFirst, kKeepLast, kGrow };

void merge(ExtraMembers& into, const ExtraMembers& from, Merge how) {
  for (const auto& [name, json] : from) {
    const auto it = std::find_if(into.begin(), into.end(),
                                 [&n = name](const auto& member) { return member.first == n; });
    if (it == into.end()) {
      into.emplace_back(name, json);
      continue;
    }
    if (how == Merge::kKeepFirst) continue;
    std::string& old = it->second;
    const bool both_lists = old.front() == '[' && json.front() == '[';
    const bool both_texts = how == Merge::kGrow && old.front() == '"' && json.front() == '"';
    if (both_lists && old != "[]") {
      if (json != "[]") old = old.substr(0, old.size() - 1) + "," + json.substr(1);
    } else if (both_texts) {
      old = old.substr(0, old.size() - 1) + json.substr(1);
    } else {
      old = json;
    }
  }
}

// The block that grows, or a new one where the kind changes.
Block& block_for(ChatAnswer& a, Block::Kind kind, bool opens) {
  if (opens || a.blocks.empty() || a.blocks.back().kind != kind) {
    a.blocks.emplace_back();
    a.blocks.back().kind = kind;
  }
  return a.blocks.back();
}

void append_blocks(ChatAnswer& a, const ChatDelta& d, size_t calls_before) {
  using Kind = Block::Kind;
  bool opens = d.opens;
  Block* last = nullptr;
  if (!d.reasoning.empty() || (opens && d.text.empty() && d.tools.empty() && d.redacted.empty() &&
                               d.other.empty() && !d.signature.empty())) {
    last = &block_for(a, Kind::kReasoning, opens);
    last->size += d.reasoning.size();
    opens = false;
  }
  if (!d.text.empty()) {
    last = &block_for(a, Kind::kText, opens);
    last->size += d.text.size();
    opens = false;
  }
  for (size_t i = calls_before; i < a.tool_calls.size(); ++i)
    last = &block_for(a, Kind::kToolCall, true);
  if (!d.redacted.empty()) {
    last = &block_for(a, Kind::kRedacted, true);
    last->data = d.redacted;
  }
  if (!d.other.empty()) {
    last = &block_for(a, Kind::kOther, true);
    last->data = d.other;
  }
  if (d.signature.empty() && d.block_extra.empty()) return;
  if (last == nullptr) {
    if (a.blocks.empty()) return;
    last = &a.blocks.back();
  }
  // Each piece carries its provider's mark; one is enough.
  const size_t mark = last->signature.empty() ? std::string::npos : d.signature.find(':');
  last->signature += mark == std::string::npos ? d.signature : d.signature.substr(mark + 1);
  merge(last->extra, d.block_extra, Merge::kGrow);
}

}  // namespace

void append(ChatAnswer& a, const ChatDelta& d) {
  const size_t calls_before = a.tool_calls.size();
  a.text += d.text;
  a.reasoning += d.reasoning;
  a.refusal += d.refusal;
  for (const ChatDelta::Tool& t : d.tools) {
    if (t.index >= a.tool_calls.size()) a.tool_calls.resize(t.index + 1);
    ToolCall& call = a.tool_calls[t.index];
    if (!t.id.empty()) call.id = t.id;
    if (!t.name.empty()) call.name = t.name;
    call.arguments += t.arguments;
    call.custom |= t.custom;
    if (!t.signature.empty()) call.signature = t.signature;
  }
  const auto add_list = [](std::string& into, const std::string& items) {
    if (items.empty()) return;
    if (!into.empty()) into += ',';
    into += items;
  };
  add_list(a.logprobs, d.logprobs);
  add_list(a.refusal_logprobs, d.refusal_logprobs);
  if (!d.reasoning_field.empty()) a.reasoning_field = d.reasoning_field;
  merge(a.extra, d.extra, Merge::kKeepFirst);
  merge(a.choice_extra, d.choice_extra, Merge::kKeepLast);
  merge(a.message_extra, d.message_extra, Merge::kGrow);
  append_blocks(a, d, calls_before);
  if (!d.finish_reason.empty()) a.finish_reason = d.finish_reason;
  if (!d.finish_detail.empty()) a.finish_detail = d.finish_detail;
  if (!d.stop_sequence.empty()) a.stop_sequence = d.stop_sequence;
  if (!d.response_json.empty()) a.response_json = d.response_json;
  a.lossy |= d.lossy;
  if (d.usage) a.usage = *d.usage;
}

std::vector<Block> blocks_of(const ChatAnswer& a) {
  if (!a.blocks.empty()) return a.blocks;
  std::vector<Block> blocks;
  const auto add = [&blocks](Block::Kind kind, size_t size) {
    blocks.emplace_back();
    blocks.back().kind = kind;
    blocks.back().size = size;
  };
  if (!a.reasoning.empty()) add(Block::Kind::kReasoning, a.reasoning.size());
  if (!a.text.empty()) add(Block::Kind::kText, a.text.size());
  for (size_t i = 0; i < a.tool_calls.size(); ++i) add(Block::Kind::kToolCall, 0);
  return blocks;
}

std::vector<ChatDelta> pieces_of(const ChatAnswer& a) {
  std::vector<ChatDelta> pieces;
  size_t text = 0, reasoning = 0, call = 0;
  for (const Block& b : blocks_of(a)) {
    ChatDelta d;
    d.opens = true;
    d.signature = b.signature;
    d.block_extra = b.extra;
    switch (b.kind) {
      case Block::Kind::kText:
        d.text = a.text.substr(std::min(text, a.text.size()), b.size);
        text += b.size;
        break;
      case Block::Kind::kReasoning:
        d.reasoning = a.reasoning.substr(std::min(reasoning, a.reasoning.size()), b.size);
        reasoning += b.size;
        break;
      case Block::Kind::kRedacted:
        d.redacted = b.data;
        break;
      case Block::Kind::kOther:
        d.other = b.data;
        break;
      case Block::Kind::kToolCall:
        if (call >= a.tool_calls.size()) continue;
        const ToolCall& t = a.tool_calls[call];
        d.tools.push_back({call, t.id, t.name, t.arguments, t.custom, t.signature});
        ++call;
        break;
    }
    pieces.push_back(std::move(d));
  }
  if (pieces.empty()) pieces.emplace_back();
  // What is said once goes with the first piece that has text, else with the first.
  const auto with_text = std::find_if(pieces.begin(), pieces.end(),
                                      [](const ChatDelta& d) { return !d.text.empty(); });
  ChatDelta& body = with_text != pieces.end() ? *with_text : pieces.front();
  body.refusal = a.refusal;
  body.logprobs = a.logprobs;
  body.refusal_logprobs = a.refusal_logprobs;
  body.message_extra = a.message_extra;
  body.reasoning_field = a.reasoning_field;
  body.extra = a.extra;
  ChatDelta end;
  end.finish_reason = a.finish_reason;
  end.finish_detail = a.finish_detail;
  end.stop_sequence = a.stop_sequence;
  end.choice_extra = a.choice_extra;
  if (a.usage.reported) end.usage = a.usage;
  pieces.push_back(std::move(end));
  return pieces;
}

}  // namespace samplemind::ai
