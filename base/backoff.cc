#include "base/backoff.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

namespace pgduet {

absl::Duration Backoff::Next() {
  const absl::Duration step = next_;
  next_ = std::min(next_ * 2, options_.max);
  return step * std::uniform_real_distribution<double>(0.5, 1.0)(random_);
}

bool SleepFor(absl::Duration duration, std::stop_token stop) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any never;
  never.wait_for(lock, stop, absl::ToChronoNanoseconds(duration), [] { return false; });
  return !stop.stop_requested();
}

}  // namespace pgduet
