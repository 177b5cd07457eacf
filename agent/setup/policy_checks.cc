// CheckPolicies: see findings.h. The functions of `custom` are in function_checks.cc.
#include <algorithm>

#include <fmt/format.h>

#include "agent/setup/findings.h"
#include "agent/setup/policy_function_checks.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

// A large value can stand apart from its row where the table, or a partition of it, has a place
// for such values; PostgreSQL makes none when no row can be large.
constexpr char kTableSql[] = R"(
SELECT c.oid, c.relreplident = 'f', EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate),
       (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attlen = -1 AND a.attstorage <> 'p'
          AND EXISTS (SELECT FROM pg_catalog.pg_class part WHERE part.reltoastrelid <> 0
                        AND (part.oid = c.oid OR part.oid IN (SELECT p.relid FROM pg_catalog.pg_partition_tree(c.oid) p))))
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p'))";

// One-dimensional arrays: the element type says which array type is its own, so int2vector and its
// like do not count. Key columns: of the key that apply uses, as in table_checks.cc.
constexpr char kColumnSql[] = R"(
SELECT pg_catalog.format_type(a.atttypid, a.atttypmod),
       CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = a.atttypid) THEN
              CASE WHEN a.attndims > 1 THEN 'table' ELSE 'array' END
            WHEN a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype) THEN 'number'
            WHEN a.atttypid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) THEN 'time'
            WHEN a.atttypid IN ('float4'::regtype, 'float8'::regtype) THEN 'float'
            WHEN a.atttypid = 'jsonb'::regtype THEN 'jsonb' ELSE 'other' END,
       a.attnotnull, a.attgenerated <> '', a.attidentity = 'a',
       a.attnum = ANY (coalesce((SELECT (i.indkey::int2[])[0:i.indnkeyatts - 1] FROM pg_catalog.pg_index i
         WHERE i.indrelid = a.attrelid AND (i.indisprimary OR i.indisreplident) AND i.indimmediate ORDER BY i.indisreplident DESC LIMIT 1), '{}'))
FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::oid AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped)";

constexpr char kUniqueSql[] = R"(
SELECT i.indexrelid::regclass::text FROM pg_catalog.pg_index i
WHERE i.indrelid = $1::oid AND (i.indisunique OR i.indisexclusion)
  AND i.indexrelid IS DISTINCT FROM (SELECT k.indexrelid FROM pg_catalog.pg_index k WHERE k.indrelid = $1::oid
    AND (k.indisprimary OR k.indisreplident) AND k.indimmediate ORDER BY k.indisreplident DESC LIMIT 1)
ORDER BY 1)";

void Error(Findings& findings, const char* name, std::string what, std::string remedy) {
  findings.push_back({Severity::kError, name, std::move(what), std::move(remedy)});
}

// What kinds of type (kColumnSql) a kind of column takes, for people and for the check.
struct Takes {
  ColumnKind kind;
  std::string_view kinds;
  std::string_view types;
};
constexpr Takes kTakes[] = {
    {ColumnKind::kCounter, "number float",
     "smallint, integer, bigint, numeric, real or double precision"},
    {ColumnKind::kMax, "number time",
     "smallint, integer, bigint, numeric, date, timestamp or timestamptz"},
    {ColumnKind::kMin, "number time",
     "smallint, integer, bigint, numeric, date, timestamp or timestamptz"},
    {ColumnKind::kAddWinsSet, "array jsonb", "a one-dimensional array, or jsonb with an array"},
    {ColumnKind::kMap, "jsonb", "jsonb with an object"},
};

std::string TypeRemedy(const Takes& takes) {
  return fmt::format("'{}' takes {} (domains over them do not count); choose another kind or type.",
                     ColumnKindName(takes.kind), takes.types);
}

bool TypeFits(const TableConfig& table, const ColumnPolicy& column, const PgResult& row,
              Findings& findings) {
  for (const Takes& takes : kTakes) {
    if (takes.kind != column.kind || takes.kinds.find(row.Text(0, 1)) != std::string_view::npos)
      continue;
    Error(
        findings, "policy_column_type",
        fmt::format("a column's type does not fit its kind: table={} column={} kind={} type={}",
                    table.QuotedName(), column.column, ColumnKindName(column.kind), row.Text(0, 0)),
        TypeRemedy(takes));
    return false;
  }
  return true;
}

// What a column is besides its type.
void CheckPlace(const TableConfig& table, const ColumnPolicy& column, const PgResult& row,
                Findings& findings) {
  const std::string place = fmt::format("table={} column={}", table.QuotedName(), column.column);
  if (row.Bool(0, 3)) {
    return Error(findings, "policy_column_generated",
                 fmt::format("a generated column does not travel: {}", place),
                 "Take it out of 'columns' and 'groups': each region computes it from the others.");
  }
  if (column.kind == ColumnKind::kLatest) return;
  if (row.Bool(0, 4)) {
    Error(findings, "policy_column_generated",
          fmt::format("a column that is GENERATED ALWAYS AS IDENTITY cannot be set: {}", place),
          fmt::format("ALTER TABLE {} ALTER COLUMN {} SET GENERATED BY DEFAULT; or leave the "
                      "column 'latest'.",
                      table.QuotedName(), QuoteName(column.column)));
  }
  if (row.Bool(0, 5)) {
    Error(findings, "policy_key_column",
          fmt::format("a key column says which row it is, and is not merged: {} kind={}", place,
                      ColumnKindName(column.kind)),
          "Take it out of 'columns'.");
  }
  if (column.kind == ColumnKind::kCounter && !row.Bool(0, 2)) {
    Error(findings, "policy_column_null", fmt::format("a counter must be NOT NULL: {}", place),
          fmt::format("UPDATE {0} SET {1} = 0 WHERE {1} IS NULL; ALTER TABLE {0} ALTER COLUMN {1} "
                      "SET NOT NULL;",
                      table.QuotedName(), QuoteName(column.column)));
  }
}

void CheckColumn(const TableConfig& table, const std::string& oid, const ColumnPolicy& column,
                 PgConnection& connection, Findings& findings) {
  absl::StatusOr<PgResult> row = connection.Query(kColumnSql, {oid, column.column});
  if (!row.ok()) return AddStatus(findings, row.status());
  if (row->rows() == 0) {
    return Error(findings, "policy_column_missing",
                 fmt::format("the policy names a column that the table lacks: table={} column={}",
                             table.QuotedName(), column.column),
                 "Correct the name in 'columns' or 'groups' (as PostgreSQL has it, without SQL's "
                 "quotes), or add the column in all regions.");
  }
  if (TypeFits(table, column, *row, findings)) CheckPlace(table, column, *row, findings);
}

void CheckMerge(const TableConfig& table, const PgResult& row, PgConnection& connection,
                Findings& findings) {
  const std::string oid(row.Text(0, 0));
  if (!row.Bool(0, 1)) {
    Error(findings, "replica_identity_not_full",
          fmt::format("policy 'merge' needs whole old rows, to know what each write changed: "
                      "table={}",
                      table.QuotedName()),
          fmt::format("{}ALTER TABLE {} REPLICA IDENTITY FULL; in all regions.",
                      row.Bool(0, 2) ? "" : "First give the table a PRIMARY KEY; then ",
                      table.QuotedName()));
  }
  std::vector<ColumnPolicy> named = table.policy.columns;
  for (const std::vector<std::string>& group : table.policy.groups) {
    for (const std::string& column : group) {
      const auto same = [&](const ColumnPolicy& one) { return one.column == column; };
      if (std::none_of(named.begin(), named.end(), same)) named.push_back({column});
    }
  }
  for (const ColumnPolicy& column : named) CheckColumn(table, oid, column, connection, findings);
}

void CheckUniqueKeys(const TableConfig& table, const std::string& oid, PgConnection& connection,
                     Findings& findings) {
  absl::StatusOr<PgResult> rows = connection.Query(kUniqueSql, {oid});
  if (!rows.ok()) return AddStatus(findings, rows.status());
  for (int row = 0; row < rows->rows(); ++row) {
    findings.push_back(
        {Severity::kWarning, "policy_unique_key",
         fmt::format("a second unique key under a policy that shows rows as it decides: table={} "
                     "policy={} index={}",
                     table.QuotedName(), PolicyName(table.policy.kind), rows->Text(row, 0)),
         "A row that collides there stops the stream (unique_violation) until somebody changes one "
         "of the two. Put the region into the key, or let one region own the value."});
  }
}

void CheckLargeValues(const TableConfig& table, const PgResult& row, Findings& findings) {
  if (table.policy.kind == PolicyKind::kMerge || row.Bool(0, 1) || row.IsNull(0, 3)) return;
  findings.push_back(
      {Severity::kWarning, "large_value_unknown",
       fmt::format("a large value that a write leaves alone may be unknown when versions meet: "
                   "table={} policy={} columns={}",
                   table.QuotedName(), PolicyName(table.policy.kind), row.Text(0, 3)),
       fmt::format("ALTER TABLE {} REPLICA IDENTITY FULL; in all regions.", table.QuotedName())});
}

// A table that is missing is CheckTables' matter.
void CheckPolicy(const TableConfig& table, PgConnection& connection, Findings& findings) {
  absl::StatusOr<PgResult> row = connection.Query(kTableSql, {table.schema, table.name});
  if (!row.ok()) return AddStatus(findings, row.status());
  if (row->rows() == 0) return;
  if (table.policy.kind == PolicyKind::kMerge) CheckMerge(table, *row, connection, findings);
  if (table.policy.kind == PolicyKind::kCustom) CheckPolicyFunction(table, connection, findings);
  CheckUniqueKeys(table, std::string(row->Text(0, 0)), connection, findings);
  CheckLargeValues(table, *row, findings);
}

}  // namespace

void CheckPolicies(const Config& config, PgConnection& connection, Findings& findings) {
  for (const TableConfig& table : config.tables) {
    if (table.policy.KeepsVersions()) CheckPolicy(table, connection, findings);
  }
}

}  // namespace pgduet
