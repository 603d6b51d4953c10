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
  ExtraValues extra;    // what only the dialect it came in can say; of a batch, of each
};

// One float32 a dimension: what every provider computes with.
using Vector = std::vector<float>;

struct EmbedAnswer {
  std::string model;
  std::vector<Vector> vectors;
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
// kUpstream when it holds no vectors or one that cannot be read.
Result<EmbedAnswer> read_embed_answer(Dialect target, std::string_view body);
std::string write_embed_answer(const EmbedRequest& request, const EmbedAnswer& answer);

// -- text by text, for the cache
// Whether each text's vector depends on nothing but that text and what embed_identity() spells.
bool separable(const EmbedRequest& request);
// All that decides on the vector of `text` beside the model, in one spelling.
std::string embed_identity(const EmbedRequest& request, std::string_view text);
// The same request for these texts only. REQUIRES: separable, and a form that takes several.
EmbedRequest with_inputs(const EmbedRequest& request, std::vector<std::string> inputs);
// Little-endian float32 in base64, as OpenAI's encoding_format has it.
std::string base64_of_floats(const Vector& vector);
Result<Vector> floats_of_base64(std::string_view text);

}  // namespace samplemind::ai
