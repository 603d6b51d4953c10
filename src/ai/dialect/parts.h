// What the readers and writers of all dialects share. Pure functions.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ai/request.h"
#include "base/json.h"
#include "base/result.h"

namespace samplemind::ai {

Error bad_request(std::string message);
// "Anthropic cannot express WHAT", with what to do about it.
Error cannot_express(Dialect target, std::string what);

// The request's body as an object without a name given twice: readers differ in which of two they
// take, and what we understand must be what the provider does.
Result<JsonValue::Object> read_body(std::string_view body);

// Moves the value where its type fits; false leaves both as they were.
bool take(JsonValue& v, std::string& out);
bool take(JsonValue& v, std::optional<double>& out);
bool take(JsonValue& v, std::optional<int64_t>& out);
bool take(JsonValue& v, std::optional<bool>& out);
bool take(JsonValue& v, std::vector<std::string>& out);  // also one text

// Keeps the members that are not in `known` as "prefix.name"; null ones say nothing.
void keep_others(ExtraValues& extra, JsonValue::Object& members,
                 std::initializer_list<std::string_view> known, std::string_view prefix = {});

// The object "input_audio" of OpenAI's dialects.
void read_input_audio(Part& part, JsonValue::Object& audio);

// Null, an empty text, list or object: says nothing.
bool says_nothing(const JsonValue& v);

// Refuses the first of `extra` that says something, by its name. The sources of an earlier answer
// (a list of annotations or citations) are left out.
Result<void> refuse_extra(Dialect target, const ExtraValues& extra, std::string_view where,
                          std::initializer_list<std::string_view> harmless = {});

// Adds the message. Results of tools that a user's message begins with go before it as a message
// of their own, as other dialects have them.
void add_message(std::vector<Message>& messages, Message m);
// {"type":"function","function":{...}}, as OpenAI and Ollama have it.
void write_function_tool(JsonWriter& w, const ToolSpec& tool);

Part text_part(std::string text);
Part tool_call_part(std::string id, std::string name, std::string arguments);
// A data: URL in base64 becomes bytes, anything else stays a URL.
Media media_of_url(std::string url);
std::string data_url(const Media& media);
// Texts joined by line feeds.
std::string joined_text(const std::vector<Part>& parts);
bool only_text(const std::vector<Part>& parts);

// The object that a call's arguments are; empty text is {}.
Result<JsonValue> arguments_object(Dialect target, const Part& call);
// What a tool that failed answered, for dialects that cannot say that it failed.
std::string failed_text(std::string text);

// Tool results name the call; some dialects want the tool's name. Sets each result's `name` from
// the calls before it, and gives calls and results without an id one: the n-th result of a tool
// belongs to its n-th call that has none yet.
void link_tools(std::vector<Message>& messages);

// Signatures of reasoning are their provider's alone: inside, each carries its mark ("gemini:CpwB",
// no base64 holds a colon). Each place for one in a dialect has an owner, whose signatures stand
// there without the mark. A foreign one is told to a client with it, so that it finds its way back,
// and is never sent to another provider.
inline constexpr std::string_view kRedactedMark = "anthropic.redacted:";
// As it is kept: one without a mark is the owner's of the place where it stood.
std::string marked_signature(std::string_view owner, std::string signature);
std::string_view unmarked_signature(std::string_view signature);
// For a client, at a place of `owner`.
std::string told_signature(std::string_view owner, std::string_view signature);
// For an upstream of `owner`: empty when it is another's.
std::string_view own_signature(std::string_view owner, std::string_view signature);

// Effort from a budget of reasoning tokens and the reverse, by the bounds in docs/dialects.md.
std::string effort_of_budget(int64_t tokens);
int64_t budget_of_effort(std::string_view effort);

// Members a request of OpenAI's kind may hold that say nothing about the answer.
bool is_aside(std::string_view name);

}  // namespace samplemind::ai
