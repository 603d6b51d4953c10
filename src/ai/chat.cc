#include "ai/chat.h"

namespace samplemind::ai {

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
  }
  if (!d.logprobs.empty()) {
    if (!a.logprobs.empty()) a.logprobs += ',';
    a.logprobs += d.logprobs;
  }
  if (!d.finish_reason.empty()) a.finish_reason = d.finish_reason;
  if (d.usage) a.usage = *d.usage;
}

}  // namespace samplemind::ai
