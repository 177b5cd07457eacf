// Exponential waiting times with jitter, for reconnections. Not thread-safe.
#pragma once

#include <cstdint>
#include <random>
#include <stop_token>

#include <absl/time/time.h>

namespace pgduet {

class Backoff {
 public:
  struct Options {
    absl::Duration first = absl::Milliseconds(50);
    absl::Duration max = absl::Seconds(2);
  };
  Backoff() : Backoff(Options{}) {}
  explicit Backoff(Options options)
      : options_(options), next_(options.first), random_(std::random_device{}()) {}
  // Between half and the whole of the next step; doubles up to max.
  absl::Duration Next();
  void Reset() { next_ = options_.first; }

 private:
  Options options_;
  absl::Duration next_;
  std::minstd_rand random_;
};

// Sleeps, but not past a requested stop. False when stopped.
bool SleepFor(absl::Duration duration, std::stop_token stop);

}  // namespace pgduet
