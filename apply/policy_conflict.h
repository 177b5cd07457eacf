// Conflict log entries of tables that keep versions: the arriving write, and the newest version
// that it had not seen. Written in the transaction that decided. Row values go to pgduet.conflict
// and nowhere else.
#pragma once

#include <optional>
#include <string>

#include "apply/pg_pipeline.h"
#include "apply/region_identity.h"
#include "apply/target_table.h"
#include "resolve/conflict.h"
#include "resolve/row_engine.h"

namespace pgduet {

struct PolicyConflict {
  const TargetTable* table = nullptr;
  std::string key_text;
  PolicyKind policy = PolicyKind::kMerge;
  ConflictKind kind = ConflictKind::kUpdateOriginDiffers;
  Decision decision = Decision::kMerge;
  // The two sides. `remote` is the other region's one, also when ours was decoded last.
  Member remote;
  ChangeKind remote_operation = ChangeKind::kUpdate;
  uint64_t remote_sequence = 0;
  std::optional<Member> local;
};

// How the meeting is called: what arrived, against what it had not seen.
ConflictKind KindOfMeeting(ChangeKind arriving, bool other_deleted);
Decision DecisionOf(Shown shown);

absl::Status QueuePolicyConflict(PgPipeline& pipeline, const RegionIdentity& identity,
                                 const PolicyConflict& conflict);

}  // namespace pgduet
