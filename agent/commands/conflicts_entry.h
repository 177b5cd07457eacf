// Entries of pgduet.conflict for the conflicts commands: filters, what lost, what became of it.
//
// An entry has two sides, remote and local; `decision` says which one won. What lost is a row
// ("row"), a delete ("delete"), or nothing: both sides say the same, or nothing was known here.
// State: "open" until somebody dismissed or undid it; "nothing_lost" when there is nothing to do.
// Row values go to standard output only. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <nlohmann/json.hpp>

#include "agent/commands/commands.h"
#include "base/pg_connection.h"

namespace pgduet {

using Json = nlohmann::ordered_json;

// A session in the region's database as the agent's role. With `role_search_path` that is read and
// given back; the session's own is pg_catalog in any case. Errors: not_initialized,
// sidecar_version.
absl::StatusOr<std::unique_ptr<PgConnection>> OpenConflictLog(
    const Invocation& invocation, std::string* role_search_path = nullptr);

// FROM item: every column of pgduet.conflict under the alias c, with winner, loser_row, winner_row,
// winner_operation, winner_region, winner_time, lost and state.
std::string EntriesSql();

// A WHERE clause over EntriesSql() and its parameters.
struct Condition {
  std::string sql;
  std::vector<std::optional<std::string>> parameters;
};
Condition ConditionOf(const ConflictFilter& filter);

// The newest first, at most `limit`, without the rows. Errors: bad_filter.
absl::StatusOr<std::vector<Json>> LoadEntries(PgConnection& connection,
                                              const ConflictFilter& filter, int limit);
// The same with the rows, as a JSON array that the database wrote: numbers have all their digits.
absl::StatusOr<std::string> LoadEntriesJson(PgConnection& connection, const ConflictFilter& filter);

// remote_row and local_row hold each value's text. Errors: no_such_conflict.
absl::StatusOr<Json> LoadEntry(PgConnection& connection, int64_t id);
// As the database writes it, with two more members. `now` is JSON.
absl::StatusOr<std::string> LoadEntryJson(PgConnection& connection, int64_t id,
                                          const std::string& rule, const std::string& now);
// SQL: a jsonb object with each value's text.
std::string TextsSql(const std::string& row);
absl::Status NoSuchConflict(const std::string& ids);

// The error of a query with a filter: what PostgreSQL says about a time becomes bad_filter.
absl::Status FilterError(const absl::Status& status);

std::string Text(const Json& value);  // as people read it; null: empty
// One value of a row of texts: "-" when the row lacks the column.
std::string Cell(const Json& row, const std::string& column);
// For one line of a terminal: line breaks and other control signs escaped, and no longer than 100
// characters, with the size of what was cut.
std::string Shown(const std::string& value);
// "2026-11-24T04:00:00.123": three digits of a second are enough for people.
std::string ShortTime(const Json& value);
// Who gives a command: the login name, that of the person before sudo.
std::string Person();

}  // namespace pgduet
