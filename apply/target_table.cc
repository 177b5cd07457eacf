#include "apply/target_table.h"

#include <algorithm>

#include <absl/container/flat_hash_set.h>
#include <fmt/format.h>
#include <xxhash.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

// format_type(oid, -1) gives the name that casts without a length limit ("bit", bpchar).
constexpr char kColumnsSql[] = R"(
SELECT a.attname, a.attnum, pg_catalog.format_type(a.atttypid, -1), a.atttypid, coalesce(arr.oid, 0),
       coalesce(arr.typdelim, t.typdelim), base.oid, a.attidentity = 'a',
       base.typcategory = 'A' OR base.typtype = 'c' OR coalesce(t.typarray, 0) = 0, a.attgenerated <> '', EXISTS (
         WITH RECURSIVE part AS (
           SELECT t.oid
           UNION
           SELECT inner_type.oid FROM part JOIN pg_catalog.pg_type p ON p.oid = part.oid CROSS JOIN LATERAL (
             SELECT p.typelem UNION ALL SELECT p.typbasetype UNION ALL
             SELECT f.atttypid FROM pg_catalog.pg_attribute f WHERE f.attrelid = p.typrelid AND p.typrelid <> 0 AND NOT f.attisdropped
           ) inner_type(oid))
         SELECT FROM part WHERE part.oid = 'json'::regtype)
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type arr ON arr.oid = t.typarray
CROSS JOIN LATERAL (
  WITH RECURSIVE up AS (
    SELECT u.oid, u.typbasetype, u.typcategory, u.typtype FROM pg_catalog.pg_type u WHERE u.oid = t.oid
    UNION ALL
    SELECT u.oid, u.typbasetype, u.typcategory, u.typtype FROM pg_catalog.pg_type u JOIN up ON u.oid = up.typbasetype)
  SELECT up.oid, up.typcategory, up.typtype FROM up WHERE up.typbasetype = 0) base
WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum)";

// The primary key, else the replica identity index.
constexpr char kKeySql[] = R"(
SELECT a.attname
FROM pg_catalog.pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = $1::oid AND k.place <= i.indnkeyatts AND (i.indisprimary OR i.indisreplident)
  AND i.indexrelid = (SELECT x.indexrelid FROM pg_catalog.pg_index x
                      WHERE x.indrelid = $1::oid AND (x.indisprimary OR x.indisreplident)
                      ORDER BY x.indisreplident DESC LIMIT 1)
ORDER BY k.place)";

constexpr Oid kNumericOid = 1700, kFloat4Oid = 700, kFloat8Oid = 701, kBpcharOid = 1042;

TargetColumn ReadColumn(const PgResult& rows, int row) {
  TargetColumn column;
  column.name = rows.Text(row, 0);
  column.quoted = QuoteName(column.name);
  column.type = rows.Text(row, 2);
  column.type_oid = static_cast<Oid>(rows.Int(row, 3));
  column.array_oid = static_cast<Oid>(rows.Int(row, 4));
  column.delimiter = rows.Text(row, 5).empty() ? ',' : rows.Text(row, 5)[0];
  const auto base = static_cast<Oid>(rows.Int(row, 6));
  column.numeric = base == kNumericOid;
  column.floating = base == kFloat4Oid || base == kFloat8Oid;
  column.padded = base == kBpcharOid;
  column.identity_always = rows.Bool(row, 7);
  column.is_array = rows.Bool(row, 8);
  column.json = rows.Bool(row, 10);
  return column;
}

std::string CanonicalNumeric(std::string_view text) {
  if (text.find('.') != std::string_view::npos) {
    while (text.ends_with('0')) text.remove_suffix(1);
    if (text.ends_with('.')) text.remove_suffix(1);
  }
  return text == "-0" ? "0" : std::string(text);
}

}  // namespace

std::vector<Value> TargetTable::KeyOf(std::span<const Value> row) const {
  std::vector<Value> key;
  key.reserve(keys.size());
  for (const int column : keys) key.push_back(row[source_index[column]]);
  return key;
}

absl::StatusOr<std::shared_ptr<const TargetTable>> TargetCatalog::Find(
    const std::shared_ptr<const Relation>& relation) {
  const std::string name = QuoteName(relation->schema) + "." + QuoteName(relation->name);
  auto at = tables_.find(name);
  if (at != tables_.end() && at->second.first == *relation) return at->second.second;
  PGDUET_ASSIGN_OR_RETURN(std::shared_ptr<const TargetTable> table, Load(*relation));
  tables_.insert_or_assign(name, std::make_pair(*relation, table));
  return table;
}

absl::StatusOr<std::shared_ptr<const TargetTable>> TargetCatalog::Load(const Relation& relation) {
  auto table = std::make_shared<TargetTable>();
  table->schema = relation.schema;
  table->name = relation.name;
  table->quoted = QuoteName(relation.schema) + "." + QuoteName(relation.name);
  PGDUET_ASSIGN_OR_RETURN(
      PgResult found,
      connection_.Query("SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON "
                        "n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 AND "
                        "c.relkind IN ('r', 'p')",
                        {relation.schema, relation.name}));
  if (found.rows() == 0) {
    return NamedError(
        absl::StatusCode::kFailedPrecondition, "table_missing",
        fmt::format("table is missing: table={}", table->quoted),
        "Create it with the definition that it has at the origin; the stream continues by itself.");
  }
  table->oid = static_cast<Oid>(found.Int(0, 0));

  PGDUET_RETURN_IF_ERROR(LoadColumns(relation, *table));
  PGDUET_RETURN_IF_ERROR(LoadKey(relation, *table));
  table->nothing_to_set =
      std::all_of(table->columns.begin(), table->columns.end(),
                  [](const TargetColumn& column) { return column.identity_always; });
  table->replaces_rows = table->nothing_to_set;
  for (const TargetColumn& column : table->columns)
    table->replaces_rows |= column.identity_always && column.key_index < 0;
  return table;
}

absl::Status TargetCatalog::LoadColumns(const Relation& relation, TargetTable& table) {
  PGDUET_ASSIGN_OR_RETURN(PgResult rows,
                          connection_.Query(kColumnsSql, {std::to_string(table.oid)}));
  absl::flat_hash_map<std::string, TargetColumn> here;
  std::string fields;
  bool json = false;
  for (int row = 0; row < rows.rows(); ++row) {
    TargetColumn column = ReadColumn(rows, row);
    fields += fmt::format("{}t.{}{}", fields.empty() ? "" : ", ", column.quoted,
                          column.json ? "::text AS " + column.quoted : "");
    json |= column.json;
    const bool generated = rows.Bool(row, 9);
    if (!generated) here.emplace(column.name, std::move(column));
  }
  table.row_json =
      json ? fmt::format("(SELECT to_jsonb(r.*) FROM (SELECT {}) r)", fields) : "to_jsonb(t.*)";
  for (size_t index = 0; index < relation.columns.size(); ++index) {
    auto at = here.find(relation.columns[index].name);
    if (at == here.end()) {
      table.missing.push_back(static_cast<int>(index));
      continue;
    }
    table.columns.push_back(std::move(at->second));
    table.source_index.push_back(static_cast<int>(index));
    here.erase(at);
  }
  for (const auto& [name, column] : here) table.elsewhere.push_back(column.quoted);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const TargetTable>> TargetCatalog::FindByOid(Oid table) {
  const std::string oid = std::to_string(table);
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult name,
      connection_.Query(
          "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
          "ON n.oid = c.relnamespace WHERE c.oid = $1::oid",
          {oid}));
  if (name.rows() == 0) return absl::NotFoundError("no such table");
  PGDUET_ASSIGN_OR_RETURN(const PgResult columns, connection_.Query(kColumnsSql, {oid}));
  PGDUET_ASSIGN_OR_RETURN(const PgResult key, connection_.Query(kKeySql, {oid}));
  auto relation = std::make_shared<Relation>();
  relation->schema = name.Text(0, 0);
  relation->name = name.Text(0, 1);
  for (int row = 0; row < columns.rows(); ++row) {
    relation->columns.push_back({.name = std::string(columns.Text(row, 0))});
    for (int part = 0; part < key.rows(); ++part)
      relation->columns.back().identity |= key.Text(part, 0) == columns.Text(row, 0);
  }
  return Find(relation);
}

absl::Status TargetCatalog::LoadKey(const Relation& relation, TargetTable& table) {
  PGDUET_ASSIGN_OR_RETURN(PgResult key, connection_.Query(kKeySql, {std::to_string(table.oid)}));
  if (key.rows() == 0) {
    return NamedError(
        absl::StatusCode::kFailedPrecondition, "key_missing",
        fmt::format("table has neither primary key nor replica identity index: table={}",
                    table.quoted),
        fmt::format("Run ALTER TABLE {} ADD PRIMARY KEY (...).", table.quoted));
  }
  for (int row = 0; row < key.rows(); ++row) {
    auto at =
        std::find_if(table.columns.begin(), table.columns.end(),
                     [&](const TargetColumn& column) { return column.name == key.Text(row, 0); });
    const bool carried = at != table.columns.end() &&
                         relation.columns[table.source_index[at - table.columns.begin()]].identity;
    if (!carried) {
      return NamedError(
          absl::StatusCode::kFailedPrecondition, "key_differs",
          fmt::format("key columns differ between the regions: table={} column={}", table.quoted,
                      key.Text(row, 0)),
          "Give the table the same primary key (or replica identity) in all regions.");
    }
    at->key_index = row;
    table.keys.push_back(static_cast<int>(at - table.columns.begin()));
  }
  return absl::OkStatus();
}

std::string KeyText(const TargetTable& table, std::span<const Value> key_values) {
  ArrayLiteral text;
  for (size_t index = 0; index < key_values.size(); ++index) {
    const TargetColumn& column = table.columns[table.keys[index]];
    std::string_view bytes = key_values[index].bytes;
    if (column.numeric) {
      text.Add(CanonicalNumeric(bytes));
    } else if (column.floating && bytes == "-0") {
      text.Add("0");
    } else if (column.padded) {
      while (bytes.ends_with(' ')) bytes.remove_suffix(1);
      text.Add(bytes);
    } else {
      text.Add(bytes);
    }
  }
  return std::move(text).Finish();
}

uint64_t KeyHash(std::string_view key_text) {
  return std::max<uint64_t>(1, XXH3_64bits(key_text.data(), key_text.size()));
}

std::string KeyDigest(std::string_view key_text) {
  const XXH128_hash_t hash = XXH3_128bits(key_text.data(), key_text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::vector<std::string> KeyValues(std::string_view key_text) {
  std::vector<std::string> values;
  size_t at = 1;
  while (at < key_text.size() && key_text[at] == '"') {
    std::string value;
    for (++at; at < key_text.size() && key_text[at] != '"'; ++at) {
      if (key_text[at] == '\\') ++at;
      value.push_back(key_text[at]);
    }
    values.push_back(std::move(value));
    at += 2;  // the closing quote and the delimiter
  }
  return values;
}

void ArrayLiteral::Add(std::string_view element) {
  Separate();
  text_.push_back('"');
  size_t plain = 0;
  for (size_t at = 0; at < element.size(); ++at) {
    if (element[at] != '"' && element[at] != '\\') continue;
    text_.append(element.substr(plain, at - plain));
    text_.push_back('\\');
    plain = at;
  }
  text_.append(element.substr(plain));
  text_.push_back('"');
}

void ArrayLiteral::AddNull() {
  Separate();
  text_.append("NULL");
}

}  // namespace pgduet
