#include "agent/commands/conflicts_row.h"

#include <set>

#include <fmt/format.h>

#include "base/named_error.h"
#include "capture/applied_marker.h"

namespace pgduet {

absl::StatusOr<std::shared_ptr<const TargetTable>> FindConflictTable(PgConnection& connection,
                                                                     const Json& entry) {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult found,
      connection.Query("SELECT to_regclass(format('%I.%I', table_schema, table_name))::oid FROM "
                       "pgduet.conflict WHERE id = $1::bigint",
                       {Text(entry["id"])}));
  if (found.rows() == 0 || found.IsNull(0, 0)) {
    return NamedError(absl::StatusCode::kFailedPrecondition, "table_missing",
                      fmt::format("table is missing: table={}", Text(entry["table"])),
                      "It was renamed or dropped since; the entry still has both rows.");
  }
  TargetCatalog catalog(connection);
  PGDUET_ASSIGN_OR_RETURN(const std::shared_ptr<const TargetTable> table,
                          catalog.FindByOid(static_cast<Oid>(found.Int(0, 0))));
  std::set<std::string> names, logged;
  for (const int key : table->keys) names.insert(table->columns[key].name);
  if (entry["key"].is_object()) {
    for (const auto& part : entry["key"].items()) logged.insert(part.key());
    if (names != logged) {
      return NamedError(
          absl::StatusCode::kFailedPrecondition, "key_differs",
          fmt::format("the table has another key than the entry: table={}", table->quoted),
          "The key was changed since: compare by hand; the entry still has both rows.");
    }
  }
  return table;
}

std::string KeyRecordSql(const TargetTable& table) {
  std::string columns;
  for (const int key : table.keys) {
    const TargetColumn& column = table.columns[key];
    columns += fmt::format("{}{} {}", columns.empty() ? "" : ", ", column.quoted, column.type);
  }
  return fmt::format("pg_catalog.jsonb_to_record(c.key) AS k({})", columns);
}

std::string KeyMatchSql(const TargetTable& table) {
  std::string match;
  for (const int key : table.keys) {
    const std::string& name = table.columns[key].quoted;
    match += fmt::format("{}t.{} = k.{}", match.empty() ? "" : " AND ", name, name);
  }
  return match;
}

absl::StatusOr<RowNow> ReadRowNow(PgConnection& connection, const Invocation& invocation,
                                  const TargetTable& table, int64_t id) {
  const std::string sql = fmt::format(
      R"(
SELECT t.whole::text, w.region, w.time, c.winner_operation IN ('delete', 'truncate'),
  (w.time = c.winner_time AND w.region = c.winner_region)
  OR (t.xid = c.xid::xid AND c.winner = 'remote' AND NOT EXISTS (
        SELECT FROM jsonb_each(c.winner_row) e WHERE t.whole -> e.key IS DISTINCT FROM e.value)), {5}
FROM {0} CROSS JOIN LATERAL {1}
LEFT JOIN LATERAL (SELECT {2} AS whole, t.xmin AS xid FROM {3} t WHERE {4}) t ON true
LEFT JOIN LATERAL (
  SELECT s.timestamp AS time, CASE WHEN s.timestamp IS NULL THEN NULL
    WHEN s.roident = 0 THEN (SELECT i.region FROM pgduet.identity i)
    ELSE (SELECT r.name FROM pgduet.region r WHERE pg_replication_origin_oid($2 || r.name) = s.roident) END AS region
  FROM pg_xact_commit_timestamp_origin(t.xid) s) w ON true
WHERE c.id = $1::bigint)",
      EntriesSql(), KeyRecordSql(table), table.row_json, table.quoted, KeyMatchSql(table),
      TextsSql("t.whole"));
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult rows,
      connection.Query(sql, {std::to_string(id),
                             OriginName(invocation.config.group, invocation.config.set, "")}));
  if (rows.rows() == 0) return NoSuchConflict(std::to_string(id));
  RowNow now{.exists = !rows.IsNull(0, 0), .row = nullptr};
  const bool deleted = rows.Bool(0, 3);
  now.stands = now.exists ? !deleted && rows.Bool(0, 4) : deleted;
  now.region = rows.Text(0, 1);
  now.time = rows.Text(0, 2);
  if (!now.exists) return now;
  now.json = rows.Text(0, 0);
  now.row = Json::parse(rows.Text(0, 5));
  return now;
}

std::string StandingText(const RowNow& now) {
  if (now.stands) return "as decided";
  if (!now.exists) return "deleted since";
  if (now.time.empty()) return "written since";
  return fmt::format("written since by {} at {}", now.region.empty() ? "somebody" : now.region,
                     now.time);
}

}  // namespace pgduet
