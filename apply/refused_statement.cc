#include "apply/refused_statement.h"

#include <string>

#include "base/named_error.h"

namespace pgduet {

absl::Status RefusedStatement(const absl::Status& status) {
  struct Known {
    const char* prefix;
    const char* name;
    const char* remedy;
  };
  static constexpr Known kKnown[] = {
      {"23505", "unique_violation",
       "A unique key of the table is taken by another row here. Change or remove one of the two "
       "rows; the stream goes on by itself."},
      {"23P01", "unique_violation",
       "An exclusion constraint refuses the row. Change one of the rows; the stream goes on by "
       "itself."},
      {"23502", "not_null_violation", "Give the column the same nullability in all regions."},
      {"23514", "check_violation", "Give the table the same CHECK constraints in all regions."},
      {"23", "constraint_violation", "Compare the table's constraints between the regions."},
      {"22", "value_refused",
       "Compare the column's type between the regions, and the encodings of the databases."},
      {"42P01", "table_missing", "Create the table as it is at the origin."},
      {"42703", "column_missing", "Add the column as it is at the origin."},
      {"42704", "type_missing", "Create the type as it is at the origin."},
      {"42501", "permission_denied",
       "Run 'pgduet init' again, or grant the agent's role what is missing."},
      {"42804", "type_differs", "Give the column the same type in all regions."},
      {"0A000", "schema_changed",
       "The table changed while statements were prepared; the next attempt prepares new ones."},
  };
  if (!absl::IsFailedPrecondition(status) || ErrorName(status) != "database_error") return status;
  const std::string state = SqlState(status);
  for (const Known& known : kKnown) {
    if (state.starts_with(known.prefix))
      return Renamed(status, absl::StatusCode::kFailedPrecondition, known.name, known.remedy);
  }
  return status;
}

std::string_view RetryReason(const absl::Status& status) {
  if (!absl::IsAborted(status)) return "connection";
  const std::string name = ErrorName(status);
  if (name == "decoder_behind") return "decoder_behind";
  if (name == "clock_behind") return "clock_behind";
  return name == "copy_refused" ? "copy_refused" : "conflict";
}

}  // namespace pgduet
