// The sweep: what a remote delete could not see when it was applied, and should have removed.
//
// PostgreSQL stamps a commit before it makes it visible, so a row can appear under a key after the
// delete that it loses to has looked (docs/decisions/0002, C; and A for two streams). Such deletes
// leave a tombstone with a mark (apply/tombstone_table.h). A sweep deletes and logs the rows under
// marked tombstones that have a lower version; rows of the tombstone's own region are left alone,
// one stream misses nothing. A tombstone is done, and loses its mark, with a sweep that begins
// after everything has ended that ran when we first saw the tombstone committed.
//
// A cohort is all that was marked in one look, a snapshot: no memory for each key. Locks are never
// waited for: what is locked keeps its mark. One thread, the housekeeper's.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "apply/apply_metrics.h"
#include "apply/coverage_history.h"
#include "apply/foreign_keys.h"
#include "apply/region_identity.h"
#include "apply/sweep_statements.h"
#include "apply/target_session.h"
#include "apply/target_table.h"

namespace pgduet {

class Sweep {
 public:
  Sweep(const RegionIdentity& identity, const CoverageHistory& history,
        const ForeignKeyWatch& foreign_keys, ApplyMetrics& metrics)
      : identity_(identity), history_(history), foreign_keys_(foreign_keys), metrics_(metrics) {}

  // The next step, if one is due. Every id below `oldest_running` had ended before the call.
  // `session` has an origin of ours and is in no transaction; `connection` is for looks.
  absl::Status Step(TargetSession& session, PgConnection& connection, FullXid oldest_running,
                    absl::Time now);
  // A cohort was looked at: it needs a transaction id that is given out after that look.
  bool wants_xid() const { return !snapshot_.empty() && xid_ == 0; }
  void XidGivenOut(FullXid xid) {
    if (wants_xid()) xid_ = xid;
  }
  // The database went away.
  void Reset();

 private:
  struct Marked {  // of one table
    Oid relation = 0;
    bool truncated = false;
    std::vector<std::string> digests;
  };
  enum class Kind { kInBetween, kLast };
  absl::Status LookForCohort(PgConnection& connection);
  absl::Status Pass(TargetSession& session, PgConnection& connection, Kind kind);
  absl::StatusOr<std::vector<Marked>> ListMarked(PgConnection& connection) const;
  absl::StatusOr<int64_t> SweepTable(TargetSession& session, TargetCatalog& catalog,
                                     const Marked& marked, Kind kind);
  absl::Status DeleteMissed(TargetSession& session, const SweepStatements& statements,
                            const std::string& digests);
  absl::Status DeleteOne(TargetSession& session, const SweepStatements& statements,
                         MissedRow missed);
  absl::Status QueueLocalConflict(PgPipeline& pipeline,
                                  const std::shared_ptr<const TargetTable>& table,
                                  const MissedRow& missed);
  absl::Status QueueMissedConflict(PgPipeline& pipeline, const SweepStatements& statements,
                                   const MissedRow& missed);

  const RegionIdentity& identity_;
  const CoverageHistory& history_;
  const ForeignKeyWatch& foreign_keys_;
  ApplyMetrics& metrics_;
  std::string snapshot_;  // of the cohort; empty: none
  FullXid xid_ = 0;
  std::map<Rank, ApplyCounts> counts_;  // of the open transaction
  absl::Time due_ = absl::InfinitePast();
  absl::Time warned_at_ = absl::InfinitePast();
};

}  // namespace pgduet
