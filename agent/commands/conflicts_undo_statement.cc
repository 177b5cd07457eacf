#include "agent/commands/conflicts_undo_statement.h"

#include <fmt/format.h>

#include "agent/commands/conflicts_row.h"
#include "base/pg_connection.h"

namespace pgduet {
namespace {

// What has json in it stands in the log as text.
std::string ValueOf(const TargetColumn& column) {
  return fmt::format("v.{}{}", column.quoted, column.json ? "::" + column.type : "");
}

// "pg_catalog.jsonb_to_record(c.remote_row) AS v(...)" of the columns that are written alone: a
// domain may refuse the null of one that is not there.
std::string ValueRecord(const std::vector<const TargetColumn*>& columns,
                        const std::string& losing_row) {
  std::string fields;
  for (const TargetColumn* column : columns) {
    fields += fmt::format("{}{} {}", fields.empty() ? "" : ", ", column->quoted,
                          column->json ? "text" : column->type);
  }
  return fmt::format("pg_catalog.jsonb_to_record(c.{}) AS v({})", losing_row, fields);
}

std::string UpdateSql(const TargetTable& table, const std::vector<const TargetColumn*>& columns,
                      const std::string& losing_row) {
  std::string assignments;
  for (const TargetColumn* column : columns) {
    assignments +=
        fmt::format("{}{} = {}", assignments.empty() ? "" : ", ", column->quoted, ValueOf(*column));
  }
  return fmt::format(
      "UPDATE {} t SET {} FROM pgduet.conflict c CROSS JOIN LATERAL {} CROSS JOIN LATERAL {} "
      "WHERE c.id = $1::bigint AND {}",
      table.quoted, assignments, ValueRecord(columns, losing_row), KeyRecordSql(table),
      KeyMatchSql(table));
}

std::string InsertSql(const TargetTable& table, const std::vector<const TargetColumn*>& columns,
                      const std::string& losing_row) {
  std::string names, values;
  for (const TargetColumn* column : columns) {
    names += (names.empty() ? "" : ", ") + column->quoted;
    values += (values.empty() ? "" : ", ") + ValueOf(*column);
  }
  return fmt::format(
      "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM pgduet.conflict c CROSS JOIN "
      "LATERAL {} WHERE c.id = $1::bigint",
      table.quoted, names, values, ValueRecord(columns, losing_row));
}

std::string DeleteSql(const TargetTable& table) {
  return fmt::format(
      "DELETE FROM {} t USING pgduet.conflict c CROSS JOIN LATERAL {} WHERE c.id = $1::bigint AND "
      "{}",
      table.quoted, KeyRecordSql(table), KeyMatchSql(table));
}

void NameUnknown(const TargetTable& table, const UndoRequest& request, UndoStatement& statement) {
  std::set<std::string> known(*request.generated);
  for (const TargetColumn& column : table.columns) known.insert(column.name);
  for (const std::string& name : *request.logged) {
    if (known.count(name) == 0) statement.left.push_back({name, "the table has no such column"});
  }
}

}  // namespace

std::string_view UndoActionName(UndoAction action) {
  switch (action) {
    case UndoAction::kUpdate:
      return "update";
    case UndoAction::kInsert:
      return "insert";
    case UndoAction::kDelete:
      return "delete";
    case UndoAction::kNothing:
      return "nothing";
  }
  return "";
}

UndoStatement BuildUndo(const TargetTable& table, const UndoRequest& request,
                        const std::string& losing_row) {
  UndoStatement statement;
  if (request.lost_delete) {
    if (!request.row_exists) return statement;
    statement.action = UndoAction::kDelete;
    statement.sql = DeleteSql(table);
    return statement;
  }
  std::vector<const TargetColumn*> columns;
  for (const TargetColumn& column : table.columns) {
    if (request.logged->count(column.name) == 0) {
      if (!request.row_exists) statement.lacking.push_back(column.name);
    } else if (request.row_exists && column.key_index < 0 && column.identity_always) {
      statement.left.push_back({column.name, "GENERATED ALWAYS AS IDENTITY cannot be updated"});
    } else if (!request.row_exists || column.key_index < 0) {
      columns.push_back(&column);
      statement.written.push_back(column.name);
    }
  }
  NameUnknown(table, request, statement);
  if (columns.empty() || !statement.lacking.empty()) return statement;
  statement.action = request.row_exists ? UndoAction::kUpdate : UndoAction::kInsert;
  statement.sql = request.row_exists ? UpdateSql(table, columns, losing_row)
                                     : InsertSql(table, columns, losing_row);
  return statement;
}

}  // namespace pgduet
