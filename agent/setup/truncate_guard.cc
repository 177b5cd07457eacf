// RegionSetup::GuardAgainstTruncate: tables whose policy keeps versions get a trigger that refuses
// TRUNCATE; other tables lose it (docs/decisions/0004).
#include <fmt/format.h>

#include "agent/setup/region_setup.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr char kHasGuardSql[] =
    "SELECT 1 FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN "
    "pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 "
    "AND t.tgname = 'pgduet_refuse_truncate'";

}  // namespace

absl::Status RegionSetup::AdoptPolicies(bool after) {
  PGDUET_RETURN_IF_ERROR(Connect());
  if (!after) PGDUET_RETURN_IF_ERROR(RefuseUnready());
  for (const TableConfig& table : config_.tables) {
    if (!table.policy.function.empty()) PGDUET_RETURN_IF_ERROR(GrantFunction(table.policy));
  }
  return GuardAgainstTruncate(after);
}

absl::Status RegionSetup::GuardAgainstTruncate(bool may_drop) {
  for (const TableConfig& table : config_.tables) {
    PGDUET_ASSIGN_OR_RETURN(const PgResult guard,
                            admin_->Query(kHasGuardSql, {table.schema, table.name}));
    const bool wanted = table.policy.KeepsVersions();
    if (wanted == (guard.rows() > 0) || (!wanted && !may_drop)) continue;
    const std::string sql =
        wanted ? fmt::format(
                     "CREATE TRIGGER pgduet_refuse_truncate BEFORE TRUNCATE ON {} FOR EACH "
                     "STATEMENT EXECUTE FUNCTION pgduet.refuse_truncate()",
                     table.QuotedName())
               : fmt::format("DROP TRIGGER pgduet_refuse_truncate ON {}", table.QuotedName());
    PGDUET_RETURN_IF_ERROR(Do(
        sql, fmt::format("{} {} TRUNCATE", table.QualifiedName(), wanted ? "refuses" : "takes")));
  }
  return absl::OkStatus();
}

}  // namespace pgduet
