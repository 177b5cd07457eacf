// policy status: which set is in force here, and how far a change of it is.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agent/commands/commands.h"
#include "agent/policy_set.h"
#include "agent/region_agent.h"
#include "agent/text_table.h"
#include "base/named_error.h"
#include "schemas/policy_notice.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kSetSql[] =
    "SELECT i.policy_text, coalesce(s.change, 0), coalesce(s.applied_at::text, ''), "
    "(SELECT last_value FROM pgduet.policy_gate) = 2 FROM pgduet.identity i LEFT JOIN "
    "pgduet.policy_set s ON true";
constexpr char kChangesSql[] =
    "SELECT change, state, from_hash, to_hash, state_at::text, reason FROM pgduet.policy_change "
    "ORDER BY id DESC LIMIT 5";
constexpr char kNoticesSql[] =
    "SELECT r.name, n.kind, n.change, n.from_hash, n.to_hash, n.heard_at::text FROM "
    "pgduet.policy_notice n JOIN pgduet.region r USING (rank) ORDER BY n.rank, n.heard_at";

absl::StatusOr<Json> Table(PgConnection& connection, const char* sql,
                           const std::vector<std::string>& names) {
  PGDUET_ASSIGN_OR_RETURN(const PgResult rows, connection.Query(sql));
  Json table = Json::array();
  for (int row = 0; row < rows.rows(); ++row) {
    Json one;
    for (size_t column = 0; column < names.size(); ++column)
      one[names[column]] = std::string(rows.Text(row, static_cast<int>(column)));
    table.push_back(std::move(one));
  }
  return table;
}

absl::StatusOr<Json> Ask(const Invocation& invocation) {
  PGDUET_ASSIGN_OR_RETURN(const std::unique_ptr<PgConnection> connection,
                          PgConnection::Open(SetSession(invocation.self().postgres,
                                                        invocation.config.set, "policy status")));
  PGDUET_RETURN_IF_ERROR(CheckSidecarVersion(*connection));
  PGDUET_ASSIGN_OR_RETURN(const PgResult set, connection->Query(kSetSql));
  Json answer;
  if (set.rows() > 0) {
    answer["hash"] = PolicyHashText(PolicyTextHash(std::string(set.Text(0, 0))));
    answer["change"] = set.Int(0, 1);
    answer["applied_at"] = std::string(set.Text(0, 2));
    answer["gate_closed"] = set.Bool(0, 3);
    answer["policies"] = std::string(set.Text(0, 0));
  }
  PGDUET_ASSIGN_OR_RETURN(
      answer["changes"],
      Table(*connection, kChangesSql, {"change", "state", "from", "to", "since", "reason"}));
  PGDUET_ASSIGN_OR_RETURN(
      answer["notices"],
      Table(*connection, kNoticesSql, {"region", "kind", "change", "from", "to", "heard_at"}));
  return answer;
}

void PrintTable(const Json& rows) {
  if (rows.empty()) return;
  std::vector<std::string> header;
  for (const auto& [name, value] : rows.front().items()) header.push_back(name);
  TextTable table(header);
  for (const Json& row : rows) {
    std::vector<std::string> line;
    for (const auto& [name, value] : row.items()) line.push_back(value.get<std::string>());
    table.Add(std::move(line));
  }
  fmt::print("\n{}", table.ToString());
}

}  // namespace

int RunPolicyStatus(const Invocation& invocation) {
  const absl::StatusOr<Json> answer = Ask(invocation);
  if (!answer.ok()) return Fail(answer.status());
  if (invocation.json) {
    fmt::print("{}\n", answer->dump(2, ' ', false, Json::error_handler_t::replace));
    return kExitOk;
  }
  if (answer->contains("hash")) {
    fmt::print("{}hash: {}\n", (*answer)["policies"].get<std::string>(),
               (*answer)["hash"].get<std::string>());
    if ((*answer)["gate_closed"].get<bool>())
      fmt::print("gate: closed, writes of the changed tables wait\n");
  }
  PrintTable((*answer)["changes"]);
  PrintTable((*answer)["notices"]);
  return kExitOk;
}

}  // namespace pgduet
