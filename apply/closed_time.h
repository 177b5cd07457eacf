// The closed time of this database: no transaction whose commit record is still to be written has a
// commit time at or below it.
//
// PostgreSQL stamps a commit before it writes the record, for any length of time, so "now" is never
// closed. What closes a time t: read the clock (t), then let a transaction id X be given out. Who
// stamped at t or before had its id by then, below X. Once every id below X has ended
// (pg_snapshot_xmin), their records stand in the WAL, before whatever is written next.
// pg_snapshot_xmax will not do for X: ids above it may have been given out already and be running.
//
// docs/decisions/0002, C.3 and G. Pure; one thread.
#pragma once

#include <cstddef>
#include <deque>
#include <utility>

#include "apply/coverage_history.h"
#include "schemas/version.h"

namespace pgduet {

class ClosingTimes {
 public:
  // The clock was read first, then `xid` was given out.
  void Opened(CommitTime clock, FullXid xid);
  // Every id below `oldest_running` has ended: the highest time that is closed by that; kOldestTime
  // before there is one.
  CommitTime Closed(FullXid oldest_running);

 private:
  static constexpr size_t kOpenMax = 10'000;
  std::deque<std::pair<CommitTime, FullXid>> open_;
  CommitTime closed_ = kOldestTime;
};

}  // namespace pgduet
