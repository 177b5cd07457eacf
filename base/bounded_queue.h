// A queue between two threads, bounded by the sum of the items' costs (bytes). A full queue blocks
// the producer: that is how a slow target slows the source instead of growing memory.
//
// An item dearer than the whole bound is let in when the queue is empty. Close() wakes both sides;
// what is queued can still be popped.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include <absl/time/time.h>

namespace pgduet {

template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t cost_max) : cost_max_(cost_max) {}

  // False when the queue was closed (the item is dropped).
  bool Push(T item, size_t cost) {
    std::unique_lock lock(mutex_);
    not_full_.wait(lock, [&] { return closed_ || cost_ == 0 || cost_ + cost <= cost_max_; });
    if (closed_) return false;
    cost_ += cost;
    items_.emplace_back(std::move(item), cost);
    not_empty_.notify_one();
    return true;
  }

  // Nothing when the time is over, or when the queue is closed and empty.
  std::optional<T> Pop(absl::Duration timeout) {
    std::unique_lock lock(mutex_);
    not_empty_.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                        [&] { return closed_ || !items_.empty(); });
    if (items_.empty()) return std::nullopt;
    return TakeFront();
  }

  std::optional<T> TryPop() {
    std::unique_lock lock(mutex_);
    if (items_.empty()) return std::nullopt;
    return TakeFront();
  }

  void Close() {
    std::unique_lock lock(mutex_);
    closed_ = true;
    not_full_.notify_all();
    not_empty_.notify_all();
  }

  bool closed() const {
    std::unique_lock lock(mutex_);
    return closed_;
  }
  size_t cost() const {
    std::unique_lock lock(mutex_);
    return cost_;
  }

 private:
  T TakeFront() {
    auto [item, cost] = std::move(items_.front());
    items_.pop_front();
    cost_ -= cost;
    not_full_.notify_one();
    return std::move(item);
  }
  const size_t cost_max_;
  mutable std::mutex mutex_;
  std::condition_variable not_full_;
  std::condition_variable not_empty_;
  std::deque<std::pair<T, size_t>> items_;
  size_t cost_ = 0;
  bool closed_ = false;
};

}  // namespace pgduet
