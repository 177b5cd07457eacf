// Parameters of set-based statements: each column's values as one array literal. Pure.
#pragma once

#include <vector>

#include "apply/change_groups.h"
#include "apply/pg_pipeline.h"
#include "apply/target_table.h"

namespace pgduet {

// One empty literal for each column, with its type's delimiter; the types are ArrayTypes'
// (table_sql.h).
std::vector<ArrayLiteral> ColumnArrays(const TargetTable& table, const std::vector<int>& columns);
PgParameter ToParameter(const Value& value);
void AddValue(ArrayLiteral& literal, const Value& value);
std::vector<PgParameter> Finished(std::vector<ArrayLiteral> literals);

// The key columns of these groups.
std::vector<PgParameter> KeyArrays(const TableGroups& table, const std::vector<size_t>& groups);

}  // namespace pgduet
