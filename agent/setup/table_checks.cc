// CheckTables: see findings.h.
#include <fmt/format.h>

#include "agent/setup/findings.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

// The key that apply uses: the replica identity index, else the primary key.
constexpr char kTableSql[] = R"(
SELECT c.oid, c.relkind, c.relpersistence, c.relreplident, c.relrowsecurity,
       (SELECT i.indexrelid FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND (i.indisprimary OR i.indisreplident)
          AND i.indimmediate  -- a deferrable key does not identify rows: their updates would be refused once they are published
        ORDER BY i.indisreplident DESC LIMIT 1),
       has_table_privilege(c.oid, 'SELECT, INSERT') AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
         AND has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
         AND has_schema_privilege(c.relnamespace, 'USAGE')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2)";

// Key columns whose equality is not the equality of their canonical text.
constexpr char kBadKeySql[] = R"(
WITH RECURSIVE key AS (
  SELECT a.attname, a.atttypid, a.attcollation, a.attgenerated <> '' AS generated FROM pg_catalog.pg_index i
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
  WHERE i.indexrelid = $1::oid AND k.place <= i.indnkeyatts),
base AS (
  SELECT key.attname, key.attcollation, key.generated, false AS inner_type, t.oid, t.typbasetype, t.typtype, t.typname FROM key JOIN pg_catalog.pg_type t ON t.oid = key.atttypid
  UNION ALL
  SELECT base.attname, base.attcollation, base.generated, true, t.oid, t.typbasetype, t.typtype, t.typname FROM base
  JOIN pg_catalog.pg_type t ON t.oid = base.typbasetype)
SELECT base.attname, pg_catalog.format_type(base.oid, NULL) || CASE WHEN base.generated THEN ' (generated)' ELSE '' END FROM base LEFT JOIN pg_catalog.pg_collation c ON c.oid = base.attcollation
WHERE base.typbasetype = 0
  AND (base.generated OR base.typtype = 'e' AND base.inner_type  -- domains over enums have no operator =
       OR base.typtype <> 'e' AND base.oid NOT IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'oid'::regtype, 'text'::regtype, 'varchar'::regtype,
       'bpchar'::regtype, 'name'::regtype, '"char"'::regtype, 'uuid'::regtype, 'date'::regtype, 'time'::regtype,
       'timestamp'::regtype, 'timestamptz'::regtype, 'bytea'::regtype, 'bool'::regtype, 'numeric'::regtype, 'inet'::regtype,
       'cidr'::regtype, 'macaddr'::regtype, 'macaddr8'::regtype, 'float4'::regtype, 'float8'::regtype, 'bit'::regtype,
       'varbit'::regtype) OR c.collisdeterministic = false))";

void Error(Findings& findings, const char* name, std::string what, std::string remedy) {
  findings.push_back({Severity::kError, name, std::move(what), std::move(remedy)});
}

void CheckIdentity(const TableConfig& table, const PgResult& row, PgConnection& connection,
                   Findings& findings) {
  const std::string quoted = table.QuotedName();
  const char identity = row.Text(0, 3).empty() ? 'd' : row.Text(0, 3)[0];
  if (row.IsNull(0, 5)) {
    Error(
        findings, "key_missing",
        fmt::format("table has neither primary key nor replica identity index that is not "
                    "deferrable: table={}",
                    quoted),
        fmt::format(
            "ALTER TABLE {0} ADD PRIMARY KEY (...); or, with a unique index over NOT NULL columns: "
            "ALTER TABLE {0} REPLICA IDENTITY USING INDEX ...;",
            quoted));
    return;
  }
  if (identity == 'n') {
    Error(findings, "replica_identity_nothing",
          fmt::format("table's replica identity is NOTHING: table={}", quoted),
          fmt::format("ALTER TABLE {} REPLICA IDENTITY DEFAULT;", quoted));
  }
  absl::StatusOr<PgResult> bad = connection.Query(kBadKeySql, {std::string(row.Text(0, 5))});
  if (!bad.ok()) return AddStatus(findings, bad.status());
  for (int key = 0; key < bad->rows(); ++key) {
    Error(findings, "key_type_unsupported",
          fmt::format("equal keys of this type can differ in their text, or do not travel: "
                      "table={} column={} type={}",
                      quoted, bad->Text(key, 0), bad->Text(key, 1)),
          "Use a key of another type, or a deterministic collation.");
  }
}

// What the WAL has of an old row is the partition's choice, what we are told of it the root's.
void CheckPartitions(const TableConfig& table, const std::string& oid, PgConnection& connection,
                     Findings& findings) {
  absl::StatusOr<PgResult> rows = connection.Query(
      "SELECT format('%I.%I', n.nspname, c.relname), root.relreplident FROM pg_catalog.pg_class "
      "root "
      "CROSS JOIN LATERAL pg_catalog.pg_partition_tree(root.oid) p JOIN pg_catalog.pg_class c ON "
      "c.oid = p.relid "
      "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE root.oid = $1::oid AND "
      "root.relkind = 'p' AND p.isleaf "
      "AND (c.relreplident = 'f') <> (root.relreplident = 'f') ORDER BY 1",
      {oid});
  if (!rows.ok()) return AddStatus(findings, rows.status());
  for (int row = 0; row < rows->rows(); ++row) {
    Error(findings, "partition_identity_differs",
          fmt::format("a partition's replica identity is not its root's: table={} partition={}",
                      table.QuotedName(), rows->Text(row, 0)),
          fmt::format("ALTER TABLE {} REPLICA IDENTITY {};", rows->Text(row, 0),
                      rows->Text(row, 1) == "f" ? "FULL" : "DEFAULT"));
  }
}

void CheckParkingKey(const TableConfig& table, const PgResult& rows, int row, Findings& findings) {
  if (!rows.Bool(row, 1) && !rows.Bool(row, 2)) {
    findings.push_back(
        {Severity::kInfo, "secondary_unique_key",
         fmt::format("a second unique key: table={} index={} on_unique=park_loser",
                     table.QualifiedName(), rows.Text(row, 0)),
         "When two regions take one value at the same time, the later row is shown and the other "
         "one parked (pgduet parked list)."});
    return;
  }
  Error(findings, "unique_key_unsupported",
        // A deferrable key is checked by a trigger, which does not fire for applied changes.
        fmt::format("on_unique: park_loser cannot judge an exclusion constraint, a deferrable key, "
                    "or one over a generated column: table={} index={}",
                    table.QualifiedName(), rows.Text(row, 0)),
        "Drop it, or set on_unique: stop for the table.");
}

void CheckUniqueKeys(const TableConfig& table, const std::string& oid, const std::string& key,
                     PgConnection& connection, Findings& findings) {
  absl::StatusOr<PgResult> rows = connection.Query(
      "SELECT indexrelid::regclass::text, indisexclusion OR NOT indimmediate, EXISTS (SELECT FROM "
      "pg_catalog.pg_depend d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND "
      "a.attnum = d.refobjsubid WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = "
      "indexrelid AND d.refobjid = indrelid AND a.attgenerated <> '') FROM pg_catalog.pg_index "
      "WHERE indrelid = $1::oid AND "
      "(indisunique OR indisexclusion) "
      "AND indexrelid <> $2::oid",
      {oid, key});
  if (!rows.ok()) return AddStatus(findings, rows.status());
  for (int row = 0; row < rows->rows(); ++row) {
    if (table.on_unique == "park_loser") {
      CheckParkingKey(table, *rows, row, findings);
      continue;
    }
    findings.push_back({Severity::kWarning, "secondary_unique_key",
                        fmt::format("a second unique key: table={} index={} on_unique=stop",
                                    table.QuotedName(), rows->Text(row, 0)),
                        "Two regions can take the same value at the same time; then the stream "
                        "stops (unique_violation) until "
                        "one of the rows is changed. Set on_unique: park_loser for the table, put "
                        "the region into the key, or let one region own the value."});
  }
}

void CheckTriggers(const TableConfig& table, const std::string& oid, PgConnection& connection,
                   Findings& findings) {
  absl::StatusOr<PgResult> rows = connection.Query(
      "SELECT tgname FROM pg_catalog.pg_trigger WHERE tgrelid = $1::oid AND NOT tgisinternal AND "
      "tgenabled IN ('A', 'R')",
      {oid});
  for (int row = 0; rows.ok() && row < rows->rows(); ++row) {
    findings.push_back({Severity::kInfo, "trigger_fires_on_apply",
                        fmt::format("a trigger fires for applied changes, too: table={} trigger={}",
                                    table.QuotedName(), rows->Text(row, 0)),
                        "What it writes to replicated tables stays here: it is not published."});
  }
}

void CheckTable(const TableConfig& table, PgConnection& connection, Findings& findings) {
  const std::string quoted = table.QuotedName();
  absl::StatusOr<PgResult> row = connection.Query(kTableSql, {table.schema, table.name});
  if (!row.ok()) return AddStatus(findings, row.status());
  if (row->rows() == 0) {
    return Error(
        findings, "table_missing", fmt::format("table is missing: table={}", quoted),
        "Create it with the same definition in all regions, or take it out of the configuration.");
  }
  const std::string kind(row->Text(0, 1));
  if (kind != "r" && kind != "p") {
    return Error(findings, "table_kind",
                 fmt::format("not an ordinary or partitioned table: table={}", quoted),
                 "Views, foreign tables and sequences cannot be replicated; take it out of the "
                 "configuration.");
  }
  if (row->Text(0, 2) != "p") {
    return Error(findings, "table_not_logged",
                 fmt::format("table is unlogged or temporary: table={}", quoted),
                 fmt::format("ALTER TABLE {} SET LOGGED;", quoted));
  }
  const std::string oid(row->Text(0, 0));
  CheckIdentity(table, *row, connection, findings);
  if (!row->Bool(0, 6)) {
    Error(findings, "table_right_missing",
          fmt::format("the agent's role may not write the table: table={}", quoted),
          fmt::format(
              "GRANT USAGE ON SCHEMA {} TO ...; GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO ...; "
              "('pgduet init' does it when postgres_admin is configured)",
              QuoteName(table.schema), quoted));
  }
  if (row->Bool(0, 4)) {
    findings.push_back({Severity::kWarning, "row_security",
                        fmt::format("table has row security: table={}", quoted),
                        "The agent's role needs BYPASSRLS or ownership: it works with row_security "
                        "off and stops when rows would be hidden."});
  }
  if (!table.policy.KeepsVersions()) {  // else: CheckPolicies
    CheckUniqueKeys(table, oid, row->IsNull(0, 5) ? "0" : std::string(row->Text(0, 5)), connection,
                    findings);
  }
  CheckPartitions(table, oid, connection, findings);
  CheckTriggers(table, oid, connection, findings);
}

}  // namespace

void CheckTables(const Config& config, PgConnection& connection, Findings& findings) {
  for (const TableConfig& table : config.tables) CheckTable(table, connection, findings);
}

}  // namespace pgduet
