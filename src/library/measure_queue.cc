#include "library/measure_queue.h"

#include "audio/analysis_json.h"
#include "base/hex.h"
#include "base/json.h"

namespace samplemind::library {

Result<Measured> measure_file(const audio::Analyzer& analyzer, const std::string& path,
                              std::string digest_hex, const std::atomic<bool>* cancel) {
  Measured m;
  m.digest_hex = std::move(digest_hex);
  audio::AnalysisOptions options;
  options.cancel = cancel;
  if (!m.digest_hex.empty()) options.file_blake3 = m.digest_hex;
  auto analysis = analyzer.analyze(path, options);
  if (analysis.ok()) {
    m.state = Measured::State::kHeard;
    m.analysis = std::move(analysis).value();
    return m;
  }
  const Error& error = analysis.error();
  const ErrorCode code = error.code();
  if (code == ErrorCode::kCancelled) return error;
  m.error = error.message();
  // The path stands beside it wherever it is shown.
  if (m.error.starts_with(path + ": ")) m.error.erase(0, path.size() + 2);
  const bool healing =
      code == ErrorCode::kPermissionDenied || code == ErrorCode::kUnavailable ||
      code == ErrorCode::kResourceExhausted || code == ErrorCode::kInternal ||
      (code == ErrorCode::kUnsupported && m.error.find("samplemind-decode") != m.error.npos);
  m.state = code == ErrorCode::kNotFound ? Measured::State::kGone
            : healing                    ? Measured::State::kHealing
                                         : Measured::State::kBroken;
  return m;
}

std::string facts_text(const audio::Analysis& analysis) {
  std::string out;
  JsonWriter w(out);
  w.begin_object();
  audio::write_json_fields(w, analysis);
  w.field("descriptor", to_hex(analysis.descriptor)).end_object();
  return out;
}

Result<audio::Analysis> facts_from_text(std::string_view text) {
  const auto value = JsonValue::parse(text);
  if (!value.ok() || !value->is_object())
    return Error(ErrorCode::kDataLoss, "these are no facts about a sound");
  auto descriptor = from_hex((*value)["descriptor"].text());
  if (!descriptor || (*value)["format"].text().empty())
    return Error(ErrorCode::kDataLoss, "these facts about a sound are damaged");
  audio::Analysis analysis = audio::analysis_from_json(*value);
  analysis.descriptor = std::move(*descriptor);
  return analysis;
}

}  // namespace samplemind::library
