// conflicts list and show: pgduet.conflict for people. Row values go to standard output only.
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agent/commands/commands.h"
#include "agent/text_table.h"
#include "base/named_error.h"
#include "base/pg_connection.h"

namespace pgduet {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kSelect[] =
    "SELECT to_jsonb(c)::text FROM (SELECT id, logged_at, table_schema || '.' || table_name AS "
    "\"table\", key, kind, policy, decision, "
    "remote_operation, remote_region, remote_time, remote_lsn, remote_row, local_operation, "
    "local_region, local_time, local_lsn, "
    "local_row FROM pgduet.conflict) c ";

absl::StatusOr<std::vector<Json>> Load(const RegionConfig& region, const std::string& rest,
                                       const std::vector<std::optional<std::string>>& parameters) {
  PGDUET_ASSIGN_OR_RETURN(
      const std::unique_ptr<PgConnection> connection,
      PgConnection::Open(
          {.conninfo = region.postgres, .application_name = "pgduet conflicts", .settings = {}}));
  absl::StatusOr<PgResult> rows = connection->Query(kSelect + rest, parameters);
  if (!rows.ok()) {
    const std::string state = SqlState(rows.status());
    if (state == "42P01" || state == "3F000") {
      return Renamed(rows.status(), absl::StatusCode::kFailedPrecondition, "not_initialized",
                     "Run 'pgduet init' for this region.");
    }
    if (state.starts_with("22")) {
      return Renamed(rows.status(), absl::StatusCode::kInvalidArgument, "bad_filter",
                     "--since takes a time or an interval: '2026-11-24 10:00', '1 hour'.");
    }
    return rows.status();
  }
  std::vector<Json> conflicts;
  for (int row = 0; row < rows->rows(); ++row) conflicts.push_back(Json::parse(rows->Text(row, 0)));
  return conflicts;
}

std::string Text(const Json& value) {
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string Winner(const Json& conflict) {
  return conflict["decision"] == "apply_remote" || conflict["decision"] == "park_local"
             ? Text(conflict["remote_region"])
             : Text(conflict["local_region"]);
}

void PrintSideBySide(const Json& conflict) {
  fmt::print("conflict {}: {} on {} {}\n", Text(conflict["id"]), Text(conflict["kind"]),
             Text(conflict["table"]), Text(conflict["key"]));
  fmt::print("decided by {}: {} ({} wins), logged {}\n\n", Text(conflict["policy"]),
             Text(conflict["decision"]), Winner(conflict), Text(conflict["logged_at"]));
  TextTable table({"", "remote", "local", ""});
  table.Add({"region", Text(conflict["remote_region"]), Text(conflict["local_region"]), ""});
  table.Add(
      {"operation", Text(conflict["remote_operation"]), Text(conflict["local_operation"]), ""});
  table.Add({"commit time", Text(conflict["remote_time"]), Text(conflict["local_time"]), ""});
  table.Add({"commit LSN", Text(conflict["remote_lsn"]), Text(conflict["local_lsn"]), ""});
  const Json& remote = conflict["remote_row"];
  const Json& local = conflict["local_row"];
  std::set<std::string> columns;
  for (const Json* row : {&remote, &local}) {
    if (!row->is_object()) continue;
    for (const auto& item : row->items()) columns.insert(item.key());
  }
  for (const std::string& column : columns) {
    const auto side = [&](const Json& row) {
      if (!row.is_object() || !row.contains(column)) return std::string("-");
      return row[column].is_null() ? std::string("NULL") : Text(row[column]);
    };
    table.Add({"  " + column, side(remote), side(local), side(remote) == side(local) ? "" : "*"});
  }
  fmt::print("{}", table.ToString());
}

}  // namespace

int RunConflictsList(const Invocation& invocation, const ConflictsOptions& options) {
  std::string where = "WHERE true";
  std::vector<std::optional<std::string>> parameters;
  const auto add = [&](const std::string& condition, const std::string& value) {
    if (value.empty()) return;
    parameters.emplace_back(value);
    where +=
        fmt::format(fmt::runtime(condition), fmt::arg("p", fmt::format("${}", parameters.size())));
  };
  add(" AND c.\"table\" = {p}", options.table);
  add(" AND c.kind = {p}", options.kind);
  // A text with digits and a unit is an interval; anything else must be a time.
  const bool interval = options.since.find_first_of("-:") == std::string::npos;
  add(interval ? " AND c.logged_at >= now() - {p}::interval"
               : " AND c.logged_at >= {p}::timestamptz",
      options.since);
  absl::StatusOr<std::vector<Json>> conflicts =
      Load(invocation.self(), fmt::format("{} ORDER BY c.id DESC LIMIT {}", where, options.limit),
           parameters);
  if (!conflicts.ok()) return Fail(conflicts.status());
  if (invocation.json) {
    fmt::print("{}\n", Json(*conflicts).dump(2));
    return kExitOk;
  }
  TextTable table({"id", "logged at", "table", "key", "kind", "decision", "winner"});
  for (const Json& one : *conflicts) {
    table.Add({Text(one["id"]), Text(one["logged_at"]).substr(0, 23), Text(one["table"]),
               Text(one["key"]), Text(one["kind"]), Text(one["decision"]), Winner(one)});
  }
  fmt::print("{}", table.rows() == 0 ? "no conflicts\n" : table.ToString());
  return kExitOk;
}

int RunConflictsShow(const Invocation& invocation, long id) {
  absl::StatusOr<std::vector<Json>> conflicts =
      Load(invocation.self(), "WHERE c.id = $1::bigint", {std::to_string(id)});
  if (!conflicts.ok()) return Fail(conflicts.status());
  if (conflicts->empty()) {
    return Fail(NamedError(absl::StatusCode::kNotFound, "no_such_conflict",
                           fmt::format("no conflict has this number: id={}", id),
                           "See 'pgduet conflicts list'; each region has a log of its own."));
  }
  if (invocation.json) {
    fmt::print("{}\n", conflicts->front().dump(2));
  } else {
    PrintSideBySide(conflicts->front());
  }
  return kExitOk;
}

}  // namespace pgduet
