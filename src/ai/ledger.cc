#include "ai/ledger.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "ai/money.h"
#include "base/files.h"
#include "base/log.h"

namespace samplemind::ai {

namespace {

constexpr const char* kEverybody = "*";
constexpr size_t kModelsMax = 4096;  // whose sums are kept apart for one key; clients choose names
constexpr const char* kOthers = "other";
constexpr size_t kWaitingMax = 65536;
constexpr std::chrono::milliseconds kWriteEvery{100};

constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS usage("
    "day INTEGER NOT NULL, key TEXT NOT NULL, tenant TEXT NOT NULL, provider TEXT NOT NULL,"
    "model TEXT NOT NULL, requests INTEGER NOT NULL, errors INTEGER NOT NULL,"
    "hits INTEGER NOT NULL, coalesced INTEGER NOT NULL, tries INTEGER NOT NULL,"
    "input_tokens INTEGER NOT NULL, cached_input_tokens INTEGER NOT NULL,"
    "output_tokens INTEGER NOT NULL, cost_microusd INTEGER NOT NULL,"
    "saved_microusd INTEGER NOT NULL, estimated INTEGER NOT NULL, unpriced INTEGER NOT NULL,"
    "PRIMARY KEY(day,key,tenant,provider,model)) WITHOUT ROWID";

constexpr int64_t UsageEntry::*kNumbers[] = {
    &UsageEntry::requests,
    &UsageEntry::errors,
    &UsageEntry::hits,
    &UsageEntry::coalesced,
    &UsageEntry::tries,
    &UsageEntry::input_tokens,
    &UsageEntry::cached_input_tokens,
    &UsageEntry::output_tokens,
    &UsageEntry::cost_microusd,
    &UsageEntry::saved_microusd,
    &UsageEntry::estimated,
    &UsageEntry::unpriced,
};
constexpr const char* kNumberNames[] = {
    "requests",
    "errors",
    "hits",
    "coalesced",
    "tries",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "cost_microusd",
    "saved_microusd",
    "estimated",
    "unpriced",
};
static_assert(std::size(kNumbers) == std::size(kNumberNames));

void add_up(UsageEntry& into, const UsageEntry& e) {
  for (const auto member : kNumbers) into.*member += e.*member;
}

int32_t day_of(std::time_t when) {
  std::tm t{};
  ::gmtime_r(&when, &t);
  return (t.tm_year + 1900) * 10000 + (t.tm_mon + 1) * 100 + t.tm_mday;
}

std::string day_text(int64_t day) {
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02d-%02d", static_cast<int>(day / 10000),
                static_cast<int>(day / 100 % 100), static_cast<int>(day % 100));
  return text;
}

int64_t ms_to_end(Period period, std::time_t now) {
  std::tm t{};
  ::gmtime_r(&now, &t);
  std::tm end{};
  end.tm_year = t.tm_year;
  end.tm_mon = period == Period::kMonth ? t.tm_mon + 1 : t.tm_mon;
  end.tm_mday = period == Period::kMonth ? 1 : t.tm_mday + 1;
  return (::timegm(&end) - now) * 1000;
}

}  // namespace

// A connection; each is used under its own lock.
struct Ledger::Database {
  ~Database() { sqlite3_close(db); }
  Result<void> open(const fs::path& file) {
    SM_CHECK_OK(make_private_dir(file.parent_path()));
    if (sqlite3_open_v2(file.c_str(), &db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                        nullptr) != SQLITE_OK)
      return failed("open " + file.string());
    ::chmod(file.c_str(), 0600);
    sqlite3_busy_timeout(db, 2000);
    for (const char* sql : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", kSchema}) {
      if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
        return failed(file.string());
    }
    return ok();
  }
  Error failed(const std::string& what) const {
    return Error(ErrorCode::kUnavailable,
                 what + ": " + (db != nullptr ? sqlite3_errmsg(db) : "out of memory"),
                 "if the file is damaged, move it away: usage then begins anew");
  }
  // Calls `row` for each; binds one number.
  template <class F>
  Result<void> select(const std::string& sql, int64_t bound, F row) {
    sqlite3_stmt* s = nullptr;
    if (sqlite3_prepare_v2(db, sql.c_str(), -1, &s, nullptr) != SQLITE_OK) return failed("usage");
    if (sqlite3_bind_parameter_count(s) > 0) sqlite3_bind_int64(s, 1, bound);
    int state;
    while ((state = sqlite3_step(s)) == SQLITE_ROW) row(s);
    sqlite3_finalize(s);
    if (state != SQLITE_DONE) return failed("usage");
    return ok();
  }
  Result<void> write(const std::map<std::string, UsageEntry>& entries) {
    std::string sql =
        "INSERT INTO usage VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17) "
        "ON CONFLICT DO UPDATE SET ";
    for (size_t i = 0; i < std::size(kNumberNames); ++i) {
      const std::string name = kNumberNames[i];
      sql += (i > 0 ? "," : "") + name + "=" + name + "+excluded." + name;
    }
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) != SQLITE_OK)
      return failed("usage");
    sqlite3_stmt* s = nullptr;
    bool good = sqlite3_prepare_v2(db, sql.c_str(), -1, &s, nullptr) == SQLITE_OK;
    for (const auto& [name, e] : entries) {
      if (!good) break;
      sqlite3_reset(s);
      sqlite3_bind_int64(s, 1, std::stoll(name.substr(0, 8)));
      const std::string* texts[] = {&e.key, &e.tenant, &e.provider, &e.model};
      int at = 2;
      for (const std::string* text : texts)
        sqlite3_bind_text(s, at++, text->data(), static_cast<int>(text->size()), SQLITE_STATIC);
      for (const auto member : kNumbers) sqlite3_bind_int64(s, at++, e.*member);
      good = sqlite3_step(s) == SQLITE_DONE;
    }
    Result<void> outcome = good ? Result<void>() : Result<void>(failed("usage"));
    sqlite3_finalize(s);
    if (sqlite3_exec(db, good ? "COMMIT" : "ROLLBACK", nullptr, nullptr, nullptr) != SQLITE_OK &&
        good)
      outcome = failed("usage");
    return outcome;
  }
  sqlite3* db = nullptr;
};

Ledger::Ledger(std::vector<Budget> budgets, const Clock& clock)
    : budgets_(std::move(budgets)), clock_(clock) {}

Result<std::unique_ptr<Ledger>> Ledger::open(fs::path file, std::vector<Budget> budgets,
                                             const Clock& clock) {
  std::unique_ptr<Ledger> ledger(new Ledger(std::move(budgets), clock));
  if (!file.empty()) {
    ledger->database_ = std::make_unique<Database>();
    SM_CHECK_OK(ledger->database_->open(file));
    SM_CHECK_OK(ledger->load());
  }
  ledger->writer_ = std::thread([raw = ledger.get()] { raw->write_behind(); });
  return ledger;
}

Ledger::~Ledger() {
  {
    const std::lock_guard lock(queue_mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (writer_.joinable()) writer_.join();
}

Ledger::Today Ledger::today() const {
  const int32_t day = day_of(clock_.unix_ms() / 1000);
  return {day, day / 100};
}

Result<void> Ledger::load() {
  const Today now = today();
  return database_->select(
      "SELECT key, provider||'/'||model, SUM(cost_microusd), SUM(CASE WHEN day/100=?1/100 THEN "
      "cost_microusd ELSE 0 END), SUM(CASE WHEN day=?1 THEN cost_microusd ELSE 0 END) FROM usage "
      "GROUP BY 1,2 HAVING SUM(cost_microusd)>0",
      now.day, [&](sqlite3_stmt* s) {
        const auto text = [s](int i) {
          return std::string(reinterpret_cast<const char*>(sqlite3_column_text(s, i)),
                             static_cast<size_t>(sqlite3_column_bytes(s, i)));
        };
        each_sums(text(0), text(1), [&](Sums& sums) {
          sums.total += sqlite3_column_int64(s, 2);
          if (sums.month_of != now.month) sums.month = 0;
          if (sums.day_of != now.day) sums.day = 0;
          sums.month_of = now.month;
          sums.day_of = now.day;
          sums.month += sqlite3_column_int64(s, 3);
          sums.day += sqlite3_column_int64(s, 4);
        });
      });
}

template <class F>
void Ledger::each_sums(const std::string& key, const std::string& model, F f) {
  const auto in = [&](const std::string& name) -> Sums& {
    ByModel& models = sums_[name];
    if (models.size() >= kModelsMax && !models.contains(model)) return models[kOthers];
    return models[model];
  };
  f(in(kEverybody));
  if (!key.empty()) f(in(key));
}

int64_t Ledger::spent(const Sums& s, Period period, Today now) {
  switch (period) {
    case Period::kDay:
      return s.day_of == now.day ? s.day : 0;
    case Period::kMonth:
      return s.month_of == now.month ? s.month : 0;
    case Period::kTotal:
      break;
  }
  return s.total;
}

int64_t Ledger::sum(const std::string& key, const Budget& budget, Today now, bool held) const {
  const auto it = sums_.find(key.empty() ? kEverybody : key);
  if (it == sums_.end()) return 0;
  int64_t sum = 0;
  for (const auto& [model, s] : it->second) {
    if (!budget.model.empty() && !matches_pattern(budget.model, model)) continue;
    sum += held ? s.held : spent(s, budget.period, now);
  }
  return sum;
}

bool Ledger::limited(const VirtualKey* key, std::string_view model) const {
  const auto applies = [model](const Budget& b) {
    return b.model.empty() || matches_pattern(b.model, model);
  };
  return std::any_of(budgets_.begin(), budgets_.end(), applies) ||
         (key != nullptr && std::any_of(key->budgets.begin(), key->budgets.end(), applies));
}

std::vector<Ledger::Applying> Ledger::applying(const VirtualKey* key,
                                               std::string_view model) const {
  const Today now = today();
  std::vector<Applying> out;
  const auto add = [&](const Budget& b, const std::string& of) {
    if (!b.model.empty() && !matches_pattern(b.model, model)) return;
    Applying a;
    a.state.budget = b;
    a.state.key = of;
    a.own_microusd = a.state.spent_microusd = sum(of, b, now, false);
    // The amount is no part of it: a budget that is raised keeps what was spent.
    a.name = (of.empty() ? kEverybody : of) + ":" + b.model + ":";
    constexpr int64_t kDayMs = 86400'000;
    if (b.period == Period::kDay) {
      a.name += std::to_string(now.day);
      a.keep_ms = 2 * kDayMs;
    } else if (b.period == Period::kMonth) {
      a.name += std::to_string(now.month);
      a.keep_ms = 33 * kDayMs;
    } else {
      a.name += "total";
    }
    out.push_back(std::move(a));
  };
  const std::lock_guard lock(mutex_);
  for (const Budget& b : budgets_) add(b, {});
  if (key != nullptr) {
    for (const Budget& b : key->budgets) add(b, key->id);
  }
  return out;
}

Ledger::Refusal Ledger::refusal(const Budget& b, bool of_key, int64_t spent_microusd,
                                int64_t held_microusd, int64_t estimate) const {
  Refusal r;
  r.message = "the budget of " + to_string(b) + (of_key ? " of this key" : "") +
              " does not allow it: " + dollars(spent_microusd) + " spent, " +
              dollars(held_microusd) + " set aside for calls on their way, this one may cost " +
              dollars(estimate);
  if (held_microusd > 0 && spent_microusd + estimate <= b.microusd) {
    r.retry_after_ms = 1000;  // what is set aside is often more than what is spent
  } else if (b.period != Period::kTotal) {
    r.retry_after_ms = ms_to_end(b.period, clock_.unix_ms() / 1000);
  }
  return r;
}

std::variant<Ledger::Hold, Ledger::Refusal> Ledger::hold(const VirtualKey* key,
                                                         std::string_view model, bool local,
                                                         std::optional<int64_t> estimate) {
  Hold made;
  if (local || (budgets_.empty() && (key == nullptr || key->budgets.empty()))) return made;
  const Today now = today();
  const std::string key_id = key != nullptr ? key->id : std::string();
  const std::lock_guard lock(mutex_);
  const auto check = [&](const Budget& b, const std::string& of) -> std::optional<Refusal> {
    if (!b.model.empty() && !matches_pattern(b.model, model)) return std::nullopt;
    if (!estimate) {
      Refusal r;
      r.unpriced = true;
      r.message = "the price of '" + std::string(model) +
                  "' is not known, and a budget applies: set [ai.prices.\"" + std::string(model) +
                  "\"] input and output";
      return r;
    }
    const int64_t spent_now = sum(of, b, now, false);
    const int64_t held_now = sum(of, b, now, true);
    if (spent_now + held_now + std::max<int64_t>(*estimate, 1) <= b.microusd) return std::nullopt;
    return refusal(b, !of.empty(), spent_now, held_now, *estimate);
  };
  for (const Budget& b : budgets_) {
    if (auto refused = check(b, {})) return std::move(*refused);
  }
  if (key != nullptr) {
    for (const Budget& b : key->budgets) {
      if (auto refused = check(b, key_id)) return std::move(*refused);
    }
  }
  if (!estimate) return made;  // no budget applies to this model
  made.ledger_ = this;
  made.key_ = key_id;
  made.model_ = model;
  made.held_ = std::max<int64_t>(0, *estimate);
  each_sums(made.key_, made.model_, [&](Sums& s) { s.held += made.held_; });
  return made;
}

void Ledger::give_back(const Hold& hold) {
  const std::lock_guard lock(mutex_);
  each_sums(hold.key_, hold.model_,
            [&](Sums& s) { s.held = std::max<int64_t>(0, s.held - hold.held_); });
}

Ledger::Hold::Hold(Hold&& o) noexcept
    : ledger_(std::exchange(o.ledger_, nullptr)),
      key_(std::move(o.key_)),
      model_(std::move(o.model_)),
      held_(o.held_) {}
Ledger::Hold& Ledger::Hold::operator=(Hold&& o) noexcept {
  if (this != &o) {
    release();
    ledger_ = std::exchange(o.ledger_, nullptr);
    key_ = std::move(o.key_);
    model_ = std::move(o.model_);
    held_ = o.held_;
  }
  return *this;
}
Ledger::Hold::~Hold() {
  release();
}
void Ledger::Hold::release() {
  if (Ledger* ledger = std::exchange(ledger_, nullptr)) ledger->give_back(*this);
}

void Ledger::add(UsageEntry e) {
  const Today now = today();
  // Numbers that came from outside add up, never down.
  for (const auto member : kNumbers) e.*member = std::max<int64_t>(0, e.*member);
  if (e.cost_microusd > 0) {
    const std::lock_guard lock(mutex_);
    each_sums(e.key, e.provider + "/" + e.model, [&](Sums& s) {
      s.total += e.cost_microusd;
      if (s.month_of != now.month) s.month = 0;
      if (s.day_of != now.day) s.day = 0;
      s.month_of = now.month;
      s.day_of = now.day;
      s.month += e.cost_microusd;
      s.day += e.cost_microusd;
    });
  }
  std::string name = std::to_string(now.day);
  for (const std::string* part : {&e.key, &e.tenant, &e.provider, &e.model})
    name.append("\n").append(*part);
  const std::lock_guard lock(queue_mutex_);
  if (waiting_.size() >= kWaitingMax && !waiting_.contains(name)) {
    // A disk that takes nothing must not fill the memory: what is told apart less is still counted.
    e.model = kOthers;
    name = std::to_string(now.day) + "\n" + e.key + "\n" + e.tenant + "\n" + e.provider + "\n" +
           kOthers;
  }
  const auto it = waiting_.find(name);
  if (it == waiting_.end()) {
    waiting_.emplace(std::move(name), std::move(e));
  } else {
    add_up(it->second, e);
  }
  ++added_;
}

void Ledger::write_behind() {
  std::unique_lock lock(queue_mutex_);
  bool told = false;
  for (;;) {
    wake_.wait_for(lock, kWriteEvery, [this] { return stop_ || hurry_; });
    const bool last = stop_;
    hurry_ = false;
    if (!waiting_.empty() && database_) {
      std::map<std::string, UsageEntry> batch = std::exchange(waiting_, {});
      const uint64_t upto = added_;
      lock.unlock();
      const auto written = database_->write(batch);
      lock.lock();
      if (written.ok()) {
        done_ = upto;
        told = false;
      } else {
        if (!std::exchange(told, true))
          log::warn("usage not written; it is tried again", {{"error", written.error().message()}});
        for (auto& [name, e] : batch) {
          const auto [it, fresh] = waiting_.try_emplace(name, e);
          if (!fresh) add_up(it->second, e);
        }
        // A flush must not wait for a disk that takes nothing.
        done_ = upto;
      }
    } else {
      done_ = added_;
    }
    written_.notify_all();
    if (last) return;
  }
}

void Ledger::flush() {
  std::unique_lock lock(queue_mutex_);
  const uint64_t wanted = added_;
  if (done_ >= wanted && (waiting_.empty() || !database_)) return;
  hurry_ = true;
  wake_.notify_all();
  written_.wait_for(lock, std::chrono::seconds(5), [&] { return done_ >= wanted || stop_; });
}

Result<std::vector<UsageRow>> Ledger::usage(UsageBy by, int days) {
  std::map<std::string, UsageEntry> groups;
  const int32_t from = day_of(clock_.unix_ms() / 1000 - int64_t{86400} * (std::max(1, days) - 1));
  const auto group_of = [by](int64_t day, const UsageEntry& e) {
    return by == UsageBy::kDay   ? day_text(day)
           : by == UsageBy::kKey ? e.key
                                 : e.provider + "/" + e.model;
  };
  if (database_) {
    flush();
    std::string sql = "SELECT day,key,tenant,provider,model";
    for (const char* name : kNumberNames) sql += std::string(",") + name;
    SM_CHECK_OK(database_->select(sql + " FROM usage WHERE day>=?1", from, [&](sqlite3_stmt* s) {
      UsageEntry e;
      std::string* texts[] = {&e.key, &e.tenant, &e.provider, &e.model};
      int at = 1;
      for (std::string* text : texts) {
        text->assign(reinterpret_cast<const char*>(sqlite3_column_text(s, at)),
                     static_cast<size_t>(sqlite3_column_bytes(s, at)));
        ++at;
      }
      for (const auto member : kNumbers) e.*member = sqlite3_column_int64(s, at++);
      add_up(groups[group_of(sqlite3_column_int64(s, 0), e)], e);
    }));
  } else {
    const std::lock_guard lock(queue_mutex_);
    for (const auto& [name, e] : waiting_) {
      const int64_t day = std::stoll(name.substr(0, 8));
      if (day >= from) add_up(groups[group_of(day, e)], e);
    }
  }
  std::vector<UsageRow> rows;
  for (auto& [group, sum] : groups) rows.push_back({group, sum});
  if (by != UsageBy::kDay) {
    std::stable_sort(rows.begin(), rows.end(), [](const UsageRow& a, const UsageRow& b) {
      return std::pair(a.sum.cost_microusd, a.sum.requests) >
             std::pair(b.sum.cost_microusd, b.sum.requests);
    });
  }
  return rows;
}

std::vector<BudgetState> Ledger::budget_states(const std::vector<VirtualKey>& keys) const {
  const Today now = today();
  std::vector<BudgetState> states;
  const std::lock_guard lock(mutex_);
  for (const Budget& b : budgets_)
    states.push_back({b, {}, sum({}, b, now, false), sum({}, b, now, true)});
  for (const VirtualKey& k : keys) {
    for (const Budget& b : k.budgets)
      states.push_back({b, k.id, sum(k.id, b, now, false), sum(k.id, b, now, true)});
  }
  return states;
}

}  // namespace samplemind::ai
