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
#include <optional>
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

// Closes time along with a session's transactions, which read the clock and take an id anyway: as
// often as they come, where the housekeeper's own transactions come at intervals. For a session
// whose transactions wait for it, so that they may share one (docs/decisions/0002, G).
class ClosingAlong {
 public:
  // Something waits for a time that is not closed yet: the next transaction that can tells of one.
  void Want() { wanted_ = true; }
  // What the transaction that begins is to tell; nothing: nobody waits, or nothing is new.
  std::optional<CommitTime> ToTell();
  // It read the clock and the oldest running id, and after that was given an id.
  void Began(CommitTime clock, FullXid oldest_running);
  // It is committed, that id and what it told with it. One that is not has told nothing.
  void Committed(FullXid xid);

 private:
  ClosingTimes times_;
  CommitTime clock_ = kOldestTime;
  FullXid oldest_running_ = 0;
  CommitTime told_ = kOldestTime;
  std::optional<CommitTime> telling_;
  bool wanted_ = false;
};

}  // namespace pgduet
