// The parts of a running region, wired: who reads what, on which thread. Built once the database
// has said who it is.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <prometheus/registry.h>

#include "agent/active_policies.h"
#include "agent/agent_status.h"
#include "agent/config.h"
#include "agent/policy_changer.h"
#include "apply/applied_state.h"
#include "apply/apply_metrics.h"
#include "apply/conflict_feed.h"
#include "apply/coverage_history.h"
#include "apply/delete_journal.h"
#include "apply/housekeeper.h"
#include "apply/local_watch.h"
#include "apply/origin_applier.h"
#include "apply/orphan_watch.h"
#include "apply/policy_journal.h"
#include "apply/policy_tables.h"
#include "apply/region_identity.h"
#include "apply/tombstone_registry.h"
#include "capture/capture_loop.h"

namespace pgduet {

class DirectPeer;

class RegionEngine {
 public:
  RegionEngine(ActivePolicies active, const RegionConfig& region, RegionIdentity identity,
               prometheus::Registry& registry);
  ~RegionEngine();
  // Loads what earlier runs left, then starts all threads.
  absl::Status Start();
  void Stop();

  std::vector<StreamStatus> Streams() const;
  // A count for each thread that must go round.
  std::vector<uint64_t> Rounds() const;
  uint64_t tombstones() const { return registry_.size(); }
  EnginePlace Place() const;
  const RegionIdentity& identity() const { return identity_; }

 private:
  CaptureOptions OwnCapture() const;
  void AddPeer(const RegionConfig& peer);
  void AddConflictFeed();
  absl::Status CheckTopic(const RegionConfig& owner) const;
  void WatchLag(std::stop_token stop);

  const uint64_t previous_policy_hash_;
  const std::set<std::pair<std::string, std::string>> changed_tables_;
  const Config config_;
  const RegionConfig region_;
  const RegionIdentity identity_;
  const PolicyTables policies_;
  ApplyMetrics apply_metrics_;
  CaptureMetrics capture_metrics_;
  AppliedState applied_;
  CoverageHistory history_;
  TombstoneRegistry registry_;
  ParkingLot parking_;
  ForeignKeyWatch foreign_keys_;
  DeleteJournal journal_;
  PolicyJournal policy_journal_;
  LocalWatch watch_;
  CaptureLoop capture_;
  std::vector<std::unique_ptr<DirectPeer>> direct_peers_;
  std::vector<std::unique_ptr<OriginApplier>> appliers_;
  std::vector<std::string> applier_names_;
  Housekeeper housekeeper_;
  OrphanWatch orphans_;
  std::unique_ptr<ConflictFeed> conflict_feed_;  // null: the log has no topic
  std::jthread capture_thread_;
  std::jthread lag_thread_;
};

}  // namespace pgduet
