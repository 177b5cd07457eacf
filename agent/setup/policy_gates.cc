#include "agent/setup/policy_gates.h"

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "base/named_error.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

constexpr int kAttemptsMax = 20;

// A partitioned table hands a row trigger on to its partitions; a statement may name one of them.
constexpr char kTableSql[] =
    "SELECT c.relkind = 'p', EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid "
    "AND t.tgname = 'pgduet_policy_gate') FROM pg_catalog.pg_class c WHERE c.oid = $1::regclass";
constexpr char kStandingSql[] =
    "SELECT format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass) FROM "
    "pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc f ON f.oid = t.tgfoid WHERE t.tgname LIKE "
    "'pgduet_policy_gate%' AND t.tgparentid = 0 AND f.pronamespace = $1::regnamespace AND "
    "NOT EXISTS (SELECT FROM pgduet.policy_change WHERE state IN ('proposed', 'going', 'fenced', "
    "'voted'))";

// Writers that come wait behind us while we wait: not long.
absl::Status RunPatiently(PgConnection& admin, const std::string& sql) {
  absl::Status status;
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    status = admin.Query("SET lock_timeout = '500ms'; " + sql).status();
    if (status.ok() || !absl::IsAborted(status)) return status;
    absl::SleepFor(absl::Milliseconds(500));
  }
  return Renamed(status, absl::StatusCode::kFailedPrecondition, "policy_gate_busy",
                 "A transaction holds the table for long (pg_stat_activity): end it, or wait, and "
                 "run the command again.");
}

}  // namespace

absl::Status MakePolicyGates(PgConnection& admin, const std::vector<TableConfig>& tables) {
  for (const TableConfig& table : tables) {
    const std::string name = table.QuotedName();
    PGDUET_ASSIGN_OR_RETURN(const PgResult row, admin.Query(kTableSql, {name}));
    if (row.rows() == 0 || row.Bool(0, 1)) continue;
    const bool partitioned = row.Bool(0, 0);
    std::string sql = fmt::format(
        "CREATE TRIGGER pgduet_policy_gate BEFORE INSERT OR UPDATE OR DELETE{} ON {} FOR EACH {} "
        "EXECUTE FUNCTION pgduet.hold_write()",
        partitioned ? "" : " OR TRUNCATE", name, partitioned ? "ROW" : "STATEMENT");
    if (partitioned) {
      sql += fmt::format(
          "; CREATE TRIGGER pgduet_policy_gate_truncate BEFORE TRUNCATE ON {} FOR EACH STATEMENT "
          "EXECUTE FUNCTION pgduet.hold_write()",
          name);
    }
    PGDUET_RETURN_IF_ERROR(WithContext(RunPatiently(admin, sql), "gate of " + name));
  }
  return absl::OkStatus();
}

absl::Status DropPolicyGates(PgConnection& admin, std::string_view set) {
  PGDUET_ASSIGN_OR_RETURN(const PgResult standing, admin.Query(kStandingSql, {SidecarSchema(set)}));
  for (int row = 0; row < standing.rows(); ++row)
    PGDUET_RETURN_IF_ERROR(RunPatiently(admin, std::string(standing.Text(row, 0))));
  return absl::OkStatus();
}

}  // namespace pgduet
