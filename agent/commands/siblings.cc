// siblings list and show, resolve: rows of which several versions stand side by side. Row values go
// to standard output only.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agent/commands/commands.h"
#include "agent/commands/conflicts_entry.h"
#include "agent/text_table.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr char kListSql[] =
    "SELECT n.nspname || '.' || c.relname, s.key, jsonb_array_length(s.state::jsonb -> 'members') "
    "FROM pgduet.row_state s JOIN pg_catalog.pg_class c ON c.oid = s.relation JOIN "
    "pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE s.siblings AND ($1 = '' OR "
    "n.nspname || '.' || c.relname = $1) ORDER BY 1, 2";
constexpr char kShowSql[] =
    "SELECT region, written_at, deleted, row_data FROM pgduet.siblings($1::regclass, $2::jsonb)";

// A user's words that the database does not take.
absl::Status Refused(const absl::Status& status) {
  const std::string state = SqlState(status);
  if (state == "42P01")
    return Renamed(status, absl::StatusCode::kInvalidArgument, "no_such_table",
                   "Name the table as in the configuration: schema.table.");
  if (state.starts_with("22"))
    return Renamed(status, absl::StatusCode::kInvalidArgument, "bad_key",
                   "The key and the row are JSON objects: '{\"id\": 7}'.");
  return status;
}

absl::StatusOr<Json> Versions(PgConnection& connection, const std::string& table,
                              const std::string& key) {
  const absl::StatusOr<PgResult> rows = connection.Query(kShowSql, {table, key});
  if (!rows.ok()) return Refused(rows.status());
  Json versions = Json::array();
  for (int row = 0; row < rows->rows(); ++row) {
    versions.push_back(
        {{"region", std::string(rows->Text(row, 0))},
         {"written_at", std::string(rows->Text(row, 1))},
         {"deleted", rows->Bool(row, 2)},
         {"row", rows->IsNull(row, 3) ? Json(nullptr) : Json::parse(rows->Text(row, 3))}});
  }
  return versions;
}

// What resolve writes; empty: it deletes.
absl::StatusOr<std::optional<std::string>> NewRow(PgConnection& connection,
                                                  const ResolveOptions& options) {
  if (options.remove) return std::optional<std::string>();
  if (options.take.empty()) return std::optional<std::string>(options.row);
  const absl::StatusOr<PgResult> row = connection.Query(
      "SELECT deleted, row_data FROM pgduet.siblings($1::regclass, $2::jsonb) "
      "WHERE region = $3",
      {options.table, options.key, options.take});
  if (!row.ok()) return Refused(row.status());
  if (row->rows() == 0) {
    return NamedError(absl::StatusCode::kNotFound, "no_such_version",
                      "the row has no version of this region: region=" + options.take,
                      "See 'pgduet siblings show'.");
  }
  if (row->Bool(0, 0)) return std::optional<std::string>();
  return std::optional<std::string>(row->Text(0, 1));
}

}  // namespace

int RunSiblingsList(const Invocation& invocation, const SiblingsOptions& options) {
  absl::StatusOr<std::unique_ptr<PgConnection>> connection = OpenConflictLog(invocation);
  if (!connection.ok()) return Fail(connection.status());
  const absl::StatusOr<PgResult> rows = (*connection)->Query(kListSql, {options.table});
  if (!rows.ok()) return Fail(rows.status());
  Json list = Json::array();
  TextTable table({"table", "key", "versions"});
  for (int row = 0; row < rows->rows(); ++row) {
    const std::string name(rows->Text(row, 0)), key(rows->Text(row, 1)),
        versions(rows->Text(row, 2));
    table.Add({name, key, versions});
    list.push_back({{"table", name}, {"key", key}, {"versions", rows->Int(row, 2)}});
  }
  if (invocation.json) {
    fmt::print("{}\n", list.dump(2));
  } else {
    fmt::print("{}", table.rows() == 0 ? "no siblings\n" : table.ToString());
  }
  return kExitOk;
}

int RunSiblingsShow(const Invocation& invocation, const SiblingsOptions& options) {
  absl::StatusOr<std::unique_ptr<PgConnection>> connection = OpenConflictLog(invocation);
  if (!connection.ok()) return Fail(connection.status());
  const absl::StatusOr<Json> versions = Versions(**connection, options.table, options.key);
  if (!versions.ok()) return Fail(versions.status());
  if (invocation.json) {
    fmt::print("{}\n", versions->dump(2));
    return kExitOk;
  }
  TextTable table({"region", "written at", "row"});
  for (const Json& one : *versions) {
    table.Add({Text(one["region"]), Text(one["written_at"]),
               one["deleted"].get<bool>() ? "deleted" : one["row"].dump()});
  }
  fmt::print("{}", table.rows() == 0 ? "no row\n" : table.ToString());
  return kExitOk;
}

// An ordinary write of the agent's role: it replicates, and has seen all versions.
int RunResolve(const Invocation& invocation, const ResolveOptions& options) {
  absl::StatusOr<std::unique_ptr<PgConnection>> connection = OpenConflictLog(invocation);
  if (!connection.ok()) return Fail(connection.status());
  const absl::StatusOr<std::optional<std::string>> row = NewRow(**connection, options);
  if (!row.ok()) return Fail(row.status());
  const absl::StatusOr<PgResult> done =
      (*connection)
          ->Query("SELECT pgduet.resolve($1::regclass, $2::jsonb, $3::jsonb)",
                  {options.table, options.key, *row});
  if (!done.ok()) return Fail(Refused(done.status()));
  fmt::print("{}\n", *row ? "the row is written" : "the row is deleted");
  return kExitOk;
}

}  // namespace pgduet
