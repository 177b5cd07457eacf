#include "agent/table_policies.h"

namespace pgduet {

PolicyTables::ByName VersionedTables(const Config& config) {
  PolicyTables::ByName tables;
  for (const TableConfig& table : config.tables) {
    if (table.policy.KeepsVersions()) tables[{table.schema, table.name}] = table.policy;
  }
  return tables;
}

}  // namespace pgduet
