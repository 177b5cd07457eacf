// parked list: rows that lost a unique value and wait. Row values go to standard output only.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agent/commands/commands.h"
#include "agent/text_table.h"
#include "base/named_error.h"
#include "base/pg_connection.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

constexpr char kParkedSql[] =
    "SELECT to_jsonb(c)::text FROM (SELECT coalesce(n.nspname || '.' || c.relname, 'oid ' || "
    "p.relation) AS \"table\", p.key, r.name AS region, p.commit_time, p.constraint_name AS "
    "\"constraint\", p.blocked_by, p.parked_at, jsonb_object(p.columns, p.row_values) AS row "
    "FROM pgduet.parked p LEFT JOIN pg_catalog.pg_class c ON c.oid = p.relation LEFT JOIN "
    "pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pgduet.region r ON r.rank = "
    "p.rank) c WHERE $1 = '' OR c.\"table\" = $1 ORDER BY parked_at DESC LIMIT $2::bigint";

}  // namespace

int RunParkedList(const Invocation& invocation, const ParkedOptions& options) {
  using Json = nlohmann::ordered_json;
  PgConnection::Options session =
      SetSession(invocation.self().postgres, invocation.config.set, "parked");
  session.settings.clear();  // times as the reader's role wants them
  const absl::StatusOr<std::unique_ptr<PgConnection>> connection = PgConnection::Open(session);
  if (!connection.ok()) return Fail(connection.status());
  const absl::StatusOr<PgResult> rows =
      (*connection)->Query(kParkedSql, {options.table, std::to_string(options.limit)});
  if (!rows.ok()) {
    const std::string state = SqlState(rows.status());
    if (state != "42P01" && state != "3F000") return Fail(rows.status());
    return Fail(Renamed(rows.status(), absl::StatusCode::kFailedPrecondition, "not_initialized",
                        "Run 'pgduet init' for this region."));
  }
  Json parked = Json::array();
  TextTable table({"parked at", "table", "key", "written at", "commit time", "constraint",
                   "blocked by", "row"});
  for (int row = 0; row < rows->rows(); ++row) {
    const Json one = Json::parse(rows->Text(row, 0));
    const auto text = [&](const char* name) {
      return one[name].is_string() ? one[name].get<std::string>()
                                   : (one[name].is_null() ? "" : one[name].dump());
    };
    table.Add({text("parked_at").substr(0, 23), text("table"), text("key"), text("region"),
               text("commit_time").substr(0, 23), text("constraint"), text("blocked_by"),
               text("row")});
    parked.push_back(one);
  }
  if (invocation.json) {
    fmt::print("{}\n", parked.dump(2));
  } else {
    fmt::print("{}", table.rows() == 0 ? "nothing is parked\n" : table.ToString());
  }
  return kExitOk;
}

}  // namespace pgduet
