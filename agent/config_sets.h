// The sets of tables of a configuration file (docs/decisions/0009): what must hold of them. Taking
// one of them is OfSet() in config.h. Pure.
#pragma once

#include <cstddef>
#include <vector>

#include "agent/config.h"

namespace pgduet {

// Of a file that is read as a whole: names, members, addresses.
void CheckSets(const Config& file, std::vector<ConfigProblem>& problems);

// Bytes of the longest canonical policy text of a set: it travels. The file has no problems.
size_t LongestPolicyText(const Config& file);

}  // namespace pgduet
