#include "ai/dialect/embed.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <map>

#include "ai/dialect/openai.h"
#include "ai/dialect/parts.h"
#include "base/json.h"
#include "net/http.h"

namespace samplemind::ai {

namespace {

constexpr size_t kInputsMax = 4096;
constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

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
      const std::optional<int64_t> before = r.dimensions;
      if (!take(v, r.dimensions))
        return bad_request("'outputDimensionality' must be a whole number");
      if (before && before != r.dimensions)
        return bad_request("'outputDimensionality' must be the same in all requests of a batch");
    } else {
      r.extra.emplace_back(std::move(name), std::move(v));
    }
  }
  return ok();
}

bool is_gemini(EmbedForm form) {
  return form == EmbedForm::kGemini || form == EmbedForm::kGeminiBatch;
}

Result<Vector> read_vector(const JsonValue& v) {
  if (v.is_string()) return floats_of_base64(v.text());
  Vector out;
  out.reserve(v.size());
  for (const JsonValue& each : v.items()) {
    const std::optional<double> number = each.number();
    if (!number) return Error(ErrorCode::kUpstream, "a vector holds something that is no number");
    out.push_back(static_cast<float>(*number));
  }
  if (out.empty())
    return Error(ErrorCode::kUpstream, "the provider's answer holds an empty vector");
  return out;
}

// Shortest digits that read back as the same float32.
void write_vector(JsonWriter& w, const Vector& vector) {
  std::string digits = "[";
  char number[32];
  for (const float each : vector) {
    if (digits.size() > 1) digits += ',';
    const auto end = std::to_chars(number, number + sizeof number, each).ptr;
    digits.append(std::isfinite(each) ? std::string_view(number, end) : std::string_view("null"));
  }
  w.raw(digits + "]");
}

}  // namespace

std::string base64_of_floats(const Vector& vector) {
  const std::string_view bytes(reinterpret_cast<const char*>(vector.data()),
                               vector.size() * sizeof(float));
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t v = static_cast<unsigned char>(bytes[i]) << 16;
    if (i + 1 < bytes.size()) v |= static_cast<unsigned char>(bytes[i + 1]) << 8;
    if (i + 2 < bytes.size()) v |= static_cast<unsigned char>(bytes[i + 2]);
    out += kBase64[v >> 18];
    out += kBase64[(v >> 12) & 63];
    out += i + 1 < bytes.size() ? kBase64[(v >> 6) & 63] : '=';
    out += i + 2 < bytes.size() ? kBase64[v & 63] : '=';
  }
  return out;
}

Result<Vector> floats_of_base64(std::string_view text) {
  const Error bad(ErrorCode::kUpstream, "a vector is not in base64");
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 3);
  uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    const char* const at = std::strchr(kBase64, c);
    if (c == '\0' || at == nullptr) return bad;
    bits = bits << 6 | static_cast<uint32_t>(at - kBase64);
    have += 6;
    if (have < 8) continue;
    have -= 8;
    bytes += static_cast<char>(bits >> have & 0xFF);
  }
  if (bytes.empty() || bytes.size() % sizeof(float) != 0) return bad;
  Vector out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

bool separable(const EmbedRequest& r) {
  if (r.inputs.empty()) return false;
  for (const auto& [name, v] : r.extra) {
    if (name == "input") return false;  // token numbers
  }
  return r.extra.empty() || r.form != EmbedForm::kGeminiBatch;
}

std::string embed_identity(const EmbedRequest& r, std::string_view text) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("embed", text).field("dimensions", r.dimensions);
  // How it is spelt does not matter, which it is does: sorted by name.
  std::map<std::string, const JsonValue*> extra;
  for (const auto& [name, v] : r.extra) extra[name] = &v;
  for (const auto& [name, v] : extra) {
    w.key("extra " + name);
    v->write(w);
  }
  w.end_object();
  return out;
}

EmbedRequest with_inputs(const EmbedRequest& r, std::vector<std::string> inputs) {
  EmbedRequest out = r;
  out.inputs = std::move(inputs);
  out.body.clear();
  JsonWriter w(out.body);
  w.begin_object();
  if (r.form == EmbedForm::kGeminiBatch) {
    w.key("requests").begin_array();
    for (const std::string& text : out.inputs) {
      w.begin_object().key("content").begin_object().key("parts").begin_array();
      w.begin_object().field("text", text).end_object().end_array().end_object();
      if (r.dimensions) w.field("outputDimensionality", *r.dimensions);
      w.end_object();
    }
    w.end_array().end_object();
    return out;
  }
  for (const JsonMember& m : top_level_members(r.body)) {
    if (m.key == "input") continue;
    w.key(m.key).raw(std::string_view(r.body).substr(m.value_begin, m.value_end - m.value_begin));
  }
  w.field("input", out.inputs).end_object();
  return out;
}

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
  const auto take = [&a](const JsonValue& vector) -> Result<void> {
    SM_TRY(Vector read, read_vector(vector));
    a.vectors.push_back(std::move(read));
    return ok();
  };
  if (target == Dialect::kOpenAi) {
    for (const JsonValue& each : v["data"].items()) SM_CHECK_OK(take(each["embedding"]));
    a.tokens = v["usage"]["prompt_tokens"].integer();
  } else if (target == Dialect::kGemini) {
    for (const JsonValue& each : v["embeddings"].items()) SM_CHECK_OK(take(each["values"]));
    if (v["embedding"].is_object()) SM_CHECK_OK(take(v["embedding"]["values"]));
  } else {
    for (const JsonValue& each : v["embeddings"].items()) SM_CHECK_OK(take(each));
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
