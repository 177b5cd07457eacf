// The apply side's slow work, on one thread, "housekeeper": samples for coverage, removal of stable tombstones and of old
// progress rows. What it does late or not at all costs space or a slower path, never correctness.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "apply/applied_state.h"
#include "apply/apply_metrics.h"
#include "apply/coverage_history.h"
#include "apply/region_identity.h"
#include "apply/tombstone_registry.h"
#include "base/pg_connection.h"

namespace pgduet {

class Housekeeper {
 public:
  Housekeeper(std::string conninfo, const RegionIdentity& identity, AppliedState& applied, CoverageHistory& history,
              TombstoneRegistry& registry, ApplyMetrics& metrics);
  ~Housekeeper() { Stop(); }
  void Start();
  void Stop();

 private:
  void Run(std::stop_token stop);
  absl::Status Round(absl::Time now);
  absl::Status Sample(bool store);
  absl::Status RemoveStableTombstones();
  absl::Status RemoveTombstonesOf(Rank origin, const Position& stable);
  absl::Status TrimProgress();
  // Up to where every region has told us that it has the origin's transactions; incarnation 0: nothing is stable.
  Position StablePosition(Rank origin) const;

  const std::string conninfo_;
  const RegionIdentity& identity_;
  AppliedState& applied_;
  CoverageHistory& history_;
  TombstoneRegistry& registry_;
  ApplyMetrics& metrics_;
  std::unique_ptr<PgConnection> connection_;
  std::deque<std::pair<FullXid, Lsn>> unflushed_samples_;  // of this connection
  absl::Time tombstones_at_ = absl::InfinitePast();
  absl::Time trimmed_at_ = absl::InfinitePast();
  absl::Time stored_at_ = absl::InfinitePast();
  std::jthread thread_;
};

// At start: what earlier runs left in the database.
absl::Status LoadTombstones(PgConnection& connection, TombstoneRegistry& registry);
absl::Status LoadHorizons(PgConnection& connection, CoverageHistory& history);

}  // namespace pgduet
