// What capture tells the rest of the agent about its own database, in WAL commit order, before it
// publishes.
//
// Implemented in apply/ (tombstones, coverage history) and wired in agent/. Called from the capture
// thread only; a call may block (that slows capture, and so the slot: nothing is lost).
#pragma once

#include <cstdint>
#include <string_view>

#include <absl/status/status.h>

#include "schemas/change.h"
#include "schemas/version.h"

namespace pgduet {

struct LocalTransaction {
  uint32_t xid = 0;
  Lsn commit_lsn;
  CommitTime commit_time = 0;
};

class LocalObserver {
 public:
  virtual ~LocalObserver() = default;
  // The stream begins, or begins anew further back: what was said after that place comes again.
  virtual absl::Status StreamBegins() { return absl::OkStatus(); }
  // A transaction of ours was passed that applied this one: local transactions from here on have
  // seen it.
  virtual void RemoteApplied(Rank /*origin*/, const Position& /*position*/) {}
  // A transaction written here (not applied here) begins in the stream.
  virtual void LocalTransactionDecoded(const LocalTransaction& transaction) = 0;
  // Its changes, chunk by chunk, before the chunk is appended to the log. The observer takes
  // deletes, key changes and truncates out of it: tombstones are written and the delete is replayed
  // by version, now or, when PutsOff() says so, with RoundEnds(). Other things that it has to do
  // with them may wait for RoundEnds() without a word.
  virtual absl::Status LocalChanges(const LocalTransaction& transaction,
                                    const ChangeBatch& batch) = 0;
  // A non-empty token of a transactional message "pgduet.barrier" was reached.
  virtual void BarrierDecoded(std::string_view token) = 0;
  // No transaction that is decoded from here on has a commit time at or below this one. Holds until
  // DecodedThrough moves back.
  virtual void TimeClosed(CommitTime time) = 0;
  // Everything committed before this LSN has been decoded and observed. Moves back when the stream
  // begins anew.
  virtual void DecodedThrough(Lsn lsn) = 0;
  // What was told is not to be published before RoundEnds() has returned OK.
  virtual bool PutsOff() const { return false; }
  // All that had arrived is observed, or the log takes no more for now: what was put off is done
  // before this returns OK.
  virtual absl::Status RoundEnds() { return absl::OkStatus(); }
  // What was observed up to this LSN survives a crash of the database (the slot may move up to it).
  virtual Lsn DurableThrough(Lsn wanted) = 0;
};

}  // namespace pgduet
