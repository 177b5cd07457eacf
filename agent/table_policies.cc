#include "agent/table_policies.h"

namespace pgduet {

std::map<std::string, TablePolicy> VersionedTables(const Config& config) {
  std::map<std::string, TablePolicy> tables;
  for (const TableConfig& table : config.tables) {
    if (table.policy.KeepsVersions()) tables.emplace(table.QualifiedName(), table.policy);
  }
  return tables;
}

}  // namespace pgduet
