// pgduet.journal_place: up to where the WAL is noted in pgduet.row_state, and what had been applied
// here at that place. Written with the states, so that a repeat after a crash neither notes a write
// twice nor takes it with another vector. One thread; the session is the caller's.
#pragma once

#include <deque>

#include <absl/status/statusor.h>

#include "apply/target_session.h"
#include "schemas/version.h"

namespace pgduet {

class JournalPlace {
 public:
  // Stores the first place, with what is applied now: everything before the LSN was written while
  // no table kept versions. Nothing may be applied meanwhile.
  static absl::Status Begin(TargetSession& session, Lsn lsn);
  // Reads the place; `vector` is what had been applied there. When there is none yet, it is what is
  // applied now: the policies are new, and nothing was written under them before.
  absl::Status Load(TargetSession& session, AppliedVector& vector);
  // Chunk `chunk` of the local transaction at this LSN was noted before.
  bool Noted(Lsn commit_lsn, int64_t chunk) const {
    return commit_lsn < lsn_ || (commit_lsn == lsn_ && chunk <= chunk_);
  }
  Lsn lsn() const { return lsn_; }
  // Queues the new place. Chunk -1: everything before the LSN, nothing at it.
  absl::Status Queue(PgPipeline& pipeline, Lsn lsn, int64_t chunk, const AppliedVector& vector);
  // It is committed; `written`: the WAL insert position after that.
  void Written(Lsn written) { unflushed_.push_back({lsn_, written}); }
  // The newest place that a crash of the database cannot take back.
  Lsn durable() const { return durable_; }
  absl::Status LookForDurable(TargetSession& session);

 private:
  struct Unflushed {
    Lsn place;
    Lsn written;
  };
  Lsn lsn_;
  int64_t chunk_ = -1;
  std::deque<Unflushed> unflushed_;
  Lsn durable_;
};

}  // namespace pgduet
