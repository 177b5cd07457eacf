// Looks at parked rows again: those whose value is free come back, those that were overwritten or
// deleted under their key go.
//
// Each looker has the rows of one region: an apply session those of its origin, the housekeeper our
// own. So what comes back is written by a session with the right replication origin and carries the
// row's own commit time: its version is what it was. Each row in a transaction of its own, not
// published. What a client has locked is left for the next time. One thread.
#pragma once

#include <set>
#include <string>

#include "apply/apply_scope.h"
#include "apply/parking_lot.h"
#include "apply/target_session.h"

namespace pgduet {

class ParkedReturns {
 public:
  ParkedReturns(const RegionIdentity& identity, Rank rank, ParkingLot& parking,
                CoverageHistory& history, TombstoneRegistry& registry, const AppliedState& applied,
                const PolicyTables& policies)
      : identity_(identity),
        rank_(rank),
        parking_(parking),
        history_(history),
        registry_(registry),
        applied_(applied),
        policies_(policies) {}

  // One round; cheap when nothing is parked. Only a lost connection is an error.
  absl::Status Step(TargetSession& session, PgConnection& catalog_connection, absl::Time now);

 private:
  absl::Status LookAt(TargetSession& session, const std::shared_ptr<const TargetTable>& table);
  absl::Status ReturnOne(TargetSession& session, const std::shared_ptr<const TargetTable>& table,
                         const std::string& key_text);
  absl::Status Move(TargetSession& session, ApplyScope& scope,
                    const std::shared_ptr<const TargetTable>& table, const std::string& key_text);
  absl::StatusOr<bool> Superseded(ApplyScope& scope, const TargetTable& table,
                                  const std::string& key_text, const Version& version,
                                  bool& exists);

  const RegionIdentity& identity_;
  const Rank rank_;
  ParkingLot& parking_;
  CoverageHistory& history_;
  TombstoneRegistry& registry_;
  const AppliedState& applied_;
  const PolicyTables& policies_;
  std::set<Oid> due_;
  absl::Time all_at_ = absl::InfinitePast();
  absl::Time looked_at_ = absl::InfinitePast();
  absl::Time warned_at_ = absl::InfinitePast();
};

}  // namespace pgduet
