#include "base/metrics.h"

#include <cmath>

#include "base/json.h"

namespace samplemind {

namespace {
std::string print_labels(const Labels& labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    if (!text.empty()) text += ',';
    text += name + "=\"";
    for (char c : value) {
      if (c == '\\' || c == '"') text += '\\';
      if (c == '\n') {
        text += "\\n";
      } else {
        text += c;
      }
    }
    text += '"';
  }
  return text;
}

void head(std::string& out, std::string_view name, std::string_view help, std::string_view type) {
  out.append("# HELP ")
      .append(name)
      .append(" ")
      .append(help)
      .append("\n# TYPE ")
      .append(name)
      .append(" ")
      .append(type)
      .append("\n");
}

void sample(std::string& out, std::string_view name, std::string_view labels,
            std::string_view value) {
  out += name;
  if (!labels.empty()) out.append("{").append(labels).append("}");
  out.append(" ").append(value).append("\n");
}
}  // namespace

double Histogram::upper_bound(int i) {
  return 1e-6 * std::pow(4.0, i);
}

void Histogram::observe(double seconds) {
  // Not upper_bound(): a power a bucket is most of what an observation costs.
  static const std::array<double, kBuckets> kBounds = [] {
    std::array<double, kBuckets> bounds{};
    for (int k = 0; k < kBuckets; ++k) bounds[static_cast<size_t>(k)] = upper_bound(k);
    return bounds;
  }();
  int i = 0;
  while (i < kBuckets && seconds > kBounds[static_cast<size_t>(i)]) ++i;
  buckets_[static_cast<size_t>(i)].fetch_add(1, std::memory_order_relaxed);
  sum_ns_.fetch_add(static_cast<int64_t>(seconds * 1e9), std::memory_order_relaxed);
}

uint64_t Histogram::count() const {
  uint64_t n = 0;
  for (const auto& b : buckets_) n += b.load(std::memory_order_relaxed);
  return n;
}

template <class T>
T& Metrics::find(std::map<std::string, Family<T>, std::less<>>& families, std::string_view name,
                 std::string_view help, const Labels& labels) {
  const std::lock_guard lock(mutex_);
  auto family = families.find(name);
  if (family == families.end()) {
    family = families.emplace(std::string(name), Family<T>()).first;
    family->second.help = help;
  }
  auto& slot = family->second.series[print_labels(labels)];
  if (!slot) slot = std::make_unique<T>();
  return *slot;
}

Counter& Metrics::counter(std::string_view name, std::string_view help, const Labels& labels) {
  return find(counters_, name, help, labels);
}
Gauge& Metrics::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  return find(gauges_, name, help, labels);
}
Histogram& Metrics::histogram(std::string_view name, std::string_view help, const Labels& labels) {
  return find(histograms_, name, help, labels);
}

std::string Metrics::prometheus() const {
  const std::lock_guard lock(mutex_);
  std::string out;
  for (const auto& [name, family] : counters_) {
    head(out, name, family.help, "counter");
    for (const auto& [labels, c] : family.series)
      sample(out, name, labels, std::to_string(c->value()));
  }
  for (const auto& [name, family] : gauges_) {
    head(out, name, family.help, "gauge");
    for (const auto& [labels, g] : family.series)
      sample(out, name, labels, std::to_string(g->value()));
  }
  for (const auto& [name, family] : histograms_) {
    head(out, name, family.help, "histogram");
    for (const auto& [labels, h] : family.series) {
      const std::string comma = labels.empty() ? "" : ",";
      uint64_t total = 0;
      for (int i = 0; i <= Histogram::kBuckets; ++i) {
        total += h->bucket(i);
        std::string bound = "+Inf";
        if (i < Histogram::kBuckets) {
          bound.clear();
          append_json_number(bound, Histogram::upper_bound(i));
        }
        sample(out, name + "_bucket", labels + comma + "le=\"" + bound + "\"",
               std::to_string(total));
      }
      std::string sum;
      append_json_number(sum, h->sum_seconds());
      sample(out, name + "_sum", labels, sum);
      sample(out, name + "_count", labels, std::to_string(total));
    }
  }
  return out;
}

}  // namespace samplemind
