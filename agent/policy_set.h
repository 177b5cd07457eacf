// One set of policies apart from the file that it came from: as it is stored while it is proposed,
// applied and left, and put in the place of a file's own set. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "agent/config.h"

namespace pgduet {

// What the file says of the set's `tables` and of `defaults`, as YAML; no connection strings, no
// passwords.
std::string PolicySettingsText(const Config& config);

// The file's configuration with another set's settings. `policy_text` is that set's canonical text,
// which must come out. Error: policy_set_unreadable.
absl::StatusOr<Config> WithPolicySettings(const Config& file, const std::string& settings,
                                          const std::string& policy_text);

// The tables whose conflicts are decided in another way in `to`. Both have the same tables.
std::vector<TableConfig> ChangedTables(const Config& from, const Config& to);

// OK when the two texts differ in policies of tables alone. Error: policy_change_too_large.
absl::Status CheckPoliciesAlone(const std::string& from_text, const std::string& to_text);

uint64_t PolicyTextHash(const std::string& policy_text);

}  // namespace pgduet
