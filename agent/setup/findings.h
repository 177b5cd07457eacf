// What stands in the way of a region, found by probing: each finding has a name, what and where,
// and its mend.
//
// Probes do the thing where they can (connect as a replica, set the role, create an origin and roll
// back) rather than read flags: managed services grant rights in their own ways. Nothing is
// changed.
#pragma once

#include <string>
#include <vector>

#include "agent/config.h"
#include "base/pg_connection.h"

namespace pgduet {

enum class Severity { kInfo, kWarning, kError };
std::string_view SeverityName(Severity severity);

struct Finding {
  Severity severity = Severity::kError;
  std::string name;  // docs/operations/errors.md
  std::string what;
  std::string remedy;
};
using Findings = std::vector<Finding>;

bool HasErrors(const Findings& findings);
// OK, or the first finding that is an error, under its name.
absl::Status FirstError(const Findings& findings);
void AddStatus(Findings& findings, const absl::Status& status);

// The server's settings and room: versions, wal_level, slots, origins.
void CheckServer(const Config& config, const RegionConfig& region, PgConnection& connection,
                 Findings& findings);
// What the runtime role may do.
void CheckRights(const Config& config, const RegionConfig& region, PgConnection& connection,
                 Findings& findings);
// The configured tables: existence, keys, what replication cannot carry.
void CheckTables(const Config& config, PgConnection& connection, Findings& findings);
// The tables whose policy keeps versions: do their columns, old rows and functions allow it? The
// agent asks this, too, when it starts.
void CheckPolicies(const Config& config, PgConnection& connection, Findings& findings);
// The foreign keys between them: which orphans pgduet finds, and whether `on_orphan` can be kept.
// The agent asks this, too, when it starts.
void CheckForeignKeys(const Config& config, PgConnection& connection, Findings& findings);
// What `init` makes: sidecar, publication, slot.
void CheckSetup(const Config& config, const RegionConfig& region, PgConnection& connection,
                Findings& findings);
// The region's own topic, and its peers'.
void CheckKafka(const Config& config, const RegionConfig& region, Findings& findings);

}  // namespace pgduet
