// The function of a table with policy `custom`: is it there, may it be called, is it declared pure?
#pragma once

#include "agent/setup/findings.h"

namespace pgduet {

// With the rights of the connection's role.
void CheckPolicyFunction(const TableConfig& table, PgConnection& connection, Findings& findings);

}  // namespace pgduet
