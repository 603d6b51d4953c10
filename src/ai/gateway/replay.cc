#include "ai/gateway/replay.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace samplemind::ai {

namespace {

constexpr size_t kWordMax = 24;  // bytes
constexpr double kBytesAToken = 4;
constexpr size_t kWriteMax = 64u << 10;
constexpr std::chrono::milliseconds kShortestPause{1};

// Where the word that begins at `from` ends, the spaces after it included. Never within a
// character.
size_t word_end(std::string_view text, size_t from) {
  size_t at = from;
  const size_t most = std::min(text.size(), from + kWordMax);
  while (at < most && text[at] != ' ' && text[at] != '\n') ++at;
  while (at < most && (text[at] == ' ' || text[at] == '\n')) ++at;
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  return at;
}

}  // namespace

std::optional<ChatDelta> SmallPieces::next() {
  const bool first = !std::exchange(begun_, true);
  const bool reasoning = whole_.text.empty();
  const std::string& all = reasoning ? whole_.reasoning : whole_.text;
  const bool divisible =
      !all.empty() && whole_.logprobs.empty() && (whole_.text.empty() || whole_.reasoning.empty());
  if (!divisible) return first ? std::optional(std::move(whole_)) : std::nullopt;
  if (at_ >= all.size()) return std::nullopt;
  const size_t end = word_end(all, at_);
  std::string word = all.substr(at_, end - at_);
  ChatDelta d;
  if (first) {
    // All but the text itself.
    d = whole_;
    d.signature.clear();
    d.text.clear();
    d.reasoning.clear();
  } else {
    d.reasoning_field = whole_.reasoning_field;
  }
  (reasoning ? d.reasoning : d.text) = std::move(word);
  at_ = end;
  if (at_ >= all.size()) d.signature = whole_.signature;
  return d;
}

net::Task<void> replay_paced(const CacheRecord& record, Form form, net::Headers headers,
                             int64_t tokens_a_second, net::CancelToken cancel, ResponseSink& sink) {
  using std::chrono::steady_clock;
  if (!(co_await sink.start(200, std::move(headers))).ok()) co_return;
  const ChatAnswer& answer = record.answer;
  const auto size = static_cast<double>(answer.text.size() + answer.reasoning.size());
  const double bytes_a_second =
      std::max(kBytesAToken * static_cast<double>(tokens_a_second), size * 1000 / kReplayMaxMs);
  const std::unique_ptr<StreamWriter> writer = make_stream_writer(form);
  const auto begin = steady_clock::now();
  double typed = 0;
  std::string events;
  for (ChatDelta& piece : pieces_of(answer)) {
    SmallPieces words(std::move(piece));
    while (const std::optional<ChatDelta> word = words.next()) {
      typed += static_cast<double>(word->text.size() + word->reasoning.size());
      const auto due = begin + std::chrono::duration_cast<steady_clock::duration>(
                                   std::chrono::duration<double>(typed / bytes_a_second));
      const auto pause = due - steady_clock::now();
      if (pause >= kShortestPause || events.size() >= kWriteMax) {
        if (!events.empty() && !(co_await sink.write(events)).ok()) co_return;
        events.clear();
        if (pause > pause.zero() && !co_await net::Loop::current()->sleep_for(pause, cancel))
          co_return;
      }
      writer->delta(events, answer, *word);
    }
  }
  writer->end(events, answer);
  if (!(co_await sink.write(events)).ok()) co_return;
  (void)(co_await sink.finish()).ok();
}

}  // namespace samplemind::ai
