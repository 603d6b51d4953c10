// A sample, and how what was heard, named and said becomes what is believed of it; which store
// keeps them.
#include <algorithm>

#include "library/store/catalogue_internal.h"
#include "library/store/mongo_internal.h"

namespace samplemind::library {

std::string Sample::name() const {
  return file.path.substr(file.path.rfind('/') + 1);
}
std::string Sample::folder() const {
  const size_t slash = file.path.rfind('/');
  return slash == std::string::npos || slash == 0 ? "/" : file.path.substr(0, slash);
}

audio::Analysis heard(const Sample& sample) {
  audio::Analysis a = sample.analysis;
  std::vector<Fact> ear;
  for (const Fact& f : sample.facts) {
    if (f.source == FactSource::kEar) ear.push_back(f);
  }
  settle(ear, a);
  return a;
}

namespace {

std::string source_of(const std::vector<Fact>& facts, std::string_view what) {
  const auto fact = believed(facts, what);
  return fact ? std::string(source_name(fact->source)) : "";
}

// The facts of all sources about a sound that was heard so.
std::vector<Fact> all_facts(const audio::Analysis& as_heard, const std::string& path,
                            const Marks& marks) {
  std::vector<Fact> facts = facts_from_marks(marks);
  for (auto more : {facts_from_path(path), facts_from_ear(as_heard)})
    facts.insert(facts.end(), more.begin(), more.end());
  return facts;
}

}  // namespace

void settle_sample(Sample& s) {
  s.facts = all_facts(s.analysis, s.file.path, s.marks);
  settle(s.facts, s.analysis);
  s.tempo_source = source_of(s.facts, "tempo");
  s.key_source = source_of(s.facts, "key");
  s.kind_source = source_of(s.facts, "kind");
}

void drop_lists(Sample& s) {
  s.analysis.beats_s.clear();
  s.analysis.downbeats_s.clear();
  s.analysis.onsets_s.clear();
  s.facts.clear();
}

// ---- what a change must be ----

namespace {

constexpr size_t kNameMax = 200;
constexpr int64_t kCollectionsMax = 10000;

}  // namespace

Error no_sample(int64_t id) {
  return Error(ErrorCode::kNotFound, "there is no sample " + std::to_string(id));
}

std::string marks_json(const Marks& marks) {
  std::string json;
  JsonWriter w(json);
  write_json(w, marks);
  return json;
}

Result<Marks> edited(const Sample& sample, const MarksChange& change) {
  Marks after = sample.marks;
  apply(change, sample.analysis.tempo_bpm, after);
  if (after.tempo_bpm && (*after.tempo_bpm < 20 || *after.tempo_bpm > 400))
    return Error(ErrorCode::kInvalidArgument,
                 sample.file.path + ": the tempo would be " +
                     std::to_string(static_cast<int>(*after.tempo_bpm)) +
                     ", and must be 20 to 400");
  return after;
}

Result<void> check_collection(const Collection& c, const std::optional<Collection>& now,
                              int64_t count) {
  const bool plain = std::none_of(c.name.begin(), c.name.end(), [](char ch) {
    return static_cast<unsigned char>(ch) < 0x20 || ch == '"';
  });
  if (c.name.empty() || c.name.size() > kNameMax || !plain)
    return Error(ErrorCode::kInvalidArgument,
                 "a collection's name is 1 to 200 bytes without quotes and control characters");
  if (!c.query.empty()) {
    SM_TRY(const ParsedQuery parsed, parse_query(c.query));
    (void)parsed;
  }
  if (now && now->samples > 0 && !c.query.empty())
    return Error(ErrorCode::kInvalidArgument,
                 "'" + now->name + "' holds sounds put in by hand and cannot become a query",
                 "give the query another name");
  if (!now && count >= kCollectionsMax)
    return Error(ErrorCode::kResourceExhausted, "there are 10,000 collections already");
  return ok();
}

// ---- which store ----

Result<std::unique_ptr<Catalogue>> Catalogue::open(const fs::path& home, Access access,
                                                   const std::string& store) {
  if (store.starts_with("mongodb://") || store.starts_with("mongodb+srv://")) {
    auto catalogue = std::make_unique<MongoCatalogue>();
    SM_CHECK_OK(catalogue->open(store, access));
    return std::unique_ptr<Catalogue>(std::move(catalogue));
  }
  if (!store.empty())
    return Error(ErrorCode::kInvalidArgument,
                 "library.store is no address of a MongoDB: it begins with mongodb:// or "
                 "mongodb+srv://",
                 "--store mongodb://localhost:27017/samplemind; nothing for a file in the data "
                 "folder");
  auto catalogue = std::make_unique<SqliteCatalogue>();
  SM_CHECK_OK(catalogue->open(home, access));
  return std::unique_ptr<Catalogue>(std::move(catalogue));
}

}  // namespace samplemind::library
