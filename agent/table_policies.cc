#include "agent/table_policies.h"

namespace pgduet {

PolicyTables::ByName VersionedTables(const Config& config) {
  PolicyTables::ByName tables;
  for (const TableConfig& table : config.tables) {
    if (table.policy.KeepsVersions()) tables[{table.schema, table.name}] = table.policy;
  }
  return tables;
}

std::vector<ReplicatedTable> ReplicatedTables(const Config& config) {
  std::vector<ReplicatedTable> tables;
  for (const TableConfig& table : config.tables) {
    tables.push_back(
        {.schema = table.schema, .name = table.name, .rule = table.on_orphan, .unsupported = {}});
    if (table.policy.KeepsVersions())
      tables.back().unsupported = "a table of it has another policy than last_write_wins";
    if (table.on_unique == "park_loser")
      tables.back().unsupported = "a table of it parks rows (on_unique: park_loser)";
  }
  return tables;
}

}  // namespace pgduet
