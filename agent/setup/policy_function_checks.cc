#include "agent/setup/policy_function_checks.h"

#include <fmt/format.h>

#include "agent/config_values.h"

namespace pgduet {
namespace {

// No row without a function of that signature.
constexpr char kFunctionSql[] = R"(
SELECT p.provolatile = 'i',
       pg_catalog.has_schema_privilege(p.pronamespace, 'USAGE') AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE'),
       pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(current_user)
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE p.prokind = 'f' AND NOT p.proretset AND p.prorettype = 'jsonb'::regtype
  AND p.pronargs = 3 AND 'jsonb'::regtype::oid = ALL (p.proargtypes)
  AND n.nspname = $1 AND p.proname = $2)";

}  // namespace

void CheckPolicyFunction(const TableConfig& table, PgConnection& connection, Findings& findings) {
  const std::string& function = table.policy.function;
  const std::string place = fmt::format("table={} function={}", table.QuotedName(), function);
  const TableNameText name = ParseTableName(function);
  absl::StatusOr<PgResult> row = connection.Query(kFunctionSql, {name.schema, name.name});
  if (!row.ok()) return AddStatus(findings, row.status());
  if (row->rows() == 0) {
    findings.push_back(
        {Severity::kError, "policy_function_missing",
         fmt::format("no function (jsonb, jsonb, jsonb) RETURNS jsonb has this name: {}", place),
         fmt::format(
             "CREATE FUNCTION {}(jsonb, jsonb, jsonb) RETURNS jsonb IMMUTABLE ...; the same "
             "in all regions.",
             function)});
    return;
  }
  if (!row->Bool(0, 1)) {
    findings.push_back(
        {Severity::kError, "policy_function_right_missing",
         fmt::format("the agent's role may not call the function: {}", place),
         fmt::format("GRANT USAGE ON SCHEMA {} TO {}; GRANT EXECUTE ON FUNCTION {}(jsonb, jsonb, "
                     "jsonb) TO {};",
                     row->Text(0, 2), row->Text(0, 3), function, row->Text(0, 3))});
  }
  if (!row->Bool(0, 0)) {
    findings.push_back(
        {Severity::kWarning, "policy_function_volatile",
         fmt::format("the function is not declared IMMUTABLE, and regions that compute different "
                     "rows stay different: {}",
                     place),
         fmt::format(
             "When it depends on nothing but its arguments: ALTER FUNCTION {}(jsonb, jsonb, "
             "jsonb) IMMUTABLE;",
             function)});
  }
}

}  // namespace pgduet
