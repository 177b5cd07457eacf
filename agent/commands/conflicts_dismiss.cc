// conflicts dismiss: somebody has looked and it is fine as it is. All of the given entries, or
// none.
#include <fmt/format.h>

#include "agent/commands/conflicts_entry.h"
#include "apply/target_table.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

// Undone entries stay undone; a second dismissal changes the note alone.
constexpr char kDismiss[] =
    "UPDATE pgduet.conflict SET dismissed_at = coalesce(dismissed_at, clock_timestamp()), "
    "dismissed_by = coalesce(dismissed_by, $2), note = coalesce($3, note) "
    "WHERE id = ANY($1::bigint[]) AND undone_at IS NULL";

absl::Status Dismiss(const Invocation& invocation, const DismissOptions& options) {
  PGDUET_ASSIGN_OR_RETURN(const std::unique_ptr<PgConnection> connection,
                          OpenConflictLog(invocation.self()));
  ArrayLiteral ids;
  for (const int64_t id : options.ids) ids.Add(std::to_string(id));
  const std::string list = std::move(ids).Finish();
  PGDUET_RETURN_IF_ERROR(connection->Query("BEGIN").status());
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult missing,
      connection->Query("SELECT string_agg(i::text, ',' ORDER BY i) FROM unnest($1::bigint[]) i "
                        "WHERE NOT EXISTS (SELECT FROM pgduet.conflict c WHERE c.id = i)",
                        {list}));
  if (!missing.IsNull(0, 0)) return NoSuchConflict(std::string(missing.Text(0, 0)));
  const std::optional<std::string> note =
      options.note.empty() ? std::nullopt : std::optional<std::string>(options.note);
  PGDUET_RETURN_IF_ERROR(connection->Query(kDismiss, {list, Person(), note}).status());
  return connection->Query("COMMIT").status();
}

}  // namespace

int RunConflictsDismiss(const Invocation& invocation, const DismissOptions& options) {
  if (const absl::Status status = Dismiss(invocation, options); !status.ok()) return Fail(status);
  if (invocation.json) {
    fmt::print("{}\n", Json{{"dismissed", options.ids}}.dump());
  } else {
    fmt::print("dismissed: {}\n", fmt::join(options.ids, ", "));
  }
  return kExitOk;
}

}  // namespace pgduet
