// The apply side's eyes on its own database: what capture decodes here becomes coverage history,
// tombstones, and barriers.
//
// What waits for a place in the WAL, a barrier or a closed time is told once a round of capture,
// when all that lies before it is noted.
//
// Threads: LocalObserver's methods and CaptureFailed() on the capture thread; those that wait on
// any apply thread.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <absl/container/flat_hash_set.h>

#include "apply/applied_state.h"
#include "apply/coverage_history.h"
#include "apply/decoder_barrier.h"
#include "apply/delete_journal.h"
#include "apply/policy_journal.h"
#include "apply/region_identity.h"
#include "apply/tombstone_registry.h"
#include "capture/local_observer.h"

namespace pgduet {

class LocalWatch : public LocalObserver, public DecoderBarrier {
 public:
  LocalWatch(std::string conninfo, const RegionIdentity& identity, AppliedState& applied,
             CoverageHistory& history, TombstoneRegistry& registry, DeleteJournal& journal,
             PolicyJournal& policies, ParkingLot& parking);

  absl::Status StreamBegins() override;
  void RemoteApplied(Rank origin, const Position& position) override;
  void LocalTransactionDecoded(const LocalTransaction& transaction) override;
  absl::Status LocalChanges(const LocalTransaction& transaction, const ChangeBatch& batch) override;
  void BarrierDecoded(std::string_view token) override;
  void TimeClosed(CommitTime time) override;
  void DecodedThrough(Lsn lsn) override;
  bool PutsOff() const override;
  absl::Status RoundEnds() override;
  // Capture is interrupted, or stopped, by the error of this name.
  void CaptureFailed(std::string_view error);
  Lsn DurableThrough(Lsn wanted) override;

  absl::Status Wait(absl::Duration timeout, std::stop_token stop) override;
  bool WaitDecoded(Lsn commit_lsn, absl::Duration timeout, std::stop_token stop) override;
  bool WaitSoleWriter(absl::Duration timeout, std::stop_token stop) override;
  Lsn Decoded() const override;

 private:
  struct Passed {  // by capture, and not told to anybody
    Lsn lsn;
    CommitTime closed_time = kOldestTime;
    std::vector<std::string> tokens;
  };
  absl::Status BecomeSoleWriter();
  void SetMayApply(bool may_apply);
  void Tell();
  absl::StatusOr<std::string> EmitToken();

  const std::string conninfo_;
  const RegionIdentity& identity_;
  AppliedState& applied_;
  CoverageHistory& history_;
  TombstoneRegistry& registry_;
  DeleteJournal& journal_;
  PolicyJournal& policies_;
  ParkingLot& parking_;
  Passed passed_;  // the capture thread's
  std::mutex connection_mutex_;
  std::unique_ptr<PgConnection> connection_;
  mutable std::mutex mutex_;
  std::condition_variable_any decoded_;
  absl::flat_hash_set<std::string> awaited_;
  uint64_t next_token_ = 0;
  Lsn decoded_through_;
  bool may_apply_ = false;  // no other agent of this region is known to write
  const std::string run_;   // tokens of an earlier run must not count
};

}  // namespace pgduet
