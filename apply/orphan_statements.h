// The SQL of looking for orphans of one foreign key, and what it finds. Text and parsing only.
#pragma once

#include <string>
#include <vector>

#include "apply/foreign_keys.h"

namespace pgduet {

struct Orphan {
  size_t place = 0;      // of its parent in what was asked; 0 when the whole table was asked
  std::string key_text;  // canonical
  std::string json;
  CommitTime commit_time = kOldestTime;
  Oid origin = 0;          // replication origin of its writer
  std::string parent_key;  // jsonb, as `key`
  std::string key;
};

class OrphanStatements {
 public:
  explicit OrphanStatements(const ForeignKey& key) : key_(key) {}

  static constexpr int kOrphansMax = 500;
  // kReport: those whose loss of this parent stands in the log already are left out. kDelete and
  // kRevive lock what they find, and leave what is locked. kLook: all.
  enum class For { kLook, kReport, kDelete, kRevive };
  // $1 on: an array of texts for each column of the parent's key; then the times of the deletes
  // (kReport). With `whole_table` no arrays: every child without parent; $1 the time (kReport).
  std::string FindSql(For purpose, bool whole_table) const;
  Orphan Parse(const PgResult& rows, int row) const;
  // $1 on: the child's key.
  std::string DeleteSql() const;

  const ForeignKey& key() const { return key_; }

 private:
  std::string NoParent() const;
  const ForeignKey& key_;
};

}  // namespace pgduet
