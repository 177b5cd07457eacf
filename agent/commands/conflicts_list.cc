// conflicts list: the newest first, a page at a time.
#include <fmt/format.h>

#include "agent/commands/conflicts_entry.h"
#include "agent/text_table.h"
#include "base/named_error.h"

namespace pgduet {

int RunConflictsList(const Invocation& invocation, const ConflictFilter& filter) {
  absl::StatusOr<std::unique_ptr<PgConnection>> connection = OpenConflictLog(invocation);
  if (!connection.ok()) return Fail(connection.status());
  if (invocation.json) {
    const absl::StatusOr<std::string> json = LoadEntriesJson(**connection, filter);
    if (!json.ok()) return Fail(json.status());
    fmt::print("{}\n", *json);
    return kExitOk;
  }
  // One more than the page holds tells whether there is another page.
  absl::StatusOr<std::vector<Json>> entries = LoadEntries(**connection, filter, filter.limit + 1);
  if (!entries.ok()) return Fail(entries.status());
  const bool more = entries->size() > static_cast<size_t>(filter.limit);
  if (more) entries->pop_back();
  TextTable table({"id", "logged at", "table", "key", "kind", "decision", "winner", "state"});
  for (const Json& one : *entries) {
    table.Add({Text(one["id"]), ShortTime(one["logged_at"]), Shown(Text(one["table"])),
               Shown(Text(one["key"])), Text(one["kind"]), Text(one["decision"]),
               Text(one["winner_region"]), Text(one["state"])});
  }
  fmt::print("{}", table.rows() == 0 ? "no conflicts\n" : table.ToString());
  if (more) fmt::print("older ones: add --before {}\n", Text(entries->back()["id"]));
  return kExitOk;
}

}  // namespace pgduet
