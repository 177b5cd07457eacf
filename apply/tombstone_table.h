// Writes into pgduet.tombstone, inside the transaction that deletes.
//
// A tombstone keeps the greatest version. One of a remote delete that may have missed a row
// (docs/decisions/0002, A and C) is marked: `unswept` holds the id of the transaction that marked
// it, until apply/sweep.h has looked. A tombstone that is raised keeps its mark, by a local delete
// too; one that is greater already needs none for the lower delete: whoever made it made sure of
// all below it, or has the mark itself. (Both were tried in the simulation.)
#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>

#include "apply/apply_scope.h"
#include "apply/change_groups.h"
#include "apply/pg_pipeline.h"

namespace pgduet {

enum class Mark : uint8_t { kSwept, kUnswept };

// Queues one statement for all keys of one table; a truncate has an empty key text. `vectors`: of
// each delete that of its transaction, for the log's coverage; none: that of the apply transaction
// as pgduet.progress has it (the marking transaction's id leads to it).
absl::Status QueueTombstones(PgPipeline& pipeline, Oid table, const std::vector<KeyDelete>& deletes,
                             Mark mark, const std::vector<std::string>& vectors);

// The same for deletes of one transaction, for keys that have no tombstone: half the work. When one
// has, after all, the statement fails with unique_violation (23505).
absl::Status QueueFirstTombstones(PgPipeline& pipeline, Oid table,
                                  const std::vector<KeyDelete>& deletes);

// What a source transaction deleted: a key, or a whole table.
KeyDelete DeleteOf(const ApplyUnit& unit, const TargetTable& table, const KeyGroup& group);
KeyDelete TruncateOf(const ApplyUnit& unit, const TargetTable& table);

// Whether a remote delete of this key that meets a row needs a tombstone. With two regions nothing
// older can come after it; but a tombstone that is there already must give way to it.
bool NeedsTombstone(const ApplyScope& scope, const TargetTable& table, const KeyGroup& group);
// The same for one remote delete of an apply transaction: known to the registry first.
absl::Status QueueRemoteTombstone(const ApplyScope& scope, const KeyDelete& one,
                                  const AppliedVector& vector);

}  // namespace pgduet
