// The apply side's slow work, on one thread, "housekeeper": samples for coverage, closed times,
// sweeps of missed deletes, removal of stable tombstones, of old progress rows and conflicts. What
// it does late costs space, a slower path, or a row that goes later; never correctness.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "apply/applied_state.h"
#include "apply/apply_metrics.h"
#include "apply/closed_time.h"
#include "apply/conflict_retention.h"
#include "apply/coverage_history.h"
#include "apply/parked_returns.h"
#include "apply/policy_tables.h"
#include "apply/region_identity.h"
#include "apply/sweep.h"
#include "apply/target_session.h"
#include "apply/tombstone_registry.h"
#include "base/pg_connection.h"

namespace pgduet {

class Housekeeper {
 public:
  Housekeeper(std::string conninfo, const RegionIdentity& identity, const PolicyTables& policies,
              AppliedState& applied, CoverageHistory& history, TombstoneRegistry& registry,
              ParkingLot& parking, const ForeignKeyWatch& foreign_keys, ApplyMetrics& metrics,
              ConflictLogLimits conflict_log);
  ~Housekeeper() { Stop(); }
  void Start();
  void Stop();

 private:
  void Run(std::stop_token stop);
  absl::Status Open();
  absl::Status Round(absl::Time now);
  absl::Status Sample(bool store);
  absl::Status CloseTime(bool flush);
  // Whether there is more to remove than was removed at once.
  absl::StatusOr<bool> RemoveStableTombstones();
  absl::StatusOr<int> RemoveTombstonesOf(Rank origin, const Position& stable);
  void ForgetRemoved(Lsn flushed);
  absl::Status RemoveSettledStates(absl::Time now);
  absl::Status CountSiblings();
  absl::Status CountParked();
  absl::Status TrimProgress();
  // Up to where the origin's deletes are stable: every other region has told us that it has them
  // (commit_lsn), and that nothing older is to come from it (below commit_time). Incarnation 0:
  // nothing is stable.
  Position StablePosition(Rank origin) const;

  const std::string conninfo_;
  const RegionIdentity& identity_;
  const PolicyTables& policies_;
  AppliedState& applied_;
  CoverageHistory& history_;
  TombstoneRegistry& registry_;
  ApplyMetrics& metrics_;
  std::unique_ptr<PgConnection> connection_;
  std::unique_ptr<TargetSession>
      session_;  // with an origin of ours: what it writes is not published
  std::deque<std::pair<FullXid, Lsn>> unflushed_samples_;  // of this connection
  FullXid oldest_running_ = 0;                             // at the last sample
  ClosingTimes closing_;
  Sweep sweep_;
  ConflictRetention retention_;
  ParkingLot& parking_;
  ParkedReturns returns_;
  struct Removed {
    std::vector<TableKey> keys;
    uint64_t generation;
    Lsn written;
  };
  std::deque<Removed> removed_;
  absl::Time tombstones_due_ = absl::InfinitePast();
  absl::Time trimmed_at_ = absl::InfinitePast();
  absl::Time states_due_ = absl::InfinitePast();
  absl::Time stored_at_ = absl::InfinitePast();
  absl::Time closed_at_ = absl::InfinitePast();
  std::jthread thread_;
};

// At start: what earlier runs left in the database.
absl::Status LoadTombstones(PgConnection& connection, TombstoneRegistry& registry);
absl::Status LoadHorizons(PgConnection& connection, CoverageHistory& history);

}  // namespace pgduet
