// A kept answer streamed at a model's pace: for clients whose page lives from text that appears bit
// by bit. The pieces are words, valid events of the client's dialect; joined they are the answer.
#pragma once

#include <cstdint>
#include <optional>

#include "ai/cache/record.h"
#include "ai/chat.h"
#include "ai/dialect/dialect.h"
#include "ai/gateway.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/task.h"

namespace samplemind::ai {

// The longest time for one answer, however long it is: a longer one is typed faster.
inline constexpr int64_t kReplayMaxMs = 60'000;

// One piece of an answer in small ones: text and reasoning word by word, what belongs to the whole
// piece with the first, its signature with the last. Pieces with log probabilities stay whole:
// which of them belong to which word is not known.
class SmallPieces {
 public:
  explicit SmallPieces(ChatDelta whole) : whole_(std::move(whole)) {}
  std::optional<ChatDelta> next();  // nothing when all were given

 private:
  ChatDelta whole_;
  size_t at_ = 0;
  bool begun_ = false;
};

// `record` must outlive the task. A client that goes away (`cancel`) ends it.
net::Task<void> replay_paced(const CacheRecord& record, Form form, net::Headers headers,
                             int64_t tokens_a_second, net::CancelToken cancel, ResponseSink& sink);

}  // namespace samplemind::ai
