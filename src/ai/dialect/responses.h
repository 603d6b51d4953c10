// OpenAI's responses (https://platform.openai.com/docs/api-reference/responses). Pure functions; a
// reader or writer of a stream is one answer's. What a conversation keeps between its turns is not
// here but in ai/response_store.h: a request is expanded before it is read.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ai/chat.h"
#include "ai/dialect/dialect.h"
#include "ai/request.h"
#include "base/result.h"

namespace samplemind::ai {

// What one response says of itself and of its request besides the answer. The ids of its items are
// made of its own: "resp_X" has "msg_X_0", "fc_X_1", so that an item leads to its response.
struct ResponseEcho {
  std::string id;  // "resp_" and letters; empty: "resp_0"
  int64_t created_s = 0;
  std::vector<std::pair<std::string, std::string>> members;  // of the request, as JSON
};
// The members that a response repeats. REQUIRES: `body` is a JSON object.
ResponseEcho echo_of_request(std::string_view body, std::string id, int64_t created_s);

Result<ChatRequest> read_responses_request(std::string_view body);

// A request of another dialect, which nothing is kept of. kInvalidArgument names what responses
// cannot express.
Result<std::string> write_responses_request(const ChatRequest& request, std::string_view model,
                                            bool stream);

// What must be looked up before the request can be read.
struct ResponseReferences {
  std::string previous;            // "previous_response_id"; empty: none
  std::vector<std::string> items;  // ids of its "item_reference" items
  bool keep = true;                // "store"
  bool any() const { return !previous.empty() || !items.empty(); }
};
// `body` that is no JSON object refers to nothing.
ResponseReferences references_of_request(std::string_view body);
// The request with the turns before it in place: `before` are items as JSON, comma-separated;
// `items` what each referred item is. REQUIRES: `body` is a JSON object.
std::string expand_responses_request(std::string_view body, std::string_view before,
                                     const std::map<std::string, std::string>& items);
// The request's own input as comma-separated items of JSON: one text is a user's message.
std::string input_items(std::string_view body);
// The id of the response that the item with this id belongs to; empty: none of ours.
std::string response_of_item(std::string_view item_id);

std::string write_responses_answer(const Form& form, const ChatAnswer& answer);

// The semantic events in OpenAI's order, numbered from 0: created, in_progress; for each item
// added, its parts with their pieces, done; completed or incomplete.
class ResponsesStreamWriter final : public StreamWriter {
 public:
  explicit ResponsesStreamWriter(const Form& form);
  void delta(std::string& out, const ChatAnswer& head, const ChatDelta& d) override;
  void end(std::string& out, const ChatAnswer& answer) override;
  void error(std::string& out, const AnswerError& e) override;
  // The response as it stands; after end() the complete one.
  void write_response(JsonWriter& w, const ChatAnswer& answer, bool ended) const;

 private:
  struct Content {
    bool refusal = false;
    std::string text;
    std::string logprobs;
  };
  struct Item {
    enum class Kind : uint8_t { kMessage, kReasoning, kCall } kind = Kind::kMessage;
    std::string id;
    std::vector<Content> parts;      // of a message
    std::string summary, encrypted;  // of reasoning
    ToolCall call;
    size_t tool = 0;  // its index in the answer
    bool open = true;
  };
  // Begins an event: its name and number are written.
  JsonWriter begin(std::string& out, std::string_view type);
  void finish(std::string& out, JsonWriter& w);
  void start(std::string& out, const ChatAnswer& head);
  Item& add(std::string& out, Item item, std::string_view id_kind);
  Item* last_open(Item::Kind kind);
  void close(std::string& out, Item& item);
  void close_complete(std::string& out);
  void close_part(std::string& out, const Item& item);
  void reasoning(std::string& out, const ChatDelta& d);
  void content(std::string& out, bool opens, bool refusal, const std::string& piece,
               const std::string& logprobs);
  void tool(std::string& out, const ChatDelta::Tool& t);
  void write_item(JsonWriter& w, const Item& item, bool cut = false) const;
  size_t place_of(const Item& item) const { return static_cast<size_t>(&item - items_.data()); }

  Form form_;
  ResponseEcho echo_;
  std::vector<Item> items_;
  int64_t number_ = 0;
  bool started_ = false;
  bool native_ = false;  // an upstream's own events are told
};

class ResponsesReader final : public AnswerReader {
 public:
  Result<void> event(std::string_view name, std::string data, std::vector<ChatDelta>& out) override;
  Result<ChatAnswer> whole(std::string_view body) override;

 private:
  void take_head(const JsonValue& response);
  void item_added(const JsonValue& v, ChatDelta& d);
  void item_done(const JsonValue& v, ChatDelta& d);
  Result<void> take_end(const JsonValue& response, ChatDelta& d);
  Result<void> fail(const JsonValue& error);
  struct Call {
    size_t index = 0;
    bool custom = false;
    bool said = false;  // its arguments came in pieces
  };
  std::map<int64_t, Call> calls_;  // by the item's place
  std::map<int64_t, bool> spoke_;  // reasoning items that gave text
  bool opens_ = false;
};

}  // namespace samplemind::ai
