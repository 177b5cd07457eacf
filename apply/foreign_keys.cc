#include "apply/foreign_keys.h"

#include <algorithm>

#include "base/named_error.h"

namespace pgduet {
namespace {

// One row for each column of each foreign key. The parent's key is the one of target_table.cc. Some
// columns of pg_constraint are newer than PostgreSQL 15, so they are read through jsonb.
constexpr char kForeignKeysSql[] = R"(
WITH replicated AS (
  SELECT c.oid, '"' || replace(n.nspname, '"', '""') || '"."' || replace(c.relname, '"', '""') || '"' AS quoted, c.relreplident
  FROM unnest($1::text[], $2::text[]) w (schema_name, table_name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema_name
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.table_name AND c.relkind IN ('r', 'p')),
base AS (SELECT t.oid AS type_oid, CASE WHEN t.typbasetype = 0 THEN t.oid ELSE t.typbasetype END AS base FROM pg_catalog.pg_type t)
SELECT k.oid, k.conname, child.oid, child.quoted, k.conrelid <> child.oid, k.confrelid,
       (SELECT '"' || replace(n.nspname, '"', '""') || '"."' || replace(c.relname, '"', '""') || '"' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = k.confrelid),
       parent.oid IS NOT NULL, coalesce(parent.relreplident = 'f', false), ca.attname,
       (SELECT x.place FROM unnest(pk.numbers) WITH ORDINALITY x (attnum, place) WHERE x.attnum = u.p AND x.place <= pk.size),
       pk.size,
       cb.base = pb.base OR cb.base IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) AND pb.base IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
         OR cb.base IN ('text'::regtype, 'varchar'::regtype) AND pb.base IN ('text'::regtype, 'varchar'::regtype),
       coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false), ca.attgenerated <> '',
       EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indpred IS NULL
               AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)
FROM replicated child
CROSS JOIN LATERAL (SELECT child.oid UNION SELECT p.relid FROM pg_catalog.pg_partition_tree(child.oid) p) part (oid)
JOIN pg_catalog.pg_constraint k ON k.conrelid = part.oid AND k.contype = 'f' AND k.conparentid = 0
LEFT JOIN replicated parent ON parent.oid = k.confrelid
LEFT JOIN LATERAL (SELECT i.indkey::int2[] AS numbers, i.indnkeyatts::int AS size FROM pg_catalog.pg_index i
  WHERE i.indrelid = k.confrelid AND (i.indisprimary OR i.indisreplident) ORDER BY i.indisreplident DESC LIMIT 1) pk ON true
CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY u (c, p, n)
JOIN pg_catalog.pg_attribute ca ON ca.attrelid = k.conrelid AND ca.attnum = u.c
JOIN pg_catalog.pg_attribute pa ON pa.attrelid = k.confrelid AND pa.attnum = u.p
JOIN base cb ON cb.type_oid = ca.atttypid JOIN base pb ON pb.type_oid = pa.atttypid
WHERE coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
ORDER BY child.quoted, k.conname, k.oid, u.n)";

// What can be wrong with one column of it.
std::string FaultOf(const PgResult& rows, int row) {
  if (rows.Bool(row, 4)) return "it belongs to a single partition";
  if (!rows.Bool(row, 7)) return "the table that it refers to is not replicated";
  if (rows.Bool(row, 13)) return "it is over periods of time";
  if (rows.IsNull(row, 10))
    return "it refers to another key than the one by which pgduet knows the rows (primary key, or "
           "replica identity index)";
  if (rows.Bool(row, 14)) return "a column of it is generated, and does not travel";
  if (!rows.Bool(row, 12)) return "its columns have another type than those that they refer to";
  return {};
}

std::string TableFault(const std::vector<ReplicatedTable>& tables, const FoundForeignKey& key) {
  for (const ReplicatedTable& table : tables) {
    const std::string quoted = QuoteName(table.schema) + "." + QuoteName(table.name);
    if (!table.unsupported.empty() && (quoted == key.child || quoted == key.parent))
      return table.unsupported;
  }
  return {};
}

}  // namespace

absl::StatusOr<std::vector<FoundForeignKey>> FindForeignKeys(
    PgConnection& connection, const std::vector<ReplicatedTable>& tables) {
  ArrayLiteral schemas, names;
  for (const ReplicatedTable& table : tables) {
    schemas.Add(table.schema);
    names.Add(table.name);
  }
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult rows,
      connection.Query(kForeignKeysSql, {std::move(schemas).Finish(), std::move(names).Finish()}));
  std::vector<FoundForeignKey> keys;
  std::string last;
  std::vector<std::pair<int64_t, std::string>> parts;
  for (int row = 0; row < rows.rows(); ++row) {
    if (last != rows.Text(row, 0)) {
      last = rows.Text(row, 0);
      parts.clear();
      keys.push_back({.name = std::string(rows.Text(row, 1)),
                      .child = std::string(rows.Text(row, 3)),
                      .parent = std::string(rows.Text(row, 6)),
                      .child_oid = static_cast<Oid>(rows.Int(row, 2)),
                      .parent_oid = static_cast<Oid>(rows.Int(row, 5)),
                      .columns = {},
                      .unsupported = {},
                      .indexed = rows.Bool(row, 15),
                      .parent_full = rows.Bool(row, 8)});
    }
    FoundForeignKey& key = keys.back();
    if (key.unsupported.empty()) key.unsupported = FaultOf(rows, row);
    if (key.unsupported.empty()) key.unsupported = TableFault(tables, key);
    parts.emplace_back(rows.Int(row, 10), std::string(rows.Text(row, 9)));
    std::vector<std::pair<int64_t, std::string>> sorted = parts;
    std::sort(sorted.begin(), sorted.end());
    key.columns.clear();
    for (const auto& [place, column] : sorted) key.columns.push_back(column);
  }
  return keys;
}

ForeignKeys::ForeignKeys(std::vector<ForeignKey> keys) : keys_(std::move(keys)) {
  for (const ForeignKey& key : keys_) {
    by_child_[key.child->oid].push_back(&key);
    by_parent_[key.parent->oid].push_back(&key);
  }
}

namespace {
const std::vector<const ForeignKey*>& At(
    const absl::flat_hash_map<Oid, std::vector<const ForeignKey*>>& keys, Oid table) {
  static const std::vector<const ForeignKey*> kNone;
  const auto at = keys.find(table);
  return at == keys.end() ? kNone : at->second;
}
}  // namespace

const std::vector<const ForeignKey*>& ForeignKeys::OfChild(Oid table) const {
  return At(by_child_, table);
}

const std::vector<const ForeignKey*>& ForeignKeys::OfParent(Oid table) const {
  return At(by_parent_, table);
}

bool ForeignKeys::Revived(Oid parent) const {
  const auto& keys = OfParent(parent);
  return std::any_of(keys.begin(), keys.end(),
                     [](const ForeignKey* key) { return key->rule == OnOrphan::kReviveParent; });
}

ForeignKeyWatch::ForeignKeyWatch(std::vector<ReplicatedTable> tables)
    : tables_(std::move(tables)),
      keys_(std::make_shared<const ForeignKeys>(std::vector<ForeignKey>())) {}

absl::Status ForeignKeyWatch::Load(PgConnection& connection) {
  PGDUET_ASSIGN_OR_RETURN(const std::vector<FoundForeignKey> found,
                          FindForeignKeys(connection, tables_));
  TargetCatalog catalog(connection);
  std::vector<ForeignKey> keys;
  for (const FoundForeignKey& one : found) {
    if (!one.unsupported.empty()) continue;
    absl::StatusOr<std::shared_ptr<const TargetTable>> child = catalog.FindByOid(one.child_oid);
    absl::StatusOr<std::shared_ptr<const TargetTable>> parent = catalog.FindByOid(one.parent_oid);
    if (absl::IsUnavailable(child.status())) return child.status();
    if (absl::IsUnavailable(parent.status())) return parent.status();
    // Dropped meanwhile, or without a key: its stream says so.
    if (!child.ok() || !parent.ok()) continue;
    ForeignKey key{.name = one.name, .child = *child, .parent = *parent, .columns = one.columns};
    for (const ReplicatedTable& table : tables_) {
      if (table.schema == key.child->schema && table.name == key.child->name) key.rule = table.rule;
    }
    // It may refer to fewer or more columns than the parent's key has (a key that was changed).
    if (key.columns.size() != key.parent->keys.size()) continue;
    keys.push_back(std::move(key));
  }
  auto loaded = std::make_shared<const ForeignKeys>(std::move(keys));
  std::scoped_lock lock(mutex_);
  keys_ = std::move(loaded);
  return absl::OkStatus();
}

std::shared_ptr<const ForeignKeys> ForeignKeyWatch::keys() const {
  std::scoped_lock lock(mutex_);
  return keys_;
}

}  // namespace pgduet
