// What the parts of one apply transaction share: who we are, whose changes these are, and the histories that decide. References
// only; lives for one session of one origin.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "apply/coverage_history.h"
#include "apply/pg_pipeline.h"
#include "apply/region_identity.h"
#include "apply/target_table.h"
#include "apply/tombstone_registry.h"
#include "resolve/conflict.h"

namespace pgduet {

// What an apply transaction did, for metrics; counted once it is committed.
struct ApplyCounts {
  uint64_t transactions = 0;
  uint64_t inserts = 0;
  uint64_t updates = 0;
  uint64_t deletes = 0;
  uint64_t truncates = 0;
  uint64_t slow_rows = 0;
  std::map<std::pair<ConflictKind, Decision>, uint64_t> conflicts;
};

// A key that this transaction brought to life, and the version it gave it (the origin is known).
struct InsertedKey {
  TableKey key;
  CommitTime commit_time = 0;
};
using InsertedKeys = std::deque<InsertedKey>;  // no doubling copies: millions of keys in one transaction

struct ApplyScope {
  const RegionIdentity& identity;
  Rank origin;
  // Replication origin oids of this database, by rank; 0 for our own.
  const std::vector<Oid>& origin_oids;
  PgPipeline& pipeline;
  TargetCatalog& catalog;
  CoverageHistory& history;
  TombstoneRegistry& registry;

  // Whose write a stamp names; unknown origins (other tools') and unstamped rows count as local.
  Rank RankOf(Oid roident) const {
    for (size_t rank = 0; rank < origin_oids.size(); ++rank) {
      if (roident != 0 && origin_oids[rank] == roident) return static_cast<Rank>(rank);
    }
    return identity.rank;
  }
};

}  // namespace pgduet
