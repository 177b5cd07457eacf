// Entries of pgduet.conflict, written inside the apply transaction that decided them.
//
// An entry holds both rows in full, both versions, what met what, and the decision. Row values go
// to that table and nowhere else.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "apply/change_groups.h"
#include "apply/pg_pipeline.h"
#include "apply/region_identity.h"
#include "resolve/conflict.h"

namespace pgduet {

struct ConflictEntry {
  const TableGroups* table = nullptr;
  const KeyGroup* group = nullptr;
  const KeyStep* step = nullptr;
  const ApplyUnit* unit = nullptr;
  ConflictKind kind = ConflictKind::kUpdateOriginDiffers;
  Decision decision = Decision::kApplyRemote;
  // The local side: a row, a delete (tombstone), or nothing known.
  std::optional<std::string> local_row;  // jsonb text
  bool local_deleted = false;
  std::optional<Version> local_version;  // empty with a live row: older than the attachment
};

// Queues the inserts; the caller runs the pipeline. Entries of one table that show the same columns
// are one statement; their ids are in the order of `entries`, those of a key always.
absl::Status QueueConflicts(PgPipeline& pipeline, const RegionIdentity& identity,
                            std::span<const ConflictEntry> entries);
absl::Status QueueConflict(PgPipeline& pipeline, const RegionIdentity& identity,
                           const ConflictEntry& entry);

std::string_view OperationName(ChangeKind kind);  // "insert", ...

// What a delete carries when only the key is known: a row of the origin's relation. Views into
// `key`.
std::vector<Value> RowOfKey(const TargetTable& table, const std::vector<std::string>& key);

}  // namespace pgduet
