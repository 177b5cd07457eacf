#include "apply/sweep_statements.h"

#include <cstdlib>

#include <fmt/format.h>

#include "apply/postgres_time.h"

namespace pgduet {
namespace {

// Expressions over t.xmin, not a joined function: they are computed again for a row that changed
// under our lock.
constexpr char kStamp[] = "(pg_xact_commit_timestamp_origin(t.xmin)).timestamp";
constexpr int kFixedColumns = 11;

}  // namespace

SweepStatements::SweepStatements(std::shared_ptr<const TargetTable> table, bool truncated,
                                 const std::vector<Oid>& origin_oids, Rank self)
    : table_(std::move(table)), truncated_(truncated) {
  std::string cases;
  for (size_t rank = 0; rank < origin_oids.size(); ++rank) {
    if (origin_oids[rank] != 0) cases += fmt::format(" WHEN {} THEN {}", origin_oids[rank], rank);
  }
  rank_ = fmt::format("CASE (pg_xact_commit_timestamp_origin(t.xmin)).roident{} ELSE {} END", cases,
                      self);
}

std::string SweepStatements::Match() const {
  std::string match = fmt::format("d.key {} ''", truncated_ ? "=" : "<>");
  for (size_t part = 0; !truncated_ && part < table_->keys.size(); ++part) {
    const TargetColumn& column = table_->columns[table_->keys[part]];
    match +=
        fmt::format(" AND t.{} = (d.key::text[])[{}]::{}", column.quoted, part + 1, column.type);
  }
  return match;
}

// Cheapest first. Rows of the marking transaction itself are what it left there.
std::string SweepStatements::Lower() const {
  return fmt::format(
      "t.xmin <> d.unswept::xid AND {0} <= d.commit_time AND {1} <> d.rank AND ({0}, {1}) < "
      "(d.commit_time, d.rank)",
      kStamp, rank_);
}

std::string SweepStatements::FindSql() const {
  std::string keys, names;
  for (size_t part = 0; part < table_->keys.size(); ++part) {
    keys += fmt::format(", t.{} AS k{}", table_->columns[table_->keys[part]].quoted, part);
    names += fmt::format(", t.k{}", part);
  }
  // The limit inside keeps the order of the loops: for each tombstone a look into the table, never
  // the other way round.
  return fmt::format(
      "SELECT t.place, t.part, t.xid, t.stamp, t.rank, t.whole, {}, d.rank, d.commit_lsn, "
      "d.incarnation, "
      "coalesce(d.vector, (SELECT p.vector FROM pgduet.progress p WHERE p.xid = d.unswept LIMIT "
      "1), ''){} "
      "FROM pgduet.tombstone d CROSS JOIN LATERAL (SELECT t.ctid::text AS place, t.tableoid::oid "
      "AS part, t.xmin::text AS xid, "
      "{} AS stamp, {} AS rank, {} AS whole{} FROM {} t WHERE {} AND {} LIMIT {} FOR UPDATE SKIP "
      "LOCKED) t "
      "WHERE d.relation = {} AND d.key_digest = ANY($1::uuid[]) AND d.unswept IS NOT NULL LIMIT {}",
      MicrosecondsOf("d.commit_time"), names, MicrosecondsOf(kStamp), rank_, table_->row_json, keys,
      table_->quoted, Match(), Lower(), truncated_ ? kMissedMax : 1, table_->oid, kMissedMax);
}

MissedRow SweepStatements::Parse(const PgResult& rows, int row) const {
  MissedRow missed;
  missed.place = rows.Text(row, 0);
  missed.part = rows.Text(row, 1);
  missed.xid = static_cast<uint32_t>(rows.Int(row, 2));
  missed.version = {.commit_time = rows.Int(row, 3), .rank = static_cast<Rank>(rows.Int(row, 4))};
  missed.json = rows.Text(row, 5);
  missed.deleted = {.commit_time = rows.Int(row, 6),
                    .rank = static_cast<Rank>(rows.Int(row, 7)),
                    .commit_lsn = Lsn::Parse(rows.Text(row, 8)).value_or(Lsn())};
  missed.incarnation = std::strtoull(std::string(rows.Text(row, 9)).c_str(), nullptr, 16);
  missed.vector = DecodeVector(std::string(rows.Text(row, 10)));
  std::vector<Value> key;
  for (size_t part = 0; part < table_->keys.size(); ++part) {
    key.push_back({ValueKind::kText, rows.Text(row, kFixedColumns + static_cast<int>(part))});
  }
  missed.key_text = KeyText(*table_, key);
  return missed;
}

std::string SweepStatements::DeleteSql() const {
  return fmt::format("DELETE FROM {} t WHERE t.ctid = $1::tid AND t.tableoid = $2::oid",
                     table_->quoted);
}

std::string SweepStatements::ClearSql() const {
  return fmt::format(
      "WITH done AS MATERIALIZED (SELECT d.ctid AS place FROM pgduet.tombstone d WHERE d.relation "
      "= {0} "
      "AND d.key_digest = ANY($1::uuid[]) AND pg_visible_in_snapshot(d.unswept, $2::pg_snapshot) "
      "AND NOT EXISTS (SELECT FROM {1} t WHERE {2} AND {3} OFFSET 0) FOR UPDATE SKIP LOCKED) "
      "UPDATE pgduet.tombstone u SET unswept = NULL, vector = NULL FROM done WHERE u.ctid = "
      "done.place",
      table_->oid, table_->quoted, Match(), Lower());
}

}  // namespace pgduet
