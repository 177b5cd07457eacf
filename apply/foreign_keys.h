// The foreign keys between replicated tables, as this database has them.
//
// Applied changes fire no foreign key triggers, so pgduet looks for orphans itself
// (docs/decisions/0007). It can where the key refers to the columns by which pgduet knows the
// parent's rows: then what is deleted, and what has a tombstone, says which children to look at.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include "apply/target_table.h"
#include "base/pg_connection.h"
#include "resolve/orphans.h"

namespace pgduet {

// One foreign key as the catalog has it, judged.
struct FoundForeignKey {
  std::string name;
  std::string child;   // "schema"."table": the replicated table, also when the key is a partition's
  std::string parent;  // "schema"."table"
  Oid child_oid = 0;
  Oid parent_oid = 0;
  std::vector<std::string> columns;  // the child's, in the order of the parent's key
  std::string unsupported;           // why pgduet cannot watch it; empty: it can
  bool indexed = false;              // the child has an index that begins with these columns
  bool parent_full = false;          // the parent has REPLICA IDENTITY FULL
};

// All foreign keys of these tables (schema, name); those that PostgreSQL does not enforce are left
// out.
struct ReplicatedTable {
  std::string schema;
  std::string name;
  OnOrphan rule = OnOrphan::kReport;
  std::string unsupported;  // why orphans cannot be watched where this table takes part
};
absl::StatusOr<std::vector<FoundForeignKey>> FindForeignKeys(
    PgConnection& connection, const std::vector<ReplicatedTable>& tables);

// One that is watched.
struct ForeignKey {
  std::string name;
  std::shared_ptr<const TargetTable> child, parent;
  std::vector<std::string> columns;  // the child's, in the order of the parent's key
  OnOrphan rule = OnOrphan::kReport;
};

// Values; shared and never changed.
class ForeignKeys {
 public:
  explicit ForeignKeys(std::vector<ForeignKey> keys);
  ForeignKeys(const ForeignKeys&) = delete;
  ForeignKeys& operator=(const ForeignKeys&) = delete;
  bool empty() const { return keys_.empty(); }
  const std::vector<const ForeignKey*>& OfChild(Oid table) const;
  const std::vector<const ForeignKey*>& OfParent(Oid table) const;
  bool IsParent(Oid table) const { return !OfParent(table).empty(); }
  // Whether rows of this table are written back for their children.
  bool Revived(Oid parent) const;

 private:
  const std::vector<ForeignKey> keys_;
  absl::flat_hash_map<Oid, std::vector<const ForeignKey*>> by_child_, by_parent_;
};

// What the agent's threads have of them. Thread-safe.
class ForeignKeyWatch {
 public:
  explicit ForeignKeyWatch(std::vector<ReplicatedTable> tables);
  // From the catalog; again now and then, for keys that come and go.
  absl::Status Load(PgConnection& connection);
  std::shared_ptr<const ForeignKeys> keys() const;

 private:
  const std::vector<ReplicatedTable> tables_;
  mutable std::mutex mutex_;
  std::shared_ptr<const ForeignKeys> keys_;
};

}  // namespace pgduet
