// Which tables have a policy that keeps versions, and their columns as the engine sees them.
// Values; fixed for a run.
#pragma once

#include <functional>
#include <map>
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
  explicit PolicyTables(ByName policies) : policies_(std::move(policies)) {}
  bool empty() const { return policies_.empty(); }
  // nullptr: last write wins, which needs no versions besides the row's own.
  const TablePolicy* Find(const std::string& schema, const std::string& name) const;

 private:
  ByName policies_;
};

// The engine's view of the table, columns in the order of `table.columns`.
RowShape ShapeOf(const TargetTable& table, const TablePolicy& policy);

// A row of the relation as the engine takes it; absent where it has no value for a column.
RowImage ImageOf(const TargetTable& table, std::span<const Value> row);

}  // namespace pgduet
