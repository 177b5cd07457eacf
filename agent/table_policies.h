// What apply needs of the configuration: the tables that keep versions, each with its policy. Pure.
#pragma once

#include "agent/config.h"
#include "apply/foreign_keys.h"
#include "apply/policy_tables.h"

namespace pgduet {

// Schema and name of each table whose policy KeepsVersions(). Names and policies as in the file:
// types are the database's matter. A TablePolicy::function is quoted, to be put into SQL as it is.
PolicyTables::ByName VersionedTables(const Config& config);

// All tables, with what their foreign keys need to know of them.
std::vector<ReplicatedTable> ReplicatedTables(const Config& config);

}  // namespace pgduet
