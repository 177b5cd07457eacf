// The SQL that apply runs against one target table. Text only: no connection, no values.
//
// Columns are addressed by their place in TargetTable::columns. A `carried` list says which of them
// a statement writes: columns whose value is not known (unchanged large values) are left out. Names
// come from the target's catalog and are quoted; values are always parameters.
#pragma once

#include <string>
#include <vector>

#include "apply/target_table.h"

namespace pgduet {

// Which rows a set-based statement may touch: those that the incoming transaction covers.
// Parameters, in this order: the origin's replication origin oid; the local horizon xid; then for
// each other region its origin oid and horizon xid. CoverageParameterCount says how many.
struct CoverageSql {
  int other_origins = 0;
  int ParameterCount() const { return 2 + 2 * other_origins; }
  // `first` is the number of the first parameter.
  std::string Condition(int first) const;
  std::vector<Oid> ParameterTypes() const;
};

// Set-based; every column is one array parameter (types: ArrayTypes), then the coverage parameters.
std::string InsertSetSql(const TargetTable& table, const std::vector<int>& carried);
// The data follow in COPY's text format (bulk_copy.h).
std::string CopySql(const TargetTable& table, const std::vector<int>& carried);
std::string UpdateSetSql(const TargetTable& table, const std::vector<int>& carried,
                         const CoverageSql& coverage);
std::string DeleteSetSql(const TargetTable& table,
                         const CoverageSql& coverage);  // returns the places touched
// After an insert or update that touched fewer rows than it was given: places (from 1) whose row is
// not this transaction's.
std::string NotOursSql(const TargetTable& table);
std::vector<Oid> ArrayTypes(const TargetTable& table, const std::vector<int>& columns);

// One row. Parameters: the columns, or the key.
std::string ReadRowSql(
    const TargetTable& table);  // xmin, time, roident, own, row as jsonb; locks the row
// The same of many rows: their place (from 1) first; none for a key without a row. Parameters:
// arrays of the key's columns.
std::string ReadRowsSql(const TargetTable& table);
// xmin, time, roident, own, then each column; locks the row
std::string ReadImageSql(const TargetTable& table);
std::string ReadColumnsSql(const TargetTable& table,
                           const std::vector<int>& columns);  // locks the row
std::string OwnRowSql(
    const TargetTable& table);  // a row when this transaction wrote the one that stands there
std::string InsertRowSql(const TargetTable& table, const std::vector<int>& carried);
std::string UpdateRowSql(const TargetTable& table,
                         const std::vector<int>& carried);  // columns, then key
// Many rows, all locked and decided: arrays of the columns, key among them. Returns the places
// (from 1) of the rows that it touched.
std::string UpdateRowsSql(const TargetTable& table, const std::vector<int>& carried);
// For tables with `replaces_rows`: the row anew, as UpdateRowSql would leave it. The same
// parameters.
std::string ReplaceRowSql(const TargetTable& table, const std::vector<int>& carried);
std::string DeleteRowSql(const TargetTable& table);
std::vector<Oid> ScalarTypes(const TargetTable& table, const std::vector<int>& columns);
// An expression: jsonb of the carried columns given as parameters from `first` on.
std::string JsonOfParameters(const TargetTable& table, const std::vector<int>& carried, int first);
// The fields of such a row, where unnest's columns are s.c<first> and so on: for a LATERAL subquery
// whose to_jsonb gives the same as JsonOfParameters.
std::string JsonFieldsOfSource(const TargetTable& table, const std::vector<int>& carried,
                               size_t first);

// All columns / all that an UPDATE may set.
std::vector<int> AllColumns(const TargetTable& table);

}  // namespace pgduet
