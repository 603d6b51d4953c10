// Result<T>: a value or an Error. The only way our functions report expected failures.
//
//   Result<Config> load();
//   SM_TRY(auto config, load());            // returns the error to our caller
//   SM_CHECK_OK(store.flush());             // the same for Result<void>
#pragma once

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/error.h"

namespace samplemind {

template <class T>
class [[nodiscard]] Result {
 public:
  template <class U = T>
  requires(std::is_constructible_v<T, U&&> && !std::is_same_v<std::remove_cvref_t<U>, Error> &&
           !std::is_same_v<std::remove_cvref_t<U>, Result>) Result(U&& value)
      : state_(std::in_place_index<0>, std::forward<U>(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // REQUIRES: ok().
  T& value() & {
    check();
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    check();
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    check();
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T value_or(T fallback) && { return ok() ? std::move(*this).value() : std::move(fallback); }

  // REQUIRES: !ok().
  const Error& error() const& {
    SM_ASSERT(!ok());
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    SM_ASSERT(!ok());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  void check() const { SM_ASSERT(ok()); }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  // REQUIRES: !ok().
  const Error& error() const& {
    SM_ASSERT(!ok());
    return *error_;
  }
  Error&& error() && {
    SM_ASSERT(!ok());
    return std::move(*error_);
  }

 private:
  std::optional<Error> error_;
};

inline Result<void> ok() {
  return {};
}

}  // namespace samplemind

#define SM_CONCAT_(a, b) a##b
#define SM_CONCAT(a, b) SM_CONCAT_(a, b)
// SM_TRY(declaration, expression): on error, return it; else bind the value. For plain functions.
#define SM_TRY_(result, declaration, ...)             \
  auto result = (__VA_ARGS__);                        \
  if (!result.ok()) return std::move(result).error(); \
  declaration = std::move(result).value()
#define SM_TRY(declaration, ...) SM_TRY_(SM_CONCAT(sm_result_, __LINE__), declaration, __VA_ARGS__)
#define SM_CHECK_OK(...)                                                                      \
  do {                                                                                        \
    if (auto sm_status = (__VA_ARGS__); !sm_status.ok()) return std::move(sm_status).error(); \
  } while (false)
// The same inside a coroutine.
#define SM_CO_TRY_(result, declaration, ...)             \
  auto result = (__VA_ARGS__);                           \
  if (!result.ok()) co_return std::move(result).error(); \
  declaration = std::move(result).value()
#define SM_CO_TRY(declaration, ...) \
  SM_CO_TRY_(SM_CONCAT(sm_result_, __LINE__), declaration, __VA_ARGS__)
#define SM_CO_CHECK_OK(...)                                                                      \
  do {                                                                                           \
    if (auto sm_status = (__VA_ARGS__); !sm_status.ok()) co_return std::move(sm_status).error(); \
  } while (false)
