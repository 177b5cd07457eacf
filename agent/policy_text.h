// What all regions of a group must agree on, as text and as a hash. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "agent/config.h"

namespace pgduet {

// One setting a line, "name=value\n", in an order that does not depend on the file's: protocol,
// group, set, regions by rank, tables by name; of a table its policy and delete rule, and what else
// is not the default (regions by name, columns and groups sorted). Line breaks and backslashes in
// names are escaped. Two regions replicate only when it is equal.
std::string CanonicalPolicyText(const Config& config);

// XXH3 of CanonicalPolicyText; travels in every record header. Never 0.
uint64_t PolicyHash(const Config& config);

}  // namespace pgduet
