// The row of a conflict as it is now, and whether what was decided still stands.
//
// It stands when the row under the entry's key has the winner's commit stamp, or was written by the
// very transaction that wrote the entry (rows of a batch carry another time) and holds the winner's
// values; or when a delete won and there is no row. One thread.
#pragma once

#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "agent/commands/conflicts_entry.h"
#include "apply/target_table.h"

namespace pgduet {

struct RowNow {
  bool exists = false;
  bool stands = false;
  std::string region;  // who wrote it; empty: older than commit stamps
  std::string time;
  Json row;                   // each value's text; null when there is none
  std::string json = "null";  // the same as the log writes rows
};

// The entry's table as it is here. Errors: table_missing, key_missing, key_differs.
absl::StatusOr<std::shared_ptr<const TargetTable>> FindConflictTable(PgConnection& connection,
                                                                     const Json& entry);

// SQL: "jsonb_to_record(c.key) AS k(...)" and "t.a = k.a AND ...", for the row t of the entry c.
std::string KeyRecordSql(const TargetTable& table);
std::string KeyMatchSql(const TargetTable& table);

absl::StatusOr<RowNow> ReadRowNow(PgConnection& connection, const Invocation& invocation,
                                  const TargetTable& table, int64_t id);

// "as decided", "written since by west at ...", "deleted since".
std::string StandingText(const RowNow& now);

}  // namespace pgduet
