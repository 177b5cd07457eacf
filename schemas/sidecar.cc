#include "schemas/sidecar.h"

#include <algorithm>

#include <fmt/format.h>

namespace pgduet {
namespace {

constexpr char kMainSchema[] = "pgduet";

}  // namespace

std::string SidecarSchema(std::string_view set) {
  if (set == kMainSet) return kMainSchema;
  std::string schema = fmt::format("{}_{}", kMainSchema, set);
  std::replace(schema.begin(), schema.end(), '-', '_');
  return schema;
}

// Bodies of functions name the schema, too: the whole text is one to us.
std::string SidecarSql(std::string_view set) {
  static constexpr std::string_view kSql =
#include "schemas/sidecar_sql.inc"
      ;
  constexpr std::string_view kWritten = "pgduet.";
  const std::string meant = SidecarSchema(set) + ".";
  std::string sql;
  std::string_view rest = kSql;
  for (size_t at = rest.find(kWritten); at != std::string_view::npos; at = rest.find(kWritten)) {
    sql.append(rest.substr(0, at)).append(meant);
    rest.remove_prefix(at + kWritten.size());
  }
  return sql.append(rest);
}

std::string SessionName(std::string_view set, std::string_view purpose) {
  return set == kMainSet ? fmt::format("pgduet {}", purpose)
                         : fmt::format("pgduet {} {}", set, purpose);
}

PgConnection::Options SetSession(std::string conninfo, std::string_view set,
                                 std::string_view purpose) {
  return {.conninfo = std::move(conninfo),
          .application_name = SessionName(set, purpose),
          .settings = PinnedSettings(),
          .schema = set == kMainSet ? SchemaName{} : SchemaName{kMainSchema, SidecarSchema(set)}};
}

}  // namespace pgduet
