// conflicts show: both rows of one entry and the row as it is now, side by side.
#include <set>

#include <fmt/format.h>

#include "agent/commands/conflicts_row.h"
#include "agent/commands/conflicts_rule.h"
#include "agent/text_table.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

std::string StateText(const Json& entry) {
  const std::string note = entry["note"].is_null() ? "" : ": " + Text(entry["note"]);
  if (entry["state"] == "undone") {
    return fmt::format("undone by {} at {}{}", Text(entry["undone_by"]), Text(entry["undone_at"]),
                       note);
  }
  if (entry["state"] == "dismissed") {
    return fmt::format("dismissed by {} at {}{}", Text(entry["dismissed_by"]),
                       Text(entry["dismissed_at"]), note);
  }
  return entry["state"] == "open" ? fmt::format("open; lost: a {}", Text(entry["lost"]))
                                  : "nothing was lost";
}

// What one side did: "update", "row", "delete"; the local side may be unknown.
std::string Operation(const Json& operation) {
  return operation.is_null() ? "nothing known" : Text(operation);
}

void PrintHead(const Json& entry) {
  fmt::print("conflict {}: {} on {} {}\n", Text(entry["id"]), Text(entry["kind"]),
             Shown(Text(entry["table"])), Shown(Text(entry["key"])));
  fmt::print("decided:  {} ({} wins), logged {}\n", Text(entry["decision"]),
             Text(entry["winner_region"]), Text(entry["logged_at"]));
  fmt::print("rule:     {}\nstate:    {}\n", RuleText(entry), StateText(entry));
}

// Columns that differ between the two sides have a star; a column that only one side carries
// has none.
void PrintSideBySide(const Json& entry, const absl::StatusOr<RowNow>& now) {
  const Json no_row = nullptr;
  const Json& remote = entry["remote_row"];
  const Json& local = entry["local_row"];
  const Json& here = now.ok() ? now->row : no_row;
  const bool remote_won = entry["winner"] == "remote";
  TextTable table({"", remote_won ? "remote (won)" : "remote (lost)",
                   remote_won ? "local (lost)" : "local (won)", "now", ""});
  table.Add({"region", Text(entry["remote_region"]), Text(entry["local_region"]),
             now.ok() ? now->region : "", ""});
  table.Add({"operation", Operation(entry["remote_operation"]), Operation(entry["local_operation"]),
             !now.ok()     ? ""
             : now->exists ? "row"
                           : "no row",
             ""});
  table.Add({"commit time", Text(entry["remote_time"]), Text(entry["local_time"]),
             now.ok() ? now->time : "", ""});
  table.Add({"commit LSN", Text(entry["remote_lsn"]), Text(entry["local_lsn"]), "", ""});
  std::set<std::string> columns;
  for (const Json* row : {&remote, &local, &here}) {
    if (!row->is_object()) continue;
    for (const auto& item : row->items()) columns.insert(item.key());
  }
  for (const std::string& column : columns) {
    const std::string left = Cell(remote, column), right = Cell(local, column);
    const bool both = left != "-" && right != "-";
    table.Add({"  " + Shown(column), Shown(left), Shown(right), Shown(Cell(here, column)),
               both && left != right ? "*" : ""});
  }
  fmt::print("\n{}", table.ToString());
}

absl::StatusOr<RowNow> Look(PgConnection& connection, const Invocation& invocation,
                            const Json& entry, int64_t id) {
  PGDUET_ASSIGN_OR_RETURN(const std::shared_ptr<const TargetTable> table,
                          FindConflictTable(connection, entry));
  return ReadRowNow(connection, invocation, *table, id);
}

}  // namespace

int RunConflictsShow(const Invocation& invocation, int64_t id) {
  absl::StatusOr<std::unique_ptr<PgConnection>> connection = OpenConflictLog(invocation);
  if (!connection.ok()) return Fail(connection.status());
  absl::StatusOr<Json> entry = LoadEntry(**connection, id);
  if (!entry.ok()) return Fail(entry.status());
  // The entry is worth showing even when its table is gone.
  const absl::StatusOr<RowNow> now = Look(**connection, invocation, *entry, id);
  const std::string standing =
      now.ok() ? StandingText(*now) : "not known: " + std::string(now.status().message());
  if (invocation.json) {
    const std::string json =
        fmt::format(R"({{"stands": {}, "text": {}, "row": {}}})", now.ok() && now->stands,
                    Json(standing).dump(), now.ok() ? now->json : "null");
    absl::StatusOr<std::string> whole = LoadEntryJson(**connection, id, RuleText(*entry), json);
    if (!whole.ok()) return Fail(whole.status());
    fmt::print("{}\n", *whole);
    return kExitOk;
  }
  PrintHead(*entry);
  fmt::print("now:      {}\n", standing);
  PrintSideBySide(*entry, now);
  return kExitOk;
}

}  // namespace pgduet
