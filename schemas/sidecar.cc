#include "schemas/sidecar.h"

namespace pgduet {

std::string_view SidecarSql() {
  static constexpr std::string_view kSql =
#include "schemas/sidecar_sql.inc"
      ;
  return kSql;
}

}  // namespace pgduet
