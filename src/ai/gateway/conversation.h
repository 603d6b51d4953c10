// Conversations in OpenAI's responses: what a request refers to is put in place before it is read,
// what was answered is kept before its last byte goes out. One loop only; the disk is waited for on
// the pool.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "ai/dialect/responses.h"
#include "ai/gateway/core.h"
#include "ai/gateway/plan.h"

namespace samplemind::ai {

inline constexpr size_t kConversationBytesMax = 64u << 20;  // all turns of one request

class Conversations {
 public:
  explicit Conversations(GatewayCore& core) : core_(&core) {}

  // The request with all turns before it; as it is when it refers to nothing. A failure names what
  // is not kept, or not for this tenant.
  net::Task<std::variant<std::string, Failure>> expand(std::string tenant, std::string body);
  // Gives the answer a new id, and keeps it unless the request says otherwise. `asked`: the body as
  // it came; `expanded`: with the turns before.
  void prepare(Form& form, std::string tenant, std::string_view asked, std::string expanded) const;

  net::Task<Result<std::optional<StoredResponse>>> get(std::string tenant, std::string id);
  net::Task<Result<bool>> erase(std::string tenant, std::string id);

 private:
  GatewayCore* core_;
};

}  // namespace samplemind::ai
