// The statement that writes the losing side of a conflict back, built from the table and the names
// of the columns that the log has. Pure; values stay in the database.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "apply/target_table.h"

namespace pgduet {

enum class UndoAction { kUpdate, kInsert, kDelete, kNothing };
std::string_view UndoActionName(UndoAction action);  // "update", ...

struct UndoRequest {
  bool lost_delete = false;                // a delete lost; else a row
  bool row_exists = false;                 // under the entry's key, now
  const std::set<std::string>* logged;     // columns of the losing row in the log
  const std::set<std::string>* generated;  // columns here that compute themselves
};

struct LeftColumn {
  std::string name;
  std::string reason;
};

struct UndoStatement {
  UndoAction action = UndoAction::kNothing;
  std::vector<std::string> written;
  std::vector<LeftColumn> left;      // in the log, and cannot be written
  std::vector<std::string> lacking;  // a row to insert needs them, and the log does not have them
  std::string sql;                   // $1: the entry's id
};

// A losing delete deletes the row. A losing row is written by UPDATE, but for its key; when there
// is no row, by INSERT, with its key and identity. `losing_row` is the column of pgduet.conflict
// that holds it.
UndoStatement BuildUndo(const TargetTable& table, const UndoRequest& request,
                        const std::string& losing_row);

}  // namespace pgduet
