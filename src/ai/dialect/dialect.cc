#include "ai/dialect/dialect.h"

#include "ai/dialect/anthropic.h"
#include "ai/dialect/completions.h"
#include "ai/dialect/gemini.h"
#include "ai/dialect/ollama.h"
#include "ai/dialect/openai.h"
#include "ai/dialect/parts.h"
#include "ai/dialect/responses.h"
#include "ai/dialect/responses_retold.h"

namespace samplemind::ai {

Result<ChatRequest> read_request(Dialect dialect, std::string_view body, std::string_view model,
                                 bool stream) {
  switch (dialect) {
    case Dialect::kAnthropic:
      return read_anthropic_request(body);
    case Dialect::kGemini:
      return read_gemini_request(body, model, stream);
    case Dialect::kOllama:
    case Dialect::kOllamaGenerate:
      return read_ollama_request(body, dialect == Dialect::kOllamaGenerate);
    case Dialect::kResponses:
      return read_responses_request(body);
    case Dialect::kCompletions:
      return read_completions_request(body);
    case Dialect::kOpenAi:
      break;
  }
  return read_openai_request(body);
}

std::string write_answer(const Form& form, const ChatAnswer& answer) {
  switch (form.dialect) {
    case Dialect::kAnthropic:
      return write_anthropic_answer(answer);
    case Dialect::kGemini:
      return write_gemini_answer(answer);
    case Dialect::kOllama:
    case Dialect::kOllamaGenerate:
      return write_ollama_answer(form, answer);
    case Dialect::kResponses:
      return write_responses_answer(form, answer);
    case Dialect::kCompletions:
      return write_completions_answer(form, answer);
    case Dialect::kOpenAi:
      break;
  }
  return write_openai_answer(answer);
}

std::string write_stream(const Form& form, const ChatAnswer& answer) {
  std::string out;
  const auto writer = make_stream_writer(form);
  for (const ChatDelta& d : pieces_of(answer)) writer->delta(out, answer, d);
  writer->end(out, answer);
  return out;
}

std::string write_error(Dialect dialect, const AnswerError& e) {
  switch (dialect) {
    case Dialect::kAnthropic:
      return write_anthropic_error(e);
    case Dialect::kGemini:
      return write_gemini_error(e);
    case Dialect::kOllama:
    case Dialect::kOllamaGenerate:
      return write_ollama_error(e);
    case Dialect::kOpenAi:
    case Dialect::kResponses:
    case Dialect::kCompletions:
      break;
  }
  return write_openai_error(e.message, e.type, e.code);
}

std::string_view content_type(const Form& form) {
  if (!form.stream || form.list) return "application/json";
  if (form.dialect == Dialect::kOllama || form.dialect == Dialect::kOllamaGenerate)
    return "application/x-ndjson";
  return "text/event-stream";
}

std::unique_ptr<StreamWriter> make_stream_writer(const Form& form) {
  switch (form.dialect) {
    case Dialect::kAnthropic:
      return std::make_unique<AnthropicStreamWriter>();
    case Dialect::kGemini:
      return std::make_unique<GeminiStreamWriter>(form.list);
    case Dialect::kOllama:
    case Dialect::kOllamaGenerate:
      return std::make_unique<OllamaStreamWriter>(form);
    case Dialect::kResponses:
      return std::make_unique<ResponsesStreamWriter>(form);
    case Dialect::kCompletions:
      return std::make_unique<CompletionsStreamWriter>(form);
    case Dialect::kOpenAi:
      break;
  }
  return std::make_unique<OpenAiStreamWriter>(form.include_usage);
}

Result<std::string> write_request(const Target& to, const ChatRequest& r) {
  if (r.dialect == to.dialect) {
    switch (to.dialect) {
      case Dialect::kGemini:
        return r.body;  // the path names the model
      case Dialect::kOpenAi:
        return rewrite_openai_request(r.body, to.model, to.stream);
      case Dialect::kCompletions:
        return rewrite_completions_request(r, to.model, to.stream);
      case Dialect::kResponses:
        return rewrite_responses_request(r.body, to.model);
      default:
        return rewrite_openai_request(r.body, to.model, false);
    }
  }
  // Answers are translated one choice at a time.
  for (const auto& [name, value] : r.extra) {
    if (r.dialect == Dialect::kCompletions && name == "prompt")
      return cannot_express(
          to.dialect, r.choices == 1 ? "a 'prompt' of tokens" : "several texts in one 'prompt'");
  }
  if (r.choices != 1)
    return cannot_express(to.dialect, r.dialect == Dialect::kGemini ? "several 'candidateCount'"
                                                                    : "several choices, 'n'");
  switch (to.dialect) {
    case Dialect::kAnthropic:
      return write_anthropic_request(r, to.model, to.stream);
    case Dialect::kGemini:
      return write_gemini_request(r, to.model);
    case Dialect::kOllama:
    case Dialect::kOllamaGenerate:
      return write_ollama_request(r, to.model, to.stream);
    case Dialect::kResponses:
      return write_responses_request(r, to.model, to.stream);
    case Dialect::kCompletions:
      return Error(ErrorCode::kInvalidArgument,
                   "only requests of their own clients are written as completions");
    default:
      return write_openai_request(r, to.model, to.stream, to.official);
  }
}

std::unique_ptr<AnswerReader> make_answer_reader(Dialect dialect) {
  switch (dialect) {
    case Dialect::kAnthropic:
      return std::make_unique<AnthropicReader>();
    case Dialect::kGemini:
      return std::make_unique<GeminiReader>();
    case Dialect::kOllama:
    case Dialect::kOllamaGenerate:
      return std::make_unique<OllamaReader>();
    case Dialect::kResponses:
      return std::make_unique<ResponsesReader>();
    case Dialect::kCompletions:
      return std::make_unique<CompletionsReader>();
    default:
      return std::make_unique<OpenAiReader>();
  }
}

}  // namespace samplemind::ai
