// Transport `direct`: the capture of one peer's database that runs inside the applying agent, on a
// thread of its own.
//
// Waits until the peer's database answers and says who it is, then captures from the slot that the
// peer keeps for us. What it publishes goes into an in-process log; the applying database's own
// record of progress is that log's tail.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "agent/config.h"
#include "apply/region_identity.h"
#include "capture/capture_loop.h"
#include "transport/direct_log.h"

namespace pgduet {

class DirectPeer {
 public:
  DirectPeer(const Config& config, const RegionConfig& self, const RegionConfig& peer,
             const RegionIdentity& identity);
  ~DirectPeer() { Stop(); }
  void Start();
  void Stop();
  // For the applier: a reader from its database's progress on.
  absl::StatusOr<std::unique_ptr<LogReader>> MakeReader();
  absl::Status error() const;
  uint64_t rounds() const { return rounds_.load(std::memory_order_relaxed); }

 private:
  void Run(std::stop_token stop);
  absl::StatusOr<std::optional<LogTail>> ReadTail() const;
  void WatchPolicy(std::stop_token stop);
  bool MovesTo(const std::string& theirs) const;
  // The two things that can be wrong; the log's reader is told of what somebody has to mend.
  void SetError(const absl::Status& error);
  void SetPolicyError(const absl::Status& error);
  void TellReader();

  const Config config_;
  const RegionConfig self_;
  const RegionConfig peer_;
  const RegionIdentity& identity_;
  std::shared_ptr<DirectLog> log_;
  std::atomic<uint64_t> rounds_ = 0;
  mutable std::mutex mutex_;
  absl::Status error_;         // of the peer's capture
  absl::Status policy_error_;  // the peer's agent has other policies
  std::jthread thread_;
  std::jthread policy_thread_;
};

}  // namespace pgduet
