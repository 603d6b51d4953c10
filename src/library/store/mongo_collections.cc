// Collections, watched folders and care.
#include <algorithm>
#include <cctype>

#include "base/clock.h"
#include "library/store/mongo_internal.h"

namespace samplemind::library {

namespace {

// A collection is one document of at most 16 MB.
constexpr size_t kCollectionSamplesMax = 500'000;

Error not_here(std::string_view what, std::string hint) {
  return Error(ErrorCode::kUnsupported, std::string(what) + " is not done for a library in MongoDB",
               std::move(hint));
}

Error needs_transactions(std::string_view what) {
  return not_here(what,
                  "it changes many sounds in one step, which needs transactions; a library without "
                  "--store can do it");
}

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

// ---- what needs transactions, or is MongoDB's own ----

Result<int64_t> MongoCatalogue::begin_move(std::string_view, const std::vector<Move>&) {
  return needs_transactions("renaming files");
}
Result<void> MongoCatalogue::finish_move(int64_t, const std::vector<Move>&) {
  return needs_transactions("renaming files");
}
Result<std::vector<Move>> MongoCatalogue::moves(int64_t journal_id) {
  return Error(ErrorCode::kNotFound,
               "change " + std::to_string(journal_id) + " did not rename files");
}
Result<void> MongoCatalogue::mark_undone(int64_t) {
  return needs_transactions("renaming files");
}
Result<EditReport> MongoCatalogue::purge(const std::vector<int64_t>&) {
  return needs_transactions("purging missing sounds");
}
Result<EditReport> MongoCatalogue::relocate(const std::string&, const std::string&) {
  return needs_transactions("relocating a folder");
}
Result<void> MongoCatalogue::backup(const std::filesystem::path&) {
  return not_here("a backup", "mongodump copies the database");
}

// ---- care ----

Result<void> MongoCatalogue::check() {
  int64_t unreadable = 0;
  std::unordered_set<int64_t> ids;
  const Doc fields = Doc().integer("heard", 1).integer("broken", 1);
  SM_CHECK_OK(link_->find(
      "samples", Doc(),
      [&](const DocView& d) -> Result<void> {
        ids.insert(d.integer("_id"));
        if (!d.flag("broken") && !JsonValue::parse(d.text("heard")).ok()) ++unreadable;
        return ok();
      },
      nullptr, &fields));
  if (unreadable > 0)
    return Error(ErrorCode::kDataLoss, "what was heard of " + std::to_string(unreadable) +
                                           " sounds cannot be read in " + place());
  int64_t dead = 0;
  SM_CHECK_OK(link_->find("collections", Doc(), [&](const DocView& d) -> Result<void> {
    for (const int64_t id : d.integers("samples")) dead += ids.contains(id) ? 0 : 1;
    return ok();
  }));
  if (dead == 0) return ok();
  return Error(ErrorCode::kDataLoss,
               std::to_string(dead) + " places in collections are of no sound, in " + place());
}

Result<std::vector<std::string>> MongoCatalogue::repair() {
  return not_here("repairing", "mongorestore brings back what mongodump saved");
}

}  // namespace samplemind::library
