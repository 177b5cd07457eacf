#include "apply/unique_keys.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

// One row for each column of each index. Strategy 3 of a B-tree is equality.
constexpr char kUniqueKeysSql[] = R"(
SELECT c.relname, pg_catalog.pg_get_indexdef(i.indexrelid, k.n, false),
       CASE WHEN i.indcollation[k.n - 1] <> 0 THEN (
         SELECT format(' COLLATE %I.%I', n.nspname, l.collname) FROM pg_catalog.pg_collation l
         JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace WHERE l.oid = i.indcollation[k.n - 1]) ELSE '' END,
       (SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname) FROM pg_catalog.pg_opclass q
        JOIN pg_catalog.pg_amop a ON a.amopfamily = q.opcfamily AND a.amoplefttype = q.opcintype
             AND a.amoprighttype = q.opcintype AND a.amopstrategy = 3
        JOIN pg_catalog.pg_operator o ON o.oid = a.amopopr JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
        WHERE q.oid = i.indclass[k.n - 1]),
       coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), ''), i.indnullsnotdistinct
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
CROSS JOIN LATERAL generate_series(1, i.indnkeyatts::int) k(n)
WHERE i.indrelid = $1::oid AND i.indisunique AND i.indisready
  AND i.indexrelid <> (SELECT x.indexrelid FROM pg_catalog.pg_index x
                       WHERE x.indrelid = $1::oid AND (x.indisprimary OR x.indisreplident)
                       ORDER BY x.indisreplident DESC LIMIT 1)
ORDER BY i.indexrelid, k.n)";

}  // namespace

absl::StatusOr<std::vector<UniqueKey>> LoadUniqueKeys(PgPipeline& pipeline, Oid table) {
  PGDUET_ASSIGN_OR_RETURN(const size_t asked,
                          pipeline.Add(kUniqueKeysSql, {std::to_string(table)}, {25}));
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, pipeline.Run());
  const PgResult& rows = results[asked];
  std::vector<UniqueKey> keys;
  for (int row = 0; row < rows.rows(); ++row) {
    if (keys.empty() || keys.back().name != rows.Text(row, 0)) {
      keys.push_back({.name = std::string(rows.Text(row, 0)),
                      .expressions = {},
                      .operators = {},
                      .predicate = std::string(rows.Text(row, 4)),
                      .nulls_equal = rows.Bool(row, 5)});
    }
    keys.back().expressions.push_back(fmt::format("({}){}", rows.Text(row, 1), rows.Text(row, 2)));
    keys.back().operators.emplace_back(rows.Text(row, 3));
  }
  return keys;
}

std::string CollidersOf(const TargetTable& table, const UniqueKey& key,
                        const std::string& candidate) {
  std::string wanted, match, same;
  for (size_t part = 0; part < key.expressions.size(); ++part) {
    const std::string& expression = key.expressions[part];
    wanted += fmt::format("{}{} AS pgduet_{}", part == 0 ? "" : ", ", expression, part);
    std::string equal =
        fmt::format("{} {} pgduet_key.pgduet_{}", expression, key.operators[part], part);
    if (key.nulls_equal)
      equal = fmt::format("({0} OR {1} IS NULL AND pgduet_key.pgduet_{2} IS NULL)", equal,
                          expression, part);
    match += (part == 0 ? "" : " AND ") + equal;
  }
  for (size_t part = 0; part < table.keys.size(); ++part) {
    const std::string& column = table.columns[table.keys[part]].quoted;
    wanted += fmt::format(", {} AS pgduet_k{}", column, part);
    same += fmt::format("{}t.{} = pgduet_key.pgduet_k{}", part == 0 ? "" : " AND ", column, part);
  }
  const std::string only = key.predicate.empty() ? "" : " AND (" + key.predicate + ")";
  // Unqualified names mean the candidate inside and the table outside.
  return fmt::format(
      "FROM (SELECT {} FROM ({}) pgduet_row WHERE true{}) pgduet_key, {} t WHERE {}{} AND NOT ({})",
      wanted, candidate, only, table.quoted, match, only, same);
}

std::string CandidateOfParameters(const TargetTable& table, const std::vector<int>& carried) {
  std::string fields;
  for (int column = 0; column < static_cast<int>(table.columns.size()); ++column) {
    const auto at = std::find(carried.begin(), carried.end(), column);
    const TargetColumn& one = table.columns[column];
    fields += fmt::format(
        "{}{} AS {}", fields.empty() ? "" : ", ",
        at == carried.end() ? "NULL::" + one.type : fmt::format("${}", at - carried.begin() + 1),
        one.quoted);
  }
  return "SELECT " + fields;
}

std::string CandidateOfParked(const TargetTable& table) {
  std::string fields;
  for (const TargetColumn& column : table.columns) {
    fields +=
        fmt::format("{}(jsonb_object(p.columns, p.row_values) ->> {})::{} AS {}",
                    fields.empty() ? "" : ", ", QuoteText(column.name), column.type, column.quoted);
  }
  return "SELECT " + fields;
}

}  // namespace pgduet
