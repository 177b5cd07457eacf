#include "apply/table_sql.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

namespace pgduet {
namespace {

constexpr Oid kTextArrayOid = 1009, kOidOid = 26, kXidOid = 28;

// What the set statement reads for a column of unnest's row: array columns travel as text.
std::string FromSource(const TargetColumn& column, size_t place) {
  return column.is_array ? fmt::format("s.c{}::{}", place, column.type)
                         : fmt::format("s.c{}", place);
}

std::string Source(size_t columns, std::string_view extra = {}) {
  std::string parameters, names;
  for (size_t place = 0; place < columns; ++place) {
    parameters += fmt::format("{}${}", place == 0 ? "" : ", ", place + 1);
    names += fmt::format("{}c{}", place == 0 ? "" : ", ", place);
  }
  return fmt::format("unnest({}){} AS s({}{})", parameters, extra, names,
                     extra.empty() ? "" : ", place");
}

std::string KeyNames(const TargetTable& table) {
  std::string names;
  for (const int key : table.keys) {
    if (!names.empty()) names += ", ";
    names += table.columns[key].quoted;
  }
  return names;
}

// t.key = s.cN where the key columns stand at the given places of the source.
std::string KeyMatch(const TargetTable& table, const std::vector<int>& source) {
  std::string match;
  for (const int key : table.keys) {
    size_t place = 0;
    while (source[place] != key) ++place;
    if (!match.empty()) match += " AND ";
    match +=
        fmt::format("t.{} = {}", table.columns[key].quoted, FromSource(table.columns[key], place));
  }
  return match;
}

std::string KeyMatchParameters(const TargetTable& table, int first) {
  std::string match;
  for (const int key : table.keys) {
    if (!match.empty()) match += " AND ";
    match += fmt::format("t.{} = ${}", table.columns[key].quoted, first++);
  }
  return match;
}

// What a row path reads of a row: who wrote it, when, whether this transaction did, and the row.
std::string RowAndStamp(const TargetTable& table) {
  return fmt::format(
      "t.xmin::text, (extract(epoch FROM "
      "(pg_xact_commit_timestamp_origin(t.xmin)).timestamp) * 1000000)::bigint, "
      "(pg_xact_commit_timestamp_origin(t.xmin)).roident, t.xmin = pg_current_xact_id()::xid, {}",
      table.row_json);
}

// What an UPDATE sets from unnest's row; columns that are GENERATED ALWAYS cannot be.
std::string Assignments(const TargetTable& table, const std::vector<int>& carried) {
  std::string assignments;
  for (size_t place = 0; place < carried.size(); ++place) {
    const TargetColumn& column = table.columns[carried[place]];
    if (column.identity_always) continue;
    assignments += fmt::format("{}{} = {}", assignments.empty() ? "" : ", ", column.quoted,
                               FromSource(column, place));
  }
  return assignments;
}

std::string Names(const TargetTable& table, const std::vector<int>& columns) {
  std::string names;
  for (const int column : columns) {
    if (!names.empty()) names += ", ";
    names += table.columns[column].quoted;
  }
  return names;
}

}  // namespace

std::string CoverageSql::Condition(int first) const {
  std::string others;
  for (int other = 0; other < other_origins; ++other) {
    const int at = first + 2 + 2 * other;
    others += fmt::format(" WHEN ${} THEN age(t.xmin) > age(${})", at, at + 1);
  }
  // Cheapest test first; the stamp is looked up once. A row of this very transaction has no stamp
  // yet.
  const std::string old_enough =
      other_origins == 0 ? fmt::format("age(t.xmin) > age(${})", first + 1) : "false";
  return fmt::format(
      "({} OR t.xmin = pg_current_xact_id()::xid OR CASE "
      "coalesce((pg_xact_commit_timestamp_origin(t.xmin)).roident, 0) "
      "WHEN ${} THEN true WHEN 0 THEN age(t.xmin) > age(${}){} ELSE false END)",
      old_enough, first, first + 1, others);
}

std::vector<Oid> CoverageSql::ParameterTypes() const {
  std::vector<Oid> types;
  for (int pair = 0; pair <= other_origins; ++pair) types.insert(types.end(), {kOidOid, kXidOid});
  return types;
}

std::string InsertSetSql(const TargetTable& table, const std::vector<int>& carried) {
  std::string values;
  for (size_t place = 0; place < carried.size(); ++place) {
    values += fmt::format("{}{}", place == 0 ? "" : ", ",
                          FromSource(table.columns[carried[place]], place));
  }
  return fmt::format(
      "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} ON CONFLICT ({}) DO NOTHING",
      table.quoted, Names(table, carried), values, Source(carried.size()), KeyNames(table));
}

std::string CopySql(const TargetTable& table, const std::vector<int>& carried) {
  return fmt::format("COPY {} ({}) FROM STDIN", table.quoted, Names(table, carried));
}

std::string UpdateSetSql(const TargetTable& table, const std::vector<int>& carried,
                         const CoverageSql& coverage) {
  std::string unsettable;
  for (size_t place = 0; place < carried.size(); ++place) {
    const TargetColumn& column = table.columns[carried[place]];
    // Cannot be set: where it differs, the row path replaces the row.
    if (column.identity_always && column.key_index < 0)
      unsettable += fmt::format(" AND t.{} = {}", column.quoted, FromSource(column, place));
  }
  return fmt::format("UPDATE {} t SET {} FROM {} WHERE {}{} AND {}", table.quoted,
                     Assignments(table, carried), Source(carried.size()), KeyMatch(table, carried),
                     unsettable, coverage.Condition(static_cast<int>(carried.size()) + 1));
}

std::string UpdateRowsSql(const TargetTable& table, const std::vector<int>& carried) {
  return fmt::format("UPDATE {} t SET {} FROM {} WHERE {} RETURNING s.place", table.quoted,
                     Assignments(table, carried), Source(carried.size(), " WITH ORDINALITY"),
                     KeyMatch(table, carried));
}

std::string DeleteSetSql(const TargetTable& table, const CoverageSql& coverage) {
  return fmt::format("DELETE FROM {} t USING {} WHERE {} AND {} RETURNING s.place", table.quoted,
                     Source(table.keys.size(), " WITH ORDINALITY"), KeyMatch(table, table.keys),
                     coverage.Condition(static_cast<int>(table.keys.size()) + 1));
}

std::string NotOursSql(const TargetTable& table) {
  return fmt::format(
      "SELECT s.place FROM {} LEFT JOIN {} t ON {} WHERE t.xmin IS DISTINCT FROM "
      "pg_current_xact_id()::xid",
      Source(table.keys.size(), " WITH ORDINALITY"), table.quoted, KeyMatch(table, table.keys));
}

std::vector<Oid> ArrayTypes(const TargetTable& table, const std::vector<int>& columns) {
  std::vector<Oid> types;
  for (const int column : columns) {
    const TargetColumn& one = table.columns[column];
    types.push_back(one.is_array ? kTextArrayOid : one.array_oid);
  }
  return types;
}

std::string ReadRowSql(const TargetTable& table) {
  return fmt::format("SELECT {} FROM {} t WHERE {} FOR UPDATE", RowAndStamp(table), table.quoted,
                     KeyMatchParameters(table, 1));
}

std::string ReadRowsSql(const TargetTable& table) {
  return fmt::format("SELECT s.place, {} FROM {} JOIN {} t ON {} FOR UPDATE OF t",
                     RowAndStamp(table), Source(table.keys.size(), " WITH ORDINALITY"),
                     table.quoted, KeyMatch(table, table.keys));
}

std::string ReadImageSql(const TargetTable& table) {
  std::string columns;
  for (const TargetColumn& column : table.columns) columns += ", t." + column.quoted;
  return fmt::format(
      "SELECT t.xmin::text, (extract(epoch FROM "
      "(pg_xact_commit_timestamp_origin(t.xmin)).timestamp) * 1000000)::bigint, "
      "(pg_xact_commit_timestamp_origin(t.xmin)).roident, t.xmin = pg_current_xact_id()::xid{} "
      "FROM {} t WHERE {} FOR UPDATE",
      columns, table.quoted, KeyMatchParameters(table, 1));
}

std::string ReadColumnsSql(const TargetTable& table, const std::vector<int>& columns) {
  std::string names;
  for (const int column : columns)
    names += (names.empty() ? "t." : ", t.") + table.columns[column].quoted;
  return fmt::format("SELECT {} FROM {} t WHERE {} FOR UPDATE", names, table.quoted,
                     KeyMatchParameters(table, 1));
}

std::string OwnRowSql(const TargetTable& table) {
  return fmt::format("SELECT 1 FROM {} t WHERE {} AND t.xmin = pg_current_xact_id()::xid",
                     table.quoted, KeyMatchParameters(table, 1));
}

std::string InsertRowSql(const TargetTable& table, const std::vector<int>& carried) {
  std::string values;
  for (size_t place = 0; place < carried.size(); ++place)
    values += fmt::format("{}${}", place == 0 ? "" : ", ", place + 1);
  return fmt::format(
      "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({}) ON CONFLICT ({}) DO NOTHING",
      table.quoted, Names(table, carried), values, KeyNames(table));
}

std::string UpdateRowSql(const TargetTable& table, const std::vector<int>& carried) {
  std::string assignments;
  for (size_t place = 0; place < carried.size(); ++place) {
    const TargetColumn& column = table.columns[carried[place]];
    // A GENERATED ALWAYS column cannot be set; naming its parameter keeps the numbering.
    if (column.identity_always) continue;
    assignments +=
        fmt::format("{}{} = ${}", assignments.empty() ? "" : ", ", column.quoted, place + 1);
  }
  return fmt::format("UPDATE {} t SET {} WHERE {}", table.quoted, assignments,
                     KeyMatchParameters(table, static_cast<int>(carried.size()) + 1));
}

std::string ReplaceRowSql(const TargetTable& table, const std::vector<int>& carried) {
  std::string names = Names(table, carried), values, kept;
  for (size_t place = 0; place < carried.size(); ++place)
    values += fmt::format("{}${}", place == 0 ? "" : ", ", place + 1);
  for (const std::string& name : table.elsewhere) kept += ", " + name;
  for (int column = 0; column < static_cast<int>(table.columns.size()); ++column) {
    if (std::find(carried.begin(), carried.end(), column) == carried.end())
      kept += ", " + table.columns[column].quoted;
  }
  return fmt::format(
      "WITH gone AS (DELETE FROM {0} t WHERE {1} RETURNING t.*) INSERT INTO {0} ({2}{3}) "
      "OVERRIDING SYSTEM VALUE SELECT {4}{3} FROM gone",
      table.quoted, KeyMatchParameters(table, static_cast<int>(carried.size()) + 1), names, kept,
      values);
}

std::string DeleteRowSql(const TargetTable& table) {
  return fmt::format("DELETE FROM {} t WHERE {}", table.quoted, KeyMatchParameters(table, 1));
}

std::vector<Oid> ScalarTypes(const TargetTable& table, const std::vector<int>& columns) {
  std::vector<Oid> types;
  for (const int column : columns) types.push_back(table.columns[column].type_oid);
  return types;
}

std::string JsonOfParameters(const TargetTable& table, const std::vector<int>& carried, int first) {
  std::string fields;
  for (const int column : carried) {
    const TargetColumn& one = table.columns[column];
    fields += fmt::format("{}${}{} AS {}", fields.empty() ? "" : ", ", first++,
                          one.json ? "::text" : "", one.quoted);
  }
  return fmt::format("(SELECT to_jsonb(r.*) FROM (SELECT {}) r)", fields);
}

std::string JsonFieldsOfSource(const TargetTable& table, const std::vector<int>& carried,
                               size_t first) {
  std::string fields;
  for (const int column : carried) {
    const TargetColumn& one = table.columns[column];
    fields += fmt::format("{}{}{} AS {}", fields.empty() ? "" : ", ", FromSource(one, first++),
                          one.json ? "::text" : "", one.quoted);
  }
  return fields;
}

std::vector<int> AllColumns(const TargetTable& table) {
  std::vector<int> columns(table.columns.size());
  std::iota(columns.begin(), columns.end(), 0);
  return columns;
}

}  // namespace pgduet
