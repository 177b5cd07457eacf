// What apply needs of the configuration: the tables that keep versions, each with its policy. Pure.
#pragma once

#include <map>
#include <string>

#include "agent/config.h"
#include "resolve/table_policy.h"

namespace pgduet {

// "schema.name" (as Relation::QualifiedName() gives it, not quoted) of each table whose policy
// KeepsVersions(). Names and policies as in the file: types are the database's matter. A
// TablePolicy::function is quoted, to be put into SQL as it is.
std::map<std::string, TablePolicy> VersionedTables(const Config& config);

}  // namespace pgduet
