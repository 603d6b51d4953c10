// How an answer, a hit or a failure is told to a client. The tasks must not outlive what they are
// given.
#pragma once

#include "ai/cache/record.h"
#include "ai/gateway.h"
#include "ai/gateway/core.h"
#include "ai/gateway/flight.h"
#include "ai/gateway/plan.h"

namespace samplemind::ai {

// "provider/model" for a header: a client chooses the name, so what is not plain is
// percent-encoded.
std::string model_header(std::string_view provider, std::string_view model);

net::Task<void> fail(Failure f, Dialect dialect, ResponseSink& sink);

// A kept answer: whole, as a stream at once, or (`paced`) as one at a model's pace (replay.h).
net::Task<void> render_hit(GatewayCore& core, const CacheRecord& r_in, CacheState state, Form form,
                           bool paced, net::CancelToken cancel, ResponseSink& sink);

// The flight's answer once it is there, whole.
net::Task<void> whole_flight(const Plan& p, FlightPtr flight, CacheState state,
                             const Follower& follower, net::CancelToken cancel, ResponseSink& sink);

// The flight's pieces as they come. Nothing is sent before the first content: until then a failure
// is an HTTP status.
net::Task<void> stream_flight(const Plan& p, FlightPtr flight, CacheState state,
                              const Follower& follower, net::CancelToken cancel,
                              ResponseSink& sink);

}  // namespace samplemind::ai
