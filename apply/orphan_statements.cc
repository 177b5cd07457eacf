#include "apply/orphan_statements.h"

#include <fmt/format.h>

#include "apply/postgres_time.h"

namespace pgduet {
namespace {

constexpr int kFixedColumns = 6;

std::string ColumnsOf(const TargetTable& table, std::string_view alias) {
  std::string columns;
  for (const int part : table.keys)
    columns += fmt::format(", {}.{}", alias, table.columns[part].quoted);
  return columns;
}

}  // namespace

std::string OrphanStatements::NoParent() const {
  std::string match;
  for (size_t part = 0; part < key_.columns.size(); ++part) {
    match += fmt::format("{}p.{} = t.{}", part == 0 ? "" : " AND ",
                         key_.parent->columns[key_.parent->keys[part]].quoted,
                         QuoteName(key_.columns[part]));
  }
  return fmt::format("NOT EXISTS (SELECT FROM {} p WHERE {})", key_.parent->quoted, match);
}

std::string OrphanStatements::FindSql(For purpose, bool whole_table) const {
  std::string arrays, names, match, parent, refers;
  for (size_t part = 0; part < key_.columns.size(); ++part) {
    const TargetColumn& column = key_.parent->columns[key_.parent->keys[part]];
    const std::string ours = QuoteName(key_.columns[part]);
    arrays += fmt::format("{}${}::text[]", part == 0 ? "" : ", ", part + 1);
    names += fmt::format("{}k{}", part == 0 ? "" : ", ", part);
    match += fmt::format("{}t.{} = k.k{}::{}", part == 0 ? "" : " AND ", ours, part, column.type);
    parent += fmt::format("{}{}, t.{}", part == 0 ? "" : ", ", QuoteText(column.name), ours);
    refers += fmt::format("{}t.{} IS NOT NULL", part == 0 ? "" : " AND ", ours);
  }
  const bool report = purpose == For::kReport;
  const size_t time = key_.columns.size() + 1;
  std::string from;
  if (whole_table) {
    from = fmt::format("(SELECT 0 AS place{}) k JOIN {} t ON {}",
                       report ? ", $1::timestamptz AS gone_at" : "", key_.child->quoted, refers);
  } else {
    from = fmt::format("unnest({}{}) WITH ORDINALITY k ({}{}, place) JOIN {} t ON {}", arrays,
                       report ? fmt::format(", ${}::timestamptz[]", time) : "", names,
                       report ? ", gone_at" : "", key_.child->quoted, match);
  }
  const std::string parent_json = fmt::format("jsonb_build_object({})", parent);
  std::string child;
  for (const int part : key_.child->keys) {
    const TargetColumn& column = key_.child->columns[part];
    child +=
        fmt::format("{}{}, t.{}", child.empty() ? "" : ", ", QuoteText(column.name), column.quoted);
  }
  std::string logged;
  if (report) {
    logged = fmt::format(
        " AND NOT EXISTS (SELECT FROM pgduet.conflict c WHERE c.kind = 'parent_missing' AND "
        "c.table_schema = {} AND c.table_name = {} AND c.key = jsonb_build_object({}) AND "
        "c.remote_row = {} AND c.remote_time >= coalesce(k.gone_at, '-infinity'))",
        QuoteText(key_.child->schema), QuoteText(key_.child->name), child, parent_json);
  }
  std::string lock;
  if (purpose == For::kDelete) lock = " FOR UPDATE OF t SKIP LOCKED";
  if (purpose == For::kRevive) lock = " FOR KEY SHARE OF t SKIP LOCKED";
  // The parent is locked first, as TRUNCATE ... CASCADE does: a WITH is looked at before the FROM.
  // It is not run.
  return fmt::format(
      "WITH parents AS (SELECT FROM {}) SELECT k.place, {}, {}, "
      "coalesce((pg_xact_commit_timestamp_origin(t.xmin)).roident, 0), "
      "{}, jsonb_build_object({}){} FROM {} WHERE {}{} LIMIT {}{}",
      key_.parent->quoted, key_.child->row_json,
      MicrosecondsOf("(pg_xact_commit_timestamp_origin(t.xmin)).timestamp"), parent_json, child,
      ColumnsOf(*key_.child, "t"), from, NoParent(), logged, kOrphansMax, lock);
}

Orphan OrphanStatements::Parse(const PgResult& rows, int row) const {
  Orphan orphan;
  const int64_t place = rows.Int(row, 0);
  orphan.place = place == 0 ? 0 : static_cast<size_t>(place - 1);
  orphan.json = rows.Text(row, 1);
  if (!rows.IsNull(row, 2)) orphan.commit_time = rows.Int(row, 2);
  orphan.origin = static_cast<Oid>(rows.Int(row, 3));
  orphan.parent_key = rows.Text(row, 4);
  orphan.key = rows.Text(row, 5);
  std::vector<Value> key;
  for (size_t part = 0; part < key_.child->keys.size(); ++part)
    key.push_back({ValueKind::kText, rows.Text(row, kFixedColumns + static_cast<int>(part))});
  orphan.key_text = KeyText(*key_.child, key);
  return orphan;
}

std::string OrphanStatements::DeleteSql() const {
  std::string match;
  for (size_t part = 0; part < key_.child->keys.size(); ++part) {
    const TargetColumn& column = key_.child->columns[key_.child->keys[part]];
    match += fmt::format("{}t.{} = ${}::{}", part == 0 ? "" : " AND ", column.quoted, part + 1,
                         column.type);
  }
  return fmt::format("DELETE FROM {} t WHERE {}", key_.child->quoted, match);
}

}  // namespace pgduet
