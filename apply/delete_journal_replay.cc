// What a local delete does to the rows that other regions have written under its keys: as text, and
// queued for the journal's session.
#include <fmt/format.h>

#include "apply/delete_journal.h"
#include "apply/postgres_time.h"
#include "apply/set_parameters.h"
#include "apply/table_sql.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

// When a crash of the database took the journal's transaction back, this is not the first time: the
// delete was published before, and the writer of the row may have seen it. Its vector tells. $2 is
// our rank, $4 the delete's LSN.
std::string HadSeenSql(Incarnation ours) {
  return fmt::format(
      "EXISTS (SELECT FROM pgduet.progress p, unnest(string_to_array(p.vector, ' ')) AS e "
      "WHERE (p.xid::text::numeric % 4294967296)::text = t.xmin::text AND split_part(e, ':', 1) = "
      "$2 "
      "AND split_part(e, ':', 2) = '{}' AND ('x' || lpad(split_part(e, ':', 4), 16, "
      "'0'))::bit(64)::bigint "
      ">= $4::pg_lsn - '0/0'::pg_lsn)",
      IncarnationToString(ours));
}

// What stands under the deleted keys (s): counted, or locked and counted.
std::string LookTemplate(bool lock) {
  return fmt::format(
      "WITH s AS (SELECT * FROM unnest({{arrays}}) AS s({{names}})), met AS (SELECT 1 FROM s JOIN "
      "{{table}} t ON true {{match}} WHERE (pg_xact_commit_timestamp_origin(t.xmin)).roident IN "
      "({{ranks}}){}) SELECT count(*), max($1), max($3) FROM met",
      lock ? " FOR UPDATE OF t" : "");
}

// Decided and logged. Most deletes meet nothing: only this asks whether an earlier run has done a
// key.
std::string ReplayTemplate() {
  return "WITH s AS (SELECT * FROM unnest({arrays}) AS s({names}) "
         "WHERE NOT EXISTS (SELECT FROM pgduet.tombstone d WHERE d.relation = {oid} AND "
         "d.key_digest = s.digest AND d.commit_lsn = $4::pg_lsn AND d.rank = $2::smallint)), "
         "met AS (SELECT t.ctid AS place, t.tableoid AS part, s.digest, {row_json} AS whole, "
         "(SELECT to_jsonb(k.*) FROM (SELECT {key_json}) k) AS key, w.stamp, w.rank FROM s JOIN "
         "{table} t ON true {match}, "
         "LATERAL (SELECT (pg_xact_commit_timestamp_origin(t.xmin)).timestamp AS stamp, "
         "CASE (pg_xact_commit_timestamp_origin(t.xmin)).roident{cases} END AS rank) w "
         "WHERE (pg_xact_commit_timestamp_origin(t.xmin)).roident IN ({ranks}) AND NOT "
         "{had_seen}), "
         "gone AS (DELETE FROM {table} t USING met WHERE t.ctid = met.place AND t.tableoid = "
         "met.part "
         "AND (met.stamp, met.rank) < ($1::timestamptz, $2::int) RETURNING met.place, met.part) "
         "INSERT INTO pgduet.conflict (table_schema, table_name, key_digest, key, kind, policy, "
         "decision, remote_operation, "
         "remote_row, remote_region, remote_time, local_operation, local_region, local_time, "
         "local_lsn) "
         "SELECT {schema}, {name}, met.digest, met.key, 'update_deleted', 'last_write_wins', "
         "CASE WHEN gone.place IS NULL THEN 'apply_remote' ELSE 'keep_local' END, 'row', "
         "met.whole, "
         "r.name, met.stamp, "
         "'delete', $3, $1::timestamptz, $4::pg_lsn FROM met JOIN pgduet.region r ON r.rank = "
         "met.rank "
         "LEFT JOIN gone ON gone.place = met.place AND gone.part = met.part "
         "WHERE NOT EXISTS (SELECT FROM pgduet.conflict c WHERE c.key_digest = met.digest "
         "AND c.local_time = $1::timestamptz AND c.local_operation = 'delete' AND c.remote_region "
         "= "
         "r.name)";
}

}  // namespace

// Other regions' rows under the deleted keys: the older ones are deleted, all are logged. A key
// that has this very tombstone already was done by an earlier run.
absl::Status DeleteJournal::QueueReplay(const LocalTransaction& transaction,
                                        const TableDeletes& table, ReplayStep step) {
  const TargetTable& target = *table.table;
  std::string cases, ranks, key_json, match;
  for (size_t rank = 0; rank < session_->origin_oids().size(); ++rank) {
    // A row of ours that was parked and came back knows as little of the delete as another's.
    const Oid origin =
        rank == identity_.rank ? session_->housekeeper_oid() : session_->origin_oids()[rank];
    if (origin == 0) continue;
    cases += fmt::format(" WHEN {} THEN {}", origin, rank);
    ranks += fmt::format("{}{}", ranks.empty() ? "" : ", ", origin);
  }
  for (size_t part = 0; part < target.keys.size(); ++part) {
    const TargetColumn& column = target.columns[target.keys[part]];
    key_json += fmt::format("{}t.{}", key_json.empty() ? "" : ", ", column.quoted);
    match += fmt::format(" AND t.{} = s.c{}", column.quoted, part);
  }
  // A truncate gives one source row that matches every row of the table, by an empty key.
  const int first = 5;
  std::string arrays = fmt::format("${}::uuid[]", first), names = "digest";
  std::vector<Oid> types = {25, 25, 25, 25, 25};
  for (size_t part = 0; !table.truncated && part < target.keys.size(); ++part) {
    arrays += fmt::format(", ${}", first + 1 + static_cast<int>(part));
    names += fmt::format(", c{}", part);
    types.push_back(ArrayTypes(target, target.keys)[part]);
  }
  const std::string sql = fmt::format(
      fmt::runtime(step == ReplayStep::kDecide ? ReplayTemplate()
                                               : LookTemplate(step == ReplayStep::kLock)),
      fmt::arg("had_seen", HadSeenSql(identity_.incarnation)), fmt::arg("arrays", arrays),
      fmt::arg("names", names), fmt::arg("oid", target.oid), fmt::arg("key_json", key_json),
      fmt::arg("row_json", target.row_json), fmt::arg("table", target.quoted),
      fmt::arg("match", table.truncated ? "" : match), fmt::arg("cases", cases),
      fmt::arg("ranks", ranks),
      fmt::arg("schema", session_->connection().QuoteLiteral(target.schema)),
      fmt::arg("name", session_->connection().QuoteLiteral(target.name)));
  ArrayLiteral digests;
  std::vector<ArrayLiteral> parts;
  if (!table.truncated) parts = ColumnArrays(target, target.keys);
  for (const KeyDelete& one : table.deletes) {
    if (table.truncated && !one.key_text.empty()) continue;
    digests.Add(KeyDigest(one.key_text));
    const std::vector<std::string> values = KeyValues(one.key_text);
    for (size_t part = 0; part < parts.size(); ++part) parts[part].Add(values[part]);
  }
  std::vector<PgParameter> parameters = {
      TimestampText(transaction.commit_time), std::to_string(identity_.rank), identity_.name(),
      transaction.commit_lsn.ToString(), std::move(digests).Finish()};
  for (PgParameter& part : Finished(std::move(parts))) parameters.push_back(std::move(part));
  return session_->pipeline().Add(sql, parameters, types).status();
}

}  // namespace pgduet
