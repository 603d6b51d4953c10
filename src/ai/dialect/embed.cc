#include "ai/dialect/embed.h"

#include <cstring>

#include "ai/dialect/openai.h"
#include "ai/dialect/parts.h"
#include "base/json.h"
#include "net/http.h"

namespace samplemind::ai {

namespace {

constexpr size_t kInputsMax = 4096;

std::string base64_of_floats(const std::vector<double>& vector) {
  static constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes(vector.size() * sizeof(float), '\0');
  for (size_t i = 0; i < vector.size(); ++i) {
    const auto f = static_cast<float>(vector[i]);
    std::memcpy(bytes.data() + i * sizeof f, &f, sizeof f);
  }
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t v = static_cast<unsigned char>(bytes[i]) << 16;
    if (i + 1 < bytes.size()) v |= static_cast<unsigned char>(bytes[i + 1]) << 8;
    if (i + 2 < bytes.size()) v |= static_cast<unsigned char>(bytes[i + 2]);
    out += kAlphabet[v >> 18];
    out += kAlphabet[(v >> 12) & 63];
    out += i + 1 < bytes.size() ? kAlphabet[(v >> 6) & 63] : '=';
    out += i + 2 < bytes.size() ? kAlphabet[v & 63] : '=';
  }
  return out;
}

Result<std::string> text_of_content(const JsonValue& content) {
  if (content.is_string()) return std::string(content.text());
  std::string text;
  for (const JsonValue& part : content["parts"].items()) {
    if (!part["text"].is_string()) return cannot_express(Dialect::kGemini, "an embedding of media");
    if (!text.empty()) text += '\n';
    text += part["text"].text();
  }
  return text;
}

// One of Gemini's requests; `of` says which in a batch.
Result<void> read_gemini(JsonValue::Object members, EmbedRequest& r) {
  for (auto& [name, v] : members) {
    if (v.is_null() || name == "model") continue;
    if (name == "content") {
      SM_TRY(std::string text, text_of_content(v));
      r.inputs.push_back(std::move(text));
    } else if (name == "outputDimensionality" || name == "output_dimensionality") {
      if (!take(v, r.dimensions))
        return bad_request("'outputDimensionality' must be a whole number");
    } else if (name == "taskType" || name == "task_type" || name == "title") {
      // A hint that only Gemini's models know; the vectors of others have one kind.
      r.extra.emplace_back(std::move(name), std::move(v));
    } else {
      r.extra.emplace_back(std::move(name), std::move(v));
    }
  }
  return ok();
}

bool is_gemini(EmbedForm form) {
  return form == EmbedForm::kGemini || form == EmbedForm::kGeminiBatch;
}

std::vector<double> numbers(const JsonValue& list) {
  std::vector<double> out;
  out.reserve(list.size());
  for (const JsonValue& each : list.items()) out.push_back(each.number_or(0));
  return out;
}

void write_vector(JsonWriter& w, const std::vector<double>& vector) {
  w.begin_array();
  for (const double each : vector) w.value(each);
  w.end_array();
}

}  // namespace

Dialect dialect_of(EmbedForm form) {
  if (is_gemini(form)) return Dialect::kGemini;
  return form == EmbedForm::kOpenAi ? Dialect::kOpenAi : Dialect::kOllama;
}

Result<EmbedRequest> read_embed_request(EmbedForm form, std::string_view body,
                                        std::string_view model) {
  SM_TRY(JsonValue::Object members, read_body(body));
  EmbedRequest r;
  r.form = form;
  r.body = body;
  if (is_gemini(form)) {
    r.model = model.starts_with("models/") ? model.substr(7) : model;
    if (form == EmbedForm::kGemini) {
      SM_CHECK_OK(read_gemini(std::move(members), r));
    } else {
      for (auto& [name, v] : members) {
        if (name != "requests") continue;
        for (JsonValue& each : v.take_items()) SM_CHECK_OK(read_gemini(each.take_members(), r));
      }
    }
  } else {
    for (auto& [name, v] : members) {
      if (v.is_null()) continue;
      if (name == "model") {
        (void)take(v, r.model);
      } else if (name == (form == EmbedForm::kOllamaOld ? "prompt" : "input")) {
        // Lists of token numbers are only OpenAI's.
        if (!take(v, r.inputs)) r.extra.emplace_back(std::move(name), std::move(v));
      } else if (name == "dimensions") {
        if (!take(v, r.dimensions)) return bad_request("'dimensions' must be a whole number");
      } else if (name == "encoding_format" && form == EmbedForm::kOpenAi) {
        r.base64 = v.text() == "base64";
      } else if (name != "keep_alive" && !is_aside(name) &&
                 !(name == "truncate" && v.bool_or(false))) {
        r.extra.emplace_back(std::move(name), std::move(v));
      }
    }
  }
  if (r.model.empty()) return bad_request("'model' is missing: name a model");
  if (r.inputs.empty() && r.extra.empty()) return bad_request("there is no text to embed");
  if (r.inputs.size() > kInputsMax)
    return bad_request("more than " + std::to_string(kInputsMax) + " texts in one request");
  return r;
}

Result<EmbedCall> write_embed_request(Dialect target, const EmbedRequest& r,
                                      std::string_view model) {
  EmbedCall call;
  const bool same = dialect_of(r.form) == target;
  JsonWriter w(call.body);
  if (target == Dialect::kGemini) {
    call.path = "/models/" + net::percent_encode(model) +
                (r.form == EmbedForm::kGemini ? ":embedContent" : ":batchEmbedContents");
    if (same) {
      // The model stands in the body, too, once or in each of a batch.
      if (r.form == EmbedForm::kGemini) {
        call.body = rewrite_openai_request(r.body, "models/" + std::string(model), false);
        return call;
      }
      SM_TRY(JsonValue all, JsonValue::parse(r.body));
      w.begin_object().key("requests").begin_array();
      for (const JsonValue& each : all["requests"].items()) {
        w.begin_object().field("model", "models/" + std::string(model));
        for (const auto& [name, v] : each.members()) {
          if (name == "model") continue;
          w.key(name);
          v.write(w);
        }
        w.end_object();
      }
      w.end_array().end_object();
      return call;
    }
    SM_CHECK_OK(refuse_extra(target, r.extra, "the parameter"));
    w.begin_object().key("requests").begin_array();
    for (const std::string& text : r.inputs) {
      w.begin_object().field("model", "models/" + std::string(model)).key("content");
      w.begin_object().key("parts").begin_array().begin_object().field("text", text);
      w.end_object().end_array().end_object();
      if (r.dimensions) w.field("outputDimensionality", *r.dimensions);
      w.end_object();
    }
    w.end_array().end_object();
    call.path = "/models/" + net::percent_encode(model) + ":batchEmbedContents";
    return call;
  }
  if (target == Dialect::kAnthropic) return cannot_express(target, "embeddings");
  call.path = target == Dialect::kOpenAi ? "/embeddings" : "/api/embed";
  if (same && r.form != EmbedForm::kOllamaOld) {
    call.body = rewrite_openai_request(r.body, model, false);
    return call;
  }
  SM_CHECK_OK(refuse_extra(target, r.extra, "the parameter",
                           {"taskType", "task_type", "title", "truncate"}));
  w.begin_object().field("model", model).field("input", r.inputs);
  if (r.dimensions) w.field("dimensions", *r.dimensions);
  if (target == Dialect::kOpenAi) w.field("encoding_format", "float");
  w.end_object();
  return call;
}

Result<EmbedAnswer> read_embed_answer(Dialect target, std::string_view body) {
  SM_TRY(const JsonValue v, JsonValue::parse(body));
  EmbedAnswer a;
  a.model = std::string(v["model"].text());
  if (target == Dialect::kOpenAi) {
    for (const JsonValue& each : v["data"].items()) a.vectors.push_back(numbers(each["embedding"]));
    a.tokens = v["usage"]["prompt_tokens"].integer();
  } else if (target == Dialect::kGemini) {
    for (const JsonValue& each : v["embeddings"].items())
      a.vectors.push_back(numbers(each["values"]));
    if (v["embedding"].is_object()) a.vectors.push_back(numbers(v["embedding"]["values"]));
  } else {
    for (const JsonValue& each : v["embeddings"].items()) a.vectors.push_back(numbers(each));
    a.tokens = v["prompt_eval_count"].integer();
  }
  if (a.vectors.empty())
    return Error(ErrorCode::kUpstream, "the provider's answer holds no embeddings");
  return a;
}

std::string write_embed_answer(const EmbedRequest& r, const EmbedAnswer& a) {
  std::string out;
  JsonWriter w(out);
  w.begin_object();
  switch (r.form) {
    case EmbedForm::kOpenAi:
      w.field("object", "list").key("data").begin_array();
      for (size_t i = 0; i < a.vectors.size(); ++i) {
        w.begin_object().field("object", "embedding").field("index", i).key("embedding");
        if (r.base64) {
          w.value(base64_of_floats(a.vectors[i]));
        } else {
          write_vector(w, a.vectors[i]);
        }
        w.end_object();
      }
      w.end_array().field("model", a.model.empty() ? r.model : a.model);
      w.key("usage").begin_object().field("prompt_tokens", a.tokens.value_or(0));
      w.field("total_tokens", a.tokens.value_or(0)).end_object();
      break;
    case EmbedForm::kGemini:
      w.key("embedding").begin_object().key("values");
      write_vector(w, a.vectors.front());
      w.end_object();
      break;
    case EmbedForm::kGeminiBatch:
      w.key("embeddings").begin_array();
      for (const auto& each : a.vectors) {
        w.begin_object().key("values");
        write_vector(w, each);
        w.end_object();
      }
      w.end_array();
      break;
    case EmbedForm::kOllama:
      w.field("model", r.model).key("embeddings").begin_array();
      for (const auto& each : a.vectors) write_vector(w, each);
      w.end_array();
      if (a.tokens) w.field("prompt_eval_count", *a.tokens);
      break;
    case EmbedForm::kOllamaOld:
      w.key("embedding");
      write_vector(w, a.vectors.front());
      break;
  }
  w.end_object();
  return out;
}

}  // namespace samplemind::ai
