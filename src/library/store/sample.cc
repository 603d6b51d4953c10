// A sample, and how what was heard, named and said becomes what is believed of it; which store
// keeps them.
#include "library/store/catalogue_internal.h"

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

Result<std::unique_ptr<Catalogue>> Catalogue::open(const fs::path& home, Access access) {
  auto catalogue = std::make_unique<SqliteCatalogue>();
  SM_CHECK_OK(catalogue->open(home, access));
  return std::unique_ptr<Catalogue>(std::move(catalogue));
}

}  // namespace samplemind::library
