#include "base/metrics.h"

#include <gtest/gtest.h>

namespace samplemind {
namespace {

TEST(Metrics, PrometheusText) {
  Metrics m;
  m.counter("requests_total", "Requests.", {{"route", "a\"b"}}).add(3);
  m.counter("requests_total", "", {{"route", "a\"b"}}).add();
  m.gauge("open", "Open.").set(-2);
  Histogram& h = m.histogram("seconds", "Time.");
  h.observe(0.5e-6);
  h.observe(3e-6);
  h.observe(1e9);
  const std::string text = m.prometheus();
  EXPECT_NE(text.find("# TYPE requests_total counter\nrequests_total{route=\"a\\\"b\"} 4\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("open -2\n"), std::string::npos);
  EXPECT_NE(text.find("seconds_bucket{le=\"1e-06\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("seconds_bucket{le=\"4e-06\"} 2\n"), std::string::npos);
  EXPECT_NE(text.find("seconds_bucket{le=\"+Inf\"} 3\n"), std::string::npos);
  EXPECT_NE(text.find("seconds_count 3\n"), std::string::npos);
}

}  // namespace
}  // namespace samplemind
