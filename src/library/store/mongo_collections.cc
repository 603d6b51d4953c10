// Collections, watched folders and care.
#include <algorithm>
#include <cctype>

#include "base/clock.h"
#include "library/store/mongo_internal.h"

namespace samplemind::library {

namespace {

// A collection is one document of at most 16 MB.
constexpr size_t kCollectionSamplesMax = 500'000;

}  // namespace

// By name without regard to case, as SQLite's NOCASE: of ASCII letters alone.
Doc collection_id(std::string_view name) {
  std::string folded(name);
  for (char& c : folded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return Doc().blob("_id", folded);
}

// ---- collections ----

namespace {

Collection read_collection(const DocView& d) {
  return {d.blob("name"), d.blob("query"), d.blob("note"), d.integer("created_ms"),
          static_cast<int64_t>(d.integers("samples").size())};
}

}  // namespace

Result<std::optional<MongoCatalogue::Stored>> MongoCatalogue::find_collection(
    std::string_view name) {
  std::optional<Stored> found;
  SM_CHECK_OK(
      link_->find("collections", collection_id(name), [&found](const DocView& d) -> Result<void> {
        found = Stored{read_collection(d), d.integers("samples")};
        return ok();
      }));
  return found;
}

Result<void> MongoCatalogue::store_collection(const Stored& stored) {
  const Collection& c = stored.collection;
  Doc d = collection_id(c.name);
  d.blob("name", c.name).blob("query", c.query).blob("note", c.note);
  d.integer("created_ms", c.created_ms).integers("samples", stored.samples);
  return link_->put("collections", collection_id(c.name), d);
}

Result<int64_t> MongoCatalogue::before_change(std::string_view what, std::string_view name,
                                              const std::optional<Stored>& now) {
  std::optional<Collection> collection;
  std::vector<int64_t> samples;
  if (now) {
    collection = now->collection;
    samples = now->samples;
    name = now->collection.name;
  }
  SM_TRY(const int64_t id, next_journal_id());
  SM_CHECK_OK(add_rows(id, 0, {{0, collection_before(name, collection, samples)}}));
  SM_CHECK_OK(add_entry(id, "collection", std::string(what) + " " + std::string(name), 1));
  return id;
}

Result<std::vector<Collection>> MongoCatalogue::collections() {
  std::vector<Collection> list;
  SM_CHECK_OK(link_->find("collections", Doc(), [&list](const DocView& d) -> Result<void> {
    list.push_back(read_collection(d));
    return ok();
  }));
  // MongoDB puts short binary values before long ones.
  std::sort(list.begin(), list.end(), [](const Collection& a, const Collection& b) {
    return std::lexicographical_compare(
        a.name.begin(), a.name.end(), b.name.begin(), b.name.end(),
        [](unsigned char x, unsigned char y) { return std::tolower(x) < std::tolower(y); });
  });
  return list;
}

Result<EditReport> MongoCatalogue::put_collection(const Collection& c) {
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  SM_TRY(auto now, find_collection(c.name));
  SM_TRY(const auto all, collections());
  SM_CHECK_OK(check_collection(c, now ? std::optional(now->collection) : std::nullopt,
                               static_cast<int64_t>(all.size())));
  EditReport report;
  SM_TRY(report.journal_id,
         before_change(now ? "change collection" : "make collection", c.name, now));
  Stored after;
  if (now) {
    after = *now;
    after.collection.query = c.query;
    after.collection.note = c.note;
  } else {
    after.collection = c;
    after.collection.created_ms = system_clock().unix_ms();
  }
  Changes none;
  SM_CHECK_OK(end_write(store_collection(after), none));
  return report;
}

Result<EditReport> MongoCatalogue::remove_collection(std::string_view name) {
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  SM_TRY(const auto now, find_collection(name));
  if (!now) return no_collection(name);
  EditReport report;
  report.changed = now->collection.samples;
  SM_TRY(report.journal_id, before_change("remove collection", name, now));
  const auto removed = link_->remove("collections", collection_id(name));
  Changes none;
  SM_CHECK_OK(end_write(removed.ok() ? ok() : Result<void>(removed.error()), none));
  return report;
}

Result<EditReport> MongoCatalogue::change_collection(std::string_view name,
                                                     const std::vector<int64_t>& add,
                                                     const std::vector<int64_t>& remove) {
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  SM_TRY(auto now, find_collection(name));
  if (!now) return no_collection(name);
  if (!now->collection.query.empty())
    return Error(
        ErrorCode::kInvalidArgument,
        "'" + now->collection.name + "' is a smart collection: its query decides what is in it");
  EditReport report;
  Stored after = *now;
  std::unordered_set<int64_t> in(after.samples.begin(), after.samples.end());
  SM_TRY(const auto there, existing(add));
  for (const int64_t id : there) {
    if (!in.insert(id).second) continue;
    after.samples.push_back(id);
    ++report.changed;
  }
  for (const int64_t id : remove) report.changed += static_cast<int64_t>(in.erase(id));
  if (report.changed == 0) return report;
  std::erase_if(after.samples, [&in](int64_t id) { return !in.contains(id); });
  if (after.samples.size() > kCollectionSamplesMax)
    return Error(ErrorCode::kResourceExhausted,
                 "a collection in MongoDB holds 500,000 sounds at most",
                 "a smart collection (--query) has no such limit");
  SM_TRY(report.journal_id,
         before_change(remove.empty() ? "add to collection" : "change collection", name, now));
  Changes none;
  SM_CHECK_OK(end_write(store_collection(after), none));
  return report;
}

Result<std::optional<Collection>> MongoCatalogue::collection(std::string_view name) {
  SM_TRY(auto found, find_collection(name));
  if (!found) return std::optional<Collection>();
  return std::optional<Collection>(std::move(found->collection));
}

Result<std::vector<int64_t>> MongoCatalogue::members(std::string_view name) {
  SM_TRY(auto found, find_collection(name));
  if (!found) return no_collection(name);
  return std::move(found->samples);
}

// ---- watched folders ----

Result<std::vector<std::string>> MongoCatalogue::watched() {
  std::vector<std::string> list;
  SM_CHECK_OK(link_->find("watch", Doc(), [&list](const DocView& d) -> Result<void> {
    list.push_back(d.blob("_id"));
    return ok();
  }));
  std::sort(list.begin(), list.end());
  return list;
}

Result<void> MongoCatalogue::watch(const std::string& folder) {
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  const Doc id = Doc().blob("_id", folder);
  return link_->put("watch", id, id);
}

Result<bool> MongoCatalogue::unwatch(const std::string& folder) {
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  SM_TRY(const int64_t removed, link_->remove("watch", Doc().blob("_id", folder)));
  return removed > 0;
}

// ---- care ----

Result<void> MongoCatalogue::backup(const std::filesystem::path&) {
  return Error(ErrorCode::kUnsupported, "a backup is not made of a library in MongoDB",
               "mongodump copies the database");
}

Result<MongoCatalogue::Faults> MongoCatalogue::find_faults() {
  Faults faults;
  std::unordered_set<int64_t> ids;
  const Doc fields = Doc().integer("heard", 1).integer("broken", 1);
  SM_CHECK_OK(link_->find(
      "samples", Doc(),
      [&](const DocView& d) -> Result<void> {
        ids.insert(d.integer("_id"));
        if (!d.flag("broken") && !JsonValue::parse(d.text("heard")).ok())
          faults.unreadable.push_back(d.integer("_id"));
        return ok();
      },
      nullptr, &fields));
  SM_CHECK_OK(link_->find("collections", Doc(), [&](const DocView& d) -> Result<void> {
    for (const int64_t id : d.integers("samples")) {
      if (!ids.contains(id)) faults.dead.push_back(id);
    }
    return ok();
  }));
  return faults;
}

Result<void> MongoCatalogue::check() {
  SM_TRY(const Faults faults, find_faults());
  std::string what;
  if (!faults.unreadable.empty())
    what =
        "what was heard of " + std::to_string(faults.unreadable.size()) + " sounds is unreadable";
  if (!faults.dead.empty())
    what += (what.empty() ? "" : ", ") + std::to_string(faults.dead.size()) +
            " places in collections are of no sound";
  if (what.empty()) return ok();
  return Error(ErrorCode::kDataLoss, place() + ": " + what,
               "'samplemind library check --repair' mends it");
}

Result<std::vector<std::string>> MongoCatalogue::repair() {
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  SM_CHECK_OK(make_indices());
  SM_TRY(const Faults faults, find_faults());
  std::vector<std::string> done{"indices are there"};
  Changes none;
  if (!faults.dead.empty()) {
    SM_CHECK_OK(end_write(remove_samples(faults.dead, none), none));
    done.push_back(std::to_string(faults.dead.size()) + " places in collections without a sound");
  }
  if (!faults.unreadable.empty()) {
    std::vector<MongoLink::Write> writes;
    // Of no version of the analysis: the next scan measures them anew.
    const Doc empty = Doc().text("heard", "{}").integer("analysis_version", 0);
    for (const int64_t id : faults.unreadable)
      writes.push_back({id, Doc().doc("$set", empty), false});
    SM_CHECK_OK(end_write(link_->write("samples", writes), none));
    doubt_index();
    done.push_back(std::to_string(writes.size()) + " sounds are measured anew by the next scan");
  }
  return done;
}

}  // namespace samplemind::library
