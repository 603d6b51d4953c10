// Embeddings in all dialects that have them: OpenAI's /embeddings, Gemini's embedContent and
// batchEmbedContents, Ollama's /api/embed and /api/embeddings. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ai/dialect/dialect.h"
#include "ai/request.h"
#include "base/result.h"

namespace samplemind::ai {

enum class EmbedForm : uint8_t {
  kOpenAi,       // POST /v1/embeddings
  kGemini,       // :embedContent, one text
  kGeminiBatch,  // :batchEmbedContents
  kOllama,       // /api/embed
  kOllamaOld,    // /api/embeddings, one text
};
Dialect dialect_of(EmbedForm form);

struct EmbedRequest {
  EmbedForm form = EmbedForm::kOpenAi;
  std::string body;  // as it came
  std::string model;
  std::vector<std::string> inputs;
  std::optional<int64_t> dimensions;
  bool base64 = false;  // OpenAI's encoding_format
  ExtraValues extra;    // what only the dialect it came in can say
};

struct EmbedAnswer {
  std::string model;
  std::vector<std::vector<double>> vectors;
  std::optional<int64_t> tokens;
};

// `model`: of the path, for Gemini.
Result<EmbedRequest> read_embed_request(EmbedForm form, std::string_view body,
                                        std::string_view model = {});
// Where and what a provider is asked: the path below its address, and the body. The same dialect's
// bytes pass with the model changed. kInvalidArgument names what cannot be said there.
struct EmbedCall {
  std::string path, body;
};
Result<EmbedCall> write_embed_request(Dialect target, const EmbedRequest& request,
                                      std::string_view model);
Result<EmbedAnswer> read_embed_answer(Dialect target, std::string_view body);
std::string write_embed_answer(const EmbedRequest& request, const EmbedAnswer& answer);

}  // namespace samplemind::ai
