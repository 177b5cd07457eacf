// policy test: a custom table's function over the rows of logged conflicts. Nothing is written.
//
// pgduet calls it in one order everywhere (the older version first), so an order that matters is no
// fault by itself; it is told, because it surprises. Two different answers to one question are:
// regions would differ.
#include <algorithm>

#include <fmt/format.h>

#include "agent/commands/commands.h"
#include "agent/commands/conflicts_entry.h"
#include "agent/text_table.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

struct Count {
  int asked = 0;
  int unsteady = 0;  // the same question, another answer
  int by_order = 0;  // the other order, another answer
  int errors = 0;
  int timeouts = 0;
  int deletes = 0;  // NULL
};

std::string QuestionSql(const std::string& function) {
  return fmt::format(
      "SELECT {0}(l, r, c) IS DISTINCT FROM {0}(l, r, c), {0}(l, r, c) IS DISTINCT FROM {0}(r, l, "
      "c), {0}(l, r, c) IS NULL FROM (SELECT CASE WHEN local_time < remote_time THEN local_row "
      "ELSE remote_row END AS l, CASE WHEN local_time < remote_time THEN remote_row ELSE local_row "
      "END AS r, jsonb_build_object('table', table_schema || '.' || table_name) AS c FROM "
      "pgduet.conflict WHERE id = $1::bigint) q",
      function);
}

absl::Status Ask(PgConnection& connection, const TablePolicy& policy, const std::string& id,
                 Count& count) {
  const absl::StatusOr<PgResult> answer = connection.Query(QuestionSql(policy.function), {id});
  ++count.asked;
  if (!answer.ok()) {
    const std::string state = SqlState(answer.status());
    if (state.empty() || absl::IsUnavailable(answer.status())) return answer.status();
    ++(state == "57014" ? count.timeouts : count.errors);
    return absl::OkStatus();
  }
  count.unsteady += answer->Bool(0, 0) ? 1 : 0;
  count.by_order += answer->Bool(0, 1) ? 1 : 0;
  count.deletes += answer->Bool(0, 2) ? 1 : 0;
  return absl::OkStatus();
}

absl::StatusOr<Count> AskAll(PgConnection& connection, const TableConfig& table, int limit) {
  PGDUET_RETURN_IF_ERROR(
      connection
          .Query(fmt::format("SET default_transaction_read_only = on; SET statement_timeout = {}",
                             table.policy.function_timeout_ms))
          .status());
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult ids,
      connection.Query("SELECT id FROM pgduet.conflict WHERE table_schema = $1 AND table_name = $2 "
                       "AND local_row IS NOT NULL AND remote_row IS NOT NULL ORDER BY id DESC "
                       "LIMIT $3::int",
                       {table.schema, table.name, std::to_string(limit)}));
  Count count;
  for (int row = 0; row < ids.rows(); ++row)
    PGDUET_RETURN_IF_ERROR(Ask(connection, table.policy, std::string(ids.Text(row, 0)), count));
  return count;
}

void Print(const Count& count, bool json) {
  if (json) {
    fmt::print("{}\n", Json{{"asked", count.asked},
                            {"not_deterministic", count.unsteady},
                            {"order_matters", count.by_order},
                            {"errors", count.errors},
                            {"timeouts", count.timeouts},
                            {"deletes", count.deletes}}
                           .dump(2));
    return;
  }
  TextTable table({"conflicts asked about", std::to_string(count.asked)});
  table.Add({"another answer when asked again", std::to_string(count.unsteady)});
  table.Add({"another answer in the other order", std::to_string(count.by_order)});
  table.Add({"errors: the newest version would stand", std::to_string(count.errors)});
  table.Add({"over function_timeout: the stream would stop", std::to_string(count.timeouts)});
  table.Add({"NULL: the row would be deleted", std::to_string(count.deletes)});
  fmt::print("{}", table.ToString());
}

}  // namespace

int RunPolicyTest(const Invocation& invocation, const FunctionTestOptions& options) {
  const auto table =
      std::find_if(invocation.config.tables.begin(), invocation.config.tables.end(),
                   [&](const TableConfig& one) { return one.QualifiedName() == options.table; });
  if (table == invocation.config.tables.end() || table->policy.kind != PolicyKind::kCustom) {
    return Fail(NamedError(absl::StatusCode::kInvalidArgument, "no_such_table",
                           "no table of policy custom has this name: table=" + options.table,
                           "Name the table as in the configuration: schema.table."));
  }
  absl::StatusOr<std::unique_ptr<PgConnection>> connection = OpenConflictLog(invocation);
  if (!connection.ok()) return Fail(connection.status());
  const absl::StatusOr<Count> count = AskAll(**connection, *table, options.limit);
  if (!count.ok()) return Fail(count.status());
  Print(*count, invocation.json);
  return count->unsteady + count->timeouts == 0 ? kExitOk : kExitFailure;
}

}  // namespace pgduet
