// The SQL of the sweep for one table, and what it finds. Text and parsing only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apply/region_identity.h"
#include "apply/target_table.h"

namespace pgduet {

// A row that stands under a tombstone with a greater version.
struct MissedRow {
  std::string place;  // ctid
  std::string part;   // oid of the table, or of its partition
  uint32_t xid = 0;
  Version version;
  std::string json;
  std::string key_text;
  Version deleted;  // the tombstone's
  Incarnation incarnation = 0;
  AppliedVector vector;  // of the deleting transaction
};

class SweepStatements {
 public:
  // `origin_oids` by rank, as in TargetSession. Tombstones of keys, or that of the whole table.
  SweepStatements(std::shared_ptr<const TargetTable> table, bool truncated,
                  const std::vector<Oid>& origin_oids, Rank self);

  static constexpr int kMissedMax = 500;
  // $1 digests. Locks what it finds, without waiting.
  std::string FindSql() const;
  MissedRow Parse(const PgResult& rows, int row) const;
  // $1 ctid, $2 table.
  std::string DeleteSql() const;
  // $1 digests, $2 the cohort's snapshot: the marks of those that no lower row stands under.
  std::string ClearSql() const;

  const std::shared_ptr<const TargetTable>& table() const { return table_; }
  bool truncated() const { return truncated_; }

 private:
  std::string Match() const;
  std::string Lower() const;

  std::shared_ptr<const TargetTable> table_;
  const bool truncated_;
  std::string rank_;  // an expression
};

}  // namespace pgduet
