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

}  // namespace

void append(ChatAnswer& a, const ChatDelta& d) {
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
  if (!d.finish_reason.empty()) a.finish_reason = d.finish_reason;
  a.lossy |= d.lossy;
  if (d.usage) a.usage = *d.usage;
}

}  // namespace samplemind::ai
