// Sends what the request log queued to an OpenTelemetry collector: OTLP over HTTP, JSON
// (https://opentelemetry.io/docs/specs/otlp/), attributes after the GenAI conventions.
#pragma once

#include <span>
#include <string>

#include "ai/gateway/core.h"
#include "ai/request_log.h"
#include "net/client.h"
#include "net/loop.h"

namespace samplemind::ai {

// The body of a POST to /v1/traces.
std::string write_otlp(std::span<const RequestRecord> records);

// Sends once a second, for ever; records that a collector does not take are dropped and counted
// (samplemind_otlp_dropped_total). Nothing waits for it. Everything must outlive the task.
net::Task<void> export_traces(GatewayCore& core, net::Loop& loop, net::Client& client);

}  // namespace samplemind::ai
