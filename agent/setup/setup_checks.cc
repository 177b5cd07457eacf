// CheckSetup and CheckKafka: see findings.h.
#include <algorithm>

#include <fmt/format.h>

#include "agent/names.h"
#include "agent/region_agent.h"
#include "agent/setup/findings.h"
#include "base/named_error.h"
#include "schemas/sidecar.h"
#include "transport/kafka_admin.h"
#include "transport/kafka_log.h"

namespace pgduet {
namespace {

constexpr char kRunInit[] = "Run 'pgduet init' for this region.";

void CheckPublication(const Config& config, PgConnection& connection, Findings& findings) {
  const std::string publication = PublicationName(config.group, config.set);
  absl::StatusOr<PgResult> rows = connection.Query(
      "SELECT p.puballtables, p.pubviaroot, t.schemaname, t.tablename FROM "
      "pg_catalog.pg_publication p "
      "LEFT JOIN pg_catalog.pg_publication_tables t ON t.pubname = p.pubname WHERE p.pubname = $1 "
      "ORDER BY 3, 4",
      {publication});
  if (!rows.ok()) return AddStatus(findings, rows.status());
  if (rows->rows() == 0) {
    findings.push_back({Severity::kError, "publication_missing",
                        fmt::format("publication is missing: publication={}", publication),
                        kRunInit});
    return;
  }
  std::vector<std::string> published, wanted;
  for (int row = 0; row < rows->rows(); ++row)
    published.push_back(fmt::format("{}.{}", rows->Text(row, 2), rows->Text(row, 3)));
  for (const TableConfig& table : config.tables) wanted.push_back(table.QualifiedName());
  std::sort(published.begin(), published.end());
  std::sort(wanted.begin(), wanted.end());
  if (published != wanted || !rows->Bool(0, 1)) {
    findings.push_back(
        {Severity::kError, "publication_differs",
         fmt::format("the publication's tables are not the configured ones: publication={}",
                     publication),
         kRunInit});
  }
}

void CheckSlots(const Config& config, const RegionConfig& region, PgConnection& connection,
                Findings& findings) {
  for (const std::string& slot : SlotNames(config, region.name)) {
    absl::StatusOr<PgResult> row = connection.Query(
        "SELECT plugin, coalesce(wal_status, ''), database FROM pg_replication_slots WHERE "
        "slot_name = $1",
        {slot});
    if (!row.ok()) return AddStatus(findings, row.status());
    if (row->rows() == 0) {
      findings.push_back({Severity::kError, "slot_missing",
                          fmt::format("replication slot is missing: slot={}", slot),
                          "If this region never ran, run 'pgduet init'. Else changes were lost "
                          "with the slot: see docs/operations/errors.md."});
    } else if (row->Text(0, 1) == "lost") {
      findings.push_back({Severity::kError, "slot_invalidated",
                          fmt::format("replication slot was invalidated: slot={}", slot),
                          "See docs/operations/errors.md."});
    } else if (row->Text(0, 0) != "pgoutput") {
      findings.push_back(
          {Severity::kError, "slot_plugin",
           fmt::format("the slot is another program's: slot={} plugin={}", slot, row->Text(0, 0)),
           "Drop or rename that slot, or choose another group name."});
    }
  }
}

}  // namespace

void CheckSetup(const Config& config, const RegionConfig& region, PgConnection& connection,
                Findings& findings) {
  absl::StatusOr<RegionIdentity> identity =
      LoadIdentity(region.postgres, config, region.name, /*new_run=*/false);
  if (!identity.ok()) return AddStatus(findings, identity.status());
  AddStatus(findings, CheckSidecarVersion(connection));
  CheckPublication(config, connection, findings);
  CheckSlots(config, region, connection, findings);
}

void CheckKafka(const Config& config, const RegionConfig& region, Findings& findings) {
  if (config.transport != TransportKind::kKafka) return;
  for (const RegionConfig& one : config.regions) {
    absl::StatusOr<std::unique_ptr<KafkaAdmin>> admin =
        KafkaAdmin::Open({.brokers = one.kafka_brokers,
                          .properties = config.kafka_properties,
                          .client_id = "pgduet-check"});
    if (!admin.ok()) {
      AddStatus(findings, admin.status());
      continue;
    }
    for (const absl::Status& status : (*admin)->CheckTopic(
             TopicName(config.group, one.name, config.set), config.kafka_retention_min)) {
      // A peer that is not set up yet does not keep this region from starting.
      const bool peer_to_come = one.name != region.name && ErrorName(status) == "topic_missing";
      findings.push_back({peer_to_come ? Severity::kWarning : Severity::kError, ErrorName(status),
                          std::string(status.message()),
                          peer_to_come ? fmt::format("Run 'pgduet init' for region {}.", one.name)
                                       : ErrorRemedy(status)});
    }
  }
}

}  // namespace pgduet
