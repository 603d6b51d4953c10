// Opening, and the samples themselves.
#include <algorithm>
#include <map>
#include <span>

#include "audio/analysis_json.h"
#include "library/store/mongo_internal.h"

namespace samplemind::library {

namespace {

constexpr int64_t kSchema = 1;
constexpr const char* kSamples = "samples";

std::string bytes_of_digest(const std::string& hex) {
  const auto digest = Digest::from_hex(hex);
  return digest.ok() ? std::string(reinterpret_cast<const char*>(digest->bytes.data()),
                                   digest->bytes.size())
                     : std::string();
}

Marks marks_of(const DocView& d) {
  const auto marks = JsonValue::parse(d.text("marks"));
  return marks.ok() ? marks_from_json(*marks) : Marks();
}

// With all that is believed, lists of times and facts.
Sample read_sample(const DocView& d) {
  Sample s;
  s.id = d.integer("_id");
  s.file = {d.blob("path"), d.integer("size"), d.integer("mtime_ns")};
  if (const std::string digest = d.blob("digest"); digest.size() == 32) {
    Digest bytes;
    std::copy(digest.begin(), digest.end(), bytes.bytes.begin());
    s.digest_hex = bytes.hex();
  }
  s.error = d.blob("error");
  s.missing = d.flag("missing");
  s.added_ms = d.integer("added_ms");
  s.analysis_version = static_cast<int>(d.integer("analysis_version"));
  s.marks = marks_of(d);
  if (!s.error.empty()) return s;
  if (const auto heard = JsonValue::parse(d.text("heard")); heard.ok())
    s.analysis = audio::analysis_from_json(*heard);
  s.analysis.descriptor = d.blob("descriptor");
  settle_sample(s);
  return s;
}

// `s` as it was heard.
Doc sample_doc(const Sample& s) {
  const bool broken = !s.error.empty();
  Doc d;
  d.integer("_id", s.id).blob("path", s.file.path);
  d.integer("size", s.file.size).integer("mtime_ns", s.file.mtime_ns);
  d.blob("digest", bytes_of_digest(s.digest_hex)).blob("error", s.error);
  d.flag("missing", s.missing).flag("broken", broken).integer("added_ms", s.added_ms);
  d.integer("analysis_version", s.analysis_version).text("marks", marks_json(s.marks));
  if (broken) return d;
  std::string heard;
  JsonWriter w(heard);
  w.begin_object();
  audio::write_json_fields(w, s.analysis);
  w.end_object();
  d.text("heard", heard).real("duration_s", s.analysis.duration_s);
  if (const auto value = JsonValue::parse(heard); value.ok())
    d.text("audio", (*value)["audio_blake3"].string_or(""));
  if (!s.analysis.descriptor.empty()) d.blob("descriptor", s.analysis.descriptor);
  return d;
}

Doc only(std::initializer_list<const char*> fields) {
  Doc d;
  for (const char* f : fields) d.integer(f, 1);
  return d;
}

const Doc& by_id() {
  static const Doc order = only({"_id"});
  return order;
}

Doc one_of(const std::vector<int64_t>& ids) {
  return Doc().doc("_id", Doc().integers("$in", ids));
}

}  // namespace

// ---- opening ----

MongoCatalogue::~MongoCatalogue() {
  finish_index();
}

Result<void> MongoCatalogue::open(const std::string& address, Access access) {
  SM_TRY(link_, MongoLink::open(address));
  SM_CHECK_OK(check_schema(false));
  if (access == Access::kRead) return ok();
  SM_TRY(lease_, WriterLease::take(*link_));
  SM_CHECK_OK(check_schema(true));
  SM_CHECK_OK(make_indices());
  // A writer that died may not have told of its last write.
  SM_CHECK_OK(finish_pending());
  SM_TRY(const int64_t writes, link_->add("meta", "writes", "n", 1));
  (void)writes;
  start_index();
  return ok();
}

Result<void> MongoCatalogue::check_schema(bool make) {
  int64_t schema = 0;
  SM_CHECK_OK(
      link_->find("meta", Doc().text("_id", "schema"), [&schema](const DocView& d) -> Result<void> {
        schema = d.integer("n");
        return ok();
      }));
  if (schema > kSchema)
    return Error(ErrorCode::kUnsupported,
                 "the library in MongoDB " + link_->name() + " has schema " +
                     std::to_string(schema) + ", this program knows up to " +
                     std::to_string(kSchema),
                 "it was made by a newer samplemind: update this one");
  if (!make || schema == kSchema) return ok();
  return link_->put("meta", Doc().text("_id", "schema"),
                    Doc().text("_id", "schema").integer("n", kSchema));
}

Result<void> MongoCatalogue::make_indices() {
  const auto index = [](const char* field, bool unique) {
    Doc d;
    d.doc("key", only({field})).text("name", field);
    if (unique) d.flag("unique", true);
    return d;
  };
  SM_CHECK_OK(link_->command(Doc()
                                 .text("createIndexes", kSamples)
                                 .docs("indexes", {index("path", true), index("digest", false)})));
  return link_->command(
      Doc().text("createIndexes", "journal_rows").docs("indexes", {index("journal", false)}));
}

Result<void> MongoCatalogue::end_write(Result<void> written, Changes& changes) {
  if (written.ok()) {
    changes.apply(*this);
  } else {
    doubt_index();
  }
  const auto told = link_->add("meta", "writes", "n", 1);
  if (!written.ok()) return written;
  if (!told.ok()) return told.error();
  return ok();
}

// ---- samples ----

Result<std::unordered_map<std::string, Catalogue::Known>> MongoCatalogue::known() {
  std::unordered_map<std::string, Known> all;
  const Doc fields = only({"path", "size", "mtime_ns", "analysis_version", "missing", "broken"});
  SM_CHECK_OK(link_->find(
      kSamples, Doc(),
      [&all](const DocView& d) -> Result<void> {
        all.emplace(d.blob("path"),
                    Known{d.integer("_id"), d.integer("size"), d.integer("mtime_ns"),
                          static_cast<int>(d.integer("analysis_version")), d.flag("missing"),
                          d.flag("broken")});
        return ok();
      },
      nullptr, &fields));
  return all;
}

Result<void> MongoCatalogue::put(const std::vector<Sample>& batch) {
  if (batch.empty()) return ok();
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  // Of two with the same path the later one is meant.
  std::map<std::string, Sample> wanted;
  std::vector<std::string> paths;
  for (const Sample& s : batch) {
    Sample& mine = wanted[s.file.path];
    if (mine.file.path.empty()) paths.push_back(s.file.path);
    mine = s;
    mine.id = 0;
    mine.missing = false;
    mine.marks = {};
  }
  const Doc fields = only({"path", "added_ms", "marks"});
  SM_CHECK_OK(in_parts(paths, [&](const std::vector<std::string>& part) {
    return link_->find(
        kSamples, Doc().doc("path", Doc().blobs("$in", part)),
        [&wanted](const DocView& d) -> Result<void> {
          Sample& s = wanted[d.blob("path")];
          s.id = d.integer("_id");
          s.added_ms = d.integer("added_ms");
          s.marks = marks_of(d);
          return ok();
        },
        nullptr, &fields);
  }));
  const auto fresh = std::count_if(wanted.begin(), wanted.end(),
                                   [](const auto& one) { return one.second.id == 0; });
  int64_t next = 0;
  if (fresh > 0) {
    SM_TRY(const int64_t last, link_->add("meta", "samples", "n", fresh));
    next = last - fresh + 1;
  }
  std::vector<Sample> samples;
  for (const std::string& path : paths) {
    Sample& s = wanted[path];
    if (s.id == 0) s.id = next++;
    if (s.added_ms == 0) s.added_ms = system_clock().unix_ms();
    samples.push_back(std::move(s));
  }
  Changes changes;
  return end_write(store_heard(std::move(samples), changes), changes);
}

Result<std::vector<Sample>> MongoCatalogue::find_by_digest(const Digest& digest) {
  std::vector<Sample> list;
  SM_CHECK_OK(link_->find(
      kSamples, Doc().blob("digest", bytes_of_digest(digest.hex())),
      [&list](const DocView& d) -> Result<void> {
        list.push_back(read_sample(d));
        return ok();
      },
      &by_id(), nullptr, 16));
  return list;
}

Result<void> MongoCatalogue::store_heard(std::vector<Sample> samples, Changes& changes) {
  std::vector<MongoLink::Write> writes;
  for (Sample& s : samples) {
    if (!s.error.empty()) s.analysis = {};
    writes.push_back({s.id, sample_doc(s), true});
    if (s.error.empty()) settle_sample(s);
    changes.put(std::move(s));
  }
  return link_->write(kSamples, writes);
}

// A sample at a path that another one takes is gone.
Result<void> MongoCatalogue::relink(int64_t id, const FileStamp& file) {
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  SM_TRY(auto sample, get(id));
  if (!sample) return no_sample(id);
  sample->file = file;
  sample->missing = false;
  sample->analysis = heard(*sample);
  SM_TRY(const auto there, ids_at({file.path}));
  Changes changes;
  const auto write = [&]() -> Result<void> {
    if (!there.empty() && there.begin()->second != id)
      SM_CHECK_OK(remove_samples({there.begin()->second}, changes));
    return store_heard({std::move(*sample)}, changes);
  };
  return end_write(write(), changes);
}

Result<void> MongoCatalogue::mark_missing(const std::vector<int64_t>& ids, bool missing) {
  if (ids.empty()) return ok();
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  Changes changes;
  auto written = in_parts(ids, [&](const std::vector<int64_t>& part) -> Result<void> {
    SM_TRY(const int64_t changed, link_->update(kSamples, one_of(part),
                                                Doc().doc("$set", Doc().flag("missing", missing))));
    (void)changed;
    SM_TRY(auto samples, load(part));
    for (Sample& s : samples) changes.put(std::move(s));
    return ok();
  });
  return end_write(std::move(written), changes);
}

Result<std::vector<Sample>> MongoCatalogue::load(const std::vector<int64_t>& ids) {
  std::unordered_map<int64_t, Sample> found;
  SM_CHECK_OK(in_parts(ids, [&](const std::vector<int64_t>& part) {
    return link_->find(kSamples, one_of(part), [&found](const DocView& d) -> Result<void> {
      Sample s = read_sample(d);
      found.emplace(s.id, std::move(s));
      return ok();
    });
  }));
  std::vector<Sample> list;
  list.reserve(found.size());
  for (const int64_t id : ids) {
    if (const auto it = found.find(id); it != found.end()) list.push_back(it->second);
  }
  return list;
}

Result<std::vector<int64_t>> MongoCatalogue::existing(const std::vector<int64_t>& ids) {
  std::vector<int64_t> found;
  const Doc fields = only({"_id"});
  SM_CHECK_OK(in_parts(ids, [&](const std::vector<int64_t>& part) {
    return link_->find(
        kSamples, one_of(part),
        [&found](const DocView& d) -> Result<void> {
          found.push_back(d.integer("_id"));
          return ok();
        },
        nullptr, &fields);
  }));
  std::sort(found.begin(), found.end());
  std::vector<int64_t> list;
  for (const int64_t id : ids) {
    if (std::binary_search(found.begin(), found.end(), id)) list.push_back(id);
  }
  return list;
}

Result<std::optional<Sample>> MongoCatalogue::get(int64_t id) {
  SM_TRY(auto list, load({id}));
  if (list.empty()) return std::optional<Sample>();
  return std::optional<Sample>(std::move(list.front()));
}

Result<std::optional<Sample>> MongoCatalogue::get_by_path(const std::string& path) {
  std::optional<Sample> sample;
  SM_CHECK_OK(
      link_->find(kSamples, Doc().blob("path", path), [&sample](const DocView& d) -> Result<void> {
        sample = read_sample(d);
        return ok();
      }));
  return sample;
}

Result<std::vector<Sample>> MongoCatalogue::get_many(const std::vector<int64_t>& ids) {
  SM_TRY(auto list, load(ids));
  for (Sample& s : list) drop_lists(s);
  return list;
}

Result<std::vector<Sample>> MongoCatalogue::page(const std::vector<int64_t>& ids) {
  return get_many(ids);
}

Result<LibrarySummary> MongoCatalogue::summary() {
  LibrarySummary sum;
  const Doc group = Doc().doc(
      "$group", Doc()
                    .doc("_id", Doc().text("missing", "$missing").text("broken", "$broken"))
                    .doc("count", Doc().doc("$sum", Doc().integer("$literal", 1)))
                    .doc("length", Doc().text("$sum", "$duration_s")));
  SM_CHECK_OK(link_->aggregate(kSamples, {group}, [&sum](const DocView& d) -> Result<void> {
    bson_t room;
    const DocView state = d.doc("_id", room);
    const int64_t count = d.integer("count");
    if (state.flag("missing")) {
      sum.missing += count;
      return ok();
    }
    (state.flag("broken") ? sum.broken : sum.samples) += count;
    sum.duration_s += d.real("length");
    return ok();
  }));
  return sum;
}

// ---- for the index ----

Result<void> MongoCatalogue::each_sample(const std::function<Result<void>(Sample)>& f) {
  Doc fields = Doc().integer("descriptor", 0);
  return link_->find(
      kSamples, Doc(),
      [&f](const DocView& d) -> Result<void> {
        Sample s = read_sample(d);
        drop_lists(s);
        return f(std::move(s));
      },
      &by_id(), &fields);
}

Result<void> MongoCatalogue::each_descriptor(
    const std::function<Result<void>(int64_t, std::string)>& f) {
  const Doc fields = only({"descriptor"});
  return link_->find(
      kSamples, Doc().doc("descriptor", Doc().flag("$exists", true)),
      [&f](const DocView& d) -> Result<void> { return f(d.integer("_id"), d.blob("descriptor")); },
      &by_id(), &fields);
}

Result<std::vector<std::vector<int64_t>>> MongoCatalogue::equal_ids(bool by_audio) {
  // Grouped here: on a million sounds it is a hundred megabytes for a moment, and needs nothing of
  // the server but to read them.
  std::map<std::string, std::vector<int64_t>> groups;
  std::unordered_map<std::string, bool> digests;
  const Doc fields = only({"digest", "audio"});
  SM_CHECK_OK(link_->find(
      kSamples, Doc().flag("missing", false).flag("broken", false),
      [&](const DocView& d) -> Result<void> {
        std::string digest = d.blob("digest");
        if (!by_audio) {
          if (!digest.empty()) groups[std::move(digest)].push_back(d.integer("_id"));
          return ok();
        }
        // Files of the same bytes stand among the sounds with one of them.
        if (!digest.empty() && !digests.emplace(std::move(digest), true).second) return ok();
        if (std::string sound = d.text("audio"); !sound.empty())
          groups[std::move(sound)].push_back(d.integer("_id"));
        return ok();
      },
      &by_id(), &fields));
  std::vector<std::vector<int64_t>> equal;
  for (auto& [key, ids] : groups) {
    if (ids.size() > 1) equal.push_back(std::move(ids));
  }
  return equal;
}

Result<int64_t> MongoCatalogue::version() {
  int64_t version = 0;
  SM_CHECK_OK(link_->find("meta", Doc().text("_id", "writes"),
                          [&version](const DocView& d) -> Result<void> {
                            version = d.integer("n");
                            return ok();
                          }));
  return version;
}

}  // namespace samplemind::library
