// Which tables have a policy that keeps versions, and their columns as the engine sees them.
// Values; fixed for a run.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "apply/target_table.h"
#include "resolve/row_engine.h"

namespace pgduet {

class PolicyTables {
 public:
  using ByName = std::map<std::pair<std::string, std::string>, TablePolicy>;  // schema, table
  PolicyTables() = default;
  // The tables whose policy came online, and where in our WAL: their local writes before it were
  // decided under the set before, and are not noted again when they are decoded again.
  struct Changed {
    std::set<std::pair<std::string, std::string>> tables;  // schema, table
    Lsn since;
  };
  explicit PolicyTables(ByName policies) : policies_(std::move(policies)) {}
  PolicyTables(ByName policies, Changed changed)
      : policies_(std::move(policies)), changed_(std::move(changed)) {}
  bool empty() const { return policies_.empty(); }
  // nullptr: last write wins, which needs no versions besides the row's own.
  const TablePolicy* Find(const std::string& schema, const std::string& name) const;
  // The local write that committed there was decided under another set.
  bool IsPast(const std::string& schema, const std::string& name, Lsn commit_lsn) const {
    return commit_lsn <= changed_.since && changed_.tables.contains({schema, name});
  }

 private:
  ByName policies_;
  Changed changed_;
};

// The engine's view of the table, columns in the order of `table.columns`.
RowShape ShapeOf(const TargetTable& table, const TablePolicy& policy);

// A row of the relation as the engine takes it; absent where it has no value for a column.
RowImage ImageOf(const TargetTable& table, std::span<const Value> row);

}  // namespace pgduet
