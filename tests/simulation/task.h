// Coroutines for the simulation: each actor (a client, an applier, capture ...) is one, and gives
// way at each point where another one could get in between. Destroying an actor is its crash: its
// frames go, from the innermost outwards.
//
//   Task<int> Read(...) { co_await Step{}; co_return 1; }      co_await Read(...) from another task
//
// Arguments of a task are named variables or plain values: GCC 12 destroys a temporary in a
// co_await twice. One thread.
#pragma once

// Clang 14 has coroutines but does not say so to the library of GCC.
#if defined(__clang__) && !defined(__cpp_impl_coroutine)
#define __cpp_impl_coroutine 201902L
#endif
#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace pgduet::simulation {

template <typename T>
class Task;

namespace internal {

// Returns to whoever awaited the task that ended.
struct FinalAwaiter {
  bool await_ready() noexcept { return false; }
  template <typename Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) noexcept {
    if (ended.promise().continuation) return ended.promise().continuation;
    return std::noop_coroutine();
  }
  void await_resume() noexcept {}
};

struct PromiseBase {
  std::coroutine_handle<> continuation;
  std::exception_ptr failure;
  std::suspend_always initial_suspend() noexcept { return {}; }
  FinalAwaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() { failure = std::current_exception(); }
};

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  void return_value(T result) { value = std::move(result); }
  T Take() { return std::move(*value); }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() {}
  void Take() {}
};

}  // namespace internal

template <typename T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::Promise<T>;
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) {
    handle_.promise().continuation = awaiting;
    return handle_;
  }
  T await_resume() {
    if (handle_.promise().failure) std::rethrow_exception(handle_.promise().failure);
    return handle_.promise().Take();
  }
  std::coroutine_handle<promise_type> handle() const { return handle_; }

 private:
  std::coroutine_handle<promise_type> handle_;
};

namespace internal {
template <typename T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}
}  // namespace internal

// A root task and the place where it stands.
class Actor {
 public:
  explicit Actor(Task<void> root) : root_(std::move(root)), at_(root_.handle()) {}
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  bool done() const { return root_.handle().done(); }
  // Runs to the next Step. What the root task throws comes out here.
  void Resume() {
    current_ = this;
    at_.resume();
    if (done() && root_.handle().promise().failure) {
      std::rethrow_exception(root_.handle().promise().failure);
    }
  }

 private:
  friend struct Step;
  inline static Actor* current_ = nullptr;
  Task<void> root_;
  std::coroutine_handle<> at_;
};

// A point where anything may happen elsewhere.
struct Step {
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> suspended) const { Actor::current_->at_ = suspended; }
  void await_resume() const {}
};

}  // namespace pgduet::simulation
