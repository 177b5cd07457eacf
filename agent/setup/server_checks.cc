// CheckServer and CheckRights: see findings.h.
#include <cstdlib>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "agent/names.h"
#include "agent/setup/findings.h"
#include "apply/target_session.h"
#include "base/named_error.h"
#include "capture/applied_marker.h"

namespace pgduet {
namespace {

std::string Setting(PgConnection& connection, const std::string& name) {
  absl::StatusOr<PgResult> value =
      connection.Query("SELECT pg_catalog.current_setting($1, true)", {name});
  return value.ok() ? std::string(value->Text(0, 0)) : std::string();
}

int64_t Count(PgConnection& connection, const std::string& sql,
              const std::vector<std::optional<std::string>>& parameters = {}) {
  absl::StatusOr<PgResult> value = connection.Query(sql, parameters);
  return value.ok() && value->rows() == 1 ? value->Int(0, 0) : 0;
}

void CheckVersion(PgConnection& connection, Findings& findings) {
  const int version = connection.server_version() / 10000;
  if (version < 15) {
    findings.push_back({Severity::kError, "server_version",
                        fmt::format("PostgreSQL {} is too old", version),
                        "pgduet needs PostgreSQL 15 or later."});
  } else if (version > 18) {
    findings.push_back({Severity::kWarning, "server_version",
                        fmt::format("PostgreSQL {} is newer than what was tested", version),
                        "Tested are 15 to 18."});
  }
  if (Setting(connection, "server_encoding") == "SQL_ASCII") {
    findings.push_back({Severity::kError, "encoding_unknown",
                        "the database's encoding is SQL_ASCII: its text has no known meaning",
                        "Move the data to a database with encoding UTF8."});
  }
}

void CheckWal(PgConnection& connection, Findings& findings) {
  if (const std::string level = Setting(connection, "wal_level"); level != "logical") {
    findings.push_back({Severity::kError, "wal_level",
                        fmt::format("wal_level is {}, not logical", level),
                        "ALTER SYSTEM SET wal_level = logical; then restart the server."});
  }
  AddStatus(findings, CheckCommitTimestamps(connection));
  if (Setting(connection, "max_slot_wal_keep_size") == "-1") {
    findings.push_back(
        {Severity::kInfo, "max_slot_wal_keep_size",
         "no limit on the WAL that a slot keeps: while the agent is away the disk can fill",
         "Watch pgduet_slot_retained_wal_bytes, or set max_slot_wal_keep_size and accept that the "
         "slot is lost then."});
  }
}

void CheckRoom(const Config& config, const RegionConfig& region, PgConnection& connection,
               Findings& findings) {
  const int64_t slots_max = std::atoll(Setting(connection, "max_replication_slots").c_str());
  const int64_t senders_max = std::atoll(Setting(connection, "max_wal_senders").c_str());
  int64_t missing = 0;
  const std::vector<std::string> slots = SlotNames(config, region.name);
  for (const std::string& slot : slots) {
    missing += 1 - Count(connection,
                         "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", {slot});
  }
  const int64_t used = Count(connection, "SELECT count(*) FROM pg_replication_slots");
  if (used + missing > slots_max) {
    findings.push_back(
        {Severity::kError, "too_few_slots",
         fmt::format("too few replication slots: max_replication_slots={} used={} needed={}",
                     slots_max, used, missing),
         fmt::format("ALTER SYSTEM SET max_replication_slots = {}; then restart the server.",
                     used + missing + 4)});
  }
  // Each set of tables has as many slots and sessions as this one.
  const size_t sets = config.sets.size() + 1;
  const size_t senders = slots.size() * sets;
  if (senders_max < static_cast<int64_t>(senders) + 1) {
    findings.push_back(
        {Severity::kError, "too_few_wal_senders",
         fmt::format("too few WAL senders: max_wal_senders={} needed={}", senders_max, senders + 1),
         fmt::format("ALTER SYSTEM SET max_wal_senders = {}; then restart the server.",
                     senders + 4)});
  }
  // Sessions that apply hold a replication origin each; before PostgreSQL 18 max_replication_slots
  // limits them, too.
  const bool own_setting = connection.server_version() >= 180000;
  const char* name = own_setting ? "max_active_replication_origins" : "max_replication_slots";
  const int64_t origins_max = std::atoll(Setting(connection, name).c_str());
  const auto origins = static_cast<int64_t>((config.regions.size() + 1) * sets);
  if (origins_max < origins) {
    findings.push_back(
        {Severity::kError, "too_few_origins",
         fmt::format("too few active replication origins: {}={} needed={}", name, origins_max,
                     origins),
         fmt::format("ALTER SYSTEM SET {} = {}; then restart the server.", name, origins + 4)});
  }
}

void CheckClock(PgConnection& connection, const Config& config, Findings& findings) {
  const absl::Time before = absl::Now();
  absl::StatusOr<PgResult> now =
      connection.Query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
  if (!now.ok()) return;
  const absl::Time middle = before + (absl::Now() - before) / 2;
  const absl::Duration off = absl::FromUnixMicros(now->Int(0, 0)) - middle;
  if (absl::AbsDuration(off) > config.max_clock_skew) {
    findings.push_back(
        {Severity::kWarning, "clock_differs",
         fmt::format("the database's clock differs from this host's: by={}",
                     absl::FormatDuration(off)),
         "Run NTP on all hosts: streams stop while a clock is ahead by more than max_clock_skew."});
  }
}

}  // namespace

void CheckServer(const Config& config, const RegionConfig& region, PgConnection& connection,
                 Findings& findings) {
  CheckVersion(connection, findings);
  CheckWal(connection, findings);
  CheckRoom(config, region, connection, findings);
  CheckClock(connection, config, findings);
}

void CheckRights(const Config&, const RegionConfig& region, PgConnection& connection,
                 Findings& findings) {
  absl::StatusOr<PgResult> role = connection.Query("SELECT pg_catalog.quote_ident(current_user)");
  const std::string name = role.ok() ? std::string(role->Text(0, 0)) : std::string("the role");
  absl::StatusOr<std::unique_ptr<PgConnection>> replication =
      PgConnection::Open({.conninfo = region.postgres,
                          .application_name = "pgduet check",
                          .replication = true,
                          .settings = {}});
  if (!replication.ok()) {
    findings.push_back(
        {Severity::kError, "replication_right_missing",
         fmt::format("no replication connection: {}", std::string(replication.status().message())),
         fmt::format("ALTER ROLE {} REPLICATION; and let it in for this database in pg_hba.conf "
                     "(on a managed service: grant its replication role).",
                     name)});
  }
  if (absl::Status status =
          connection.Query("BEGIN; SET LOCAL session_replication_role = replica; ROLLBACK")
              .status();
      !status.ok()) {
    (void)connection.Query("ROLLBACK");
    findings.push_back(
        {Severity::kError, "replica_role_refused",
         "session_replication_role cannot be set: triggers and foreign keys would act twice",
         fmt::format("GRANT SET ON PARAMETER session_replication_role TO {};", name)});
  }
  // Using an origin is tried on one that cannot exist: a missing right is refused before the name
  // is looked up.
  for (const char* function : {"pg_replication_origin_session_setup(text)",
                               "pg_replication_origin_xact_setup(pg_lsn, timestamptz)",
                               "pg_replication_origin_oid(text)"}) {
    absl::StatusOr<PgResult> may =
        connection.Query("SELECT pg_catalog.has_function_privilege($1, 'EXECUTE')",
                         {"pg_catalog." + std::string(function)});
    if (may.ok() && may->Bool(0, 0)) continue;
    findings.push_back(
        {Severity::kError, "origin_right_missing",
         fmt::format("replication origins may not be used: function={}", function),
         fmt::format("GRANT EXECUTE ON FUNCTION pg_catalog.{} TO {};", function, name)});
  }
}

}  // namespace pgduet
