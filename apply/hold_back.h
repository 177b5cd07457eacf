// What a transaction waits for before it is applied: what its origin had seen (causal order, design
// section 2), our own decoder, and the clock.
//
// One thread, that of the session. Waits end when a stop is requested: Cancelled.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "apply/applied_state.h"
#include "apply/decoder_barrier.h"
#include "apply/region_identity.h"
#include "apply/target_session.h"

namespace pgduet {

class HoldBack {
 public:
  using SetState = std::function<void(const std::string&)>;
  // All but the callback must outlive it.
  HoldBack(const RegionIdentity& identity, Rank origin, absl::Duration max_clock_skew,
           AppliedState& applied, DecoderBarrier& barrier, SetState set_state, std::stop_token stop)
      : identity_(identity),
        origin_(origin),
        max_clock_skew_(max_clock_skew),
        applied_(applied),
        barrier_(barrier),
        set_state_(std::move(set_state)),
        stop_(std::move(stop)) {}

  // `seen`: the origin's applied vector at that transaction. `time`: the highest commit time that
  // rows are stamped with.
  absl::Status Wait(TargetSession& session, const AppliedVector& seen, CommitTime time);
  // Until this database's clock has most likely passed the time: the transaction asks once more,
  // and has to come back here when it has not.
  absl::Status WaitForLikelyClock(TargetSession& session, CommitTime time);
  // Until this database's clock has passed the time, so that local writes from then on are later.
  // clock_ahead beyond max_clock_skew.
  absl::Status WaitForClock(TargetSession& session, CommitTime time);

 private:
  absl::Status WaitForCauses(TargetSession& session, const AppliedVector& seen);
  void WaitForDecoder(const AppliedVector& seen);

  const RegionIdentity& identity_;
  const Rank origin_;
  const absl::Duration max_clock_skew_;
  AppliedState& applied_;
  DecoderBarrier& barrier_;
  const SetState set_state_;
  const std::stop_token stop_;
  bool decoder_is_late_ = false;
};

}  // namespace pgduet
