// conflicts dismiss: somebody has looked and it is fine as it is. All of the given entries, or
// none; or every open one that a filter lets through.
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

// As the text of an array. What is open is decided once: what is logged meanwhile stays open.
absl::StatusOr<std::string> OpenOnes(PgConnection& connection, ConflictFilter filter) {
  filter.open = true;
  const Condition condition = ConditionOf(filter);
  absl::StatusOr<PgResult> found = connection.Query(
      fmt::format("SELECT coalesce(array_agg(c.id ORDER BY c.id), '{{}}') FROM {} {}", EntriesSql(),
                  condition.sql),
      condition.parameters);
  if (!found.ok()) return FilterError(found.status());
  return std::string(found->Text(0, 0));
}

absl::StatusOr<std::string> GivenOnes(PgConnection& connection, const std::vector<int64_t>& ids) {
  ArrayLiteral array;
  for (const int64_t id : ids) array.Add(std::to_string(id));
  std::string list = std::move(array).Finish();
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult missing,
      connection.Query("SELECT string_agg(i::text, ',' ORDER BY i) FROM unnest($1::bigint[]) i "
                       "WHERE NOT EXISTS (SELECT FROM pgduet.conflict c WHERE c.id = i)",
                       {list}));
  if (!missing.IsNull(0, 0)) return NoSuchConflict(std::string(missing.Text(0, 0)));
  return list;
}

absl::StatusOr<int64_t> Dismiss(const Invocation& invocation, const DismissOptions& options) {
  PGDUET_ASSIGN_OR_RETURN(const std::unique_ptr<PgConnection> connection,
                          OpenConflictLog(invocation));
  PGDUET_ASSIGN_OR_RETURN(const std::string ids, options.all ? OpenOnes(*connection, options.filter)
                                                             : GivenOnes(*connection, options.ids));
  const std::optional<std::string> note =
      options.note.empty() ? std::nullopt : std::optional<std::string>(options.note);
  PGDUET_ASSIGN_OR_RETURN(const PgResult done, connection->Query(kDismiss, {ids, Person(), note}));
  return done.affected();
}

}  // namespace

int RunConflictsDismiss(const Invocation& invocation, const DismissOptions& options) {
  const absl::StatusOr<int64_t> count = Dismiss(invocation, options);
  if (!count.ok()) return Fail(count.status());
  if (invocation.json) {
    fmt::print("{}\n", Json{{"dismissed", *count}}.dump());
  } else {
    fmt::print("dismissed: {}\n", *count);
  }
  return kExitOk;
}

}  // namespace pgduet
