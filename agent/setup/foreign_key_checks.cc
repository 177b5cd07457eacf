// CheckForeignKeys: see findings.h.
#include <map>

#include <fmt/format.h>

#include "agent/setup/findings.h"
#include "agent/table_policies.h"
#include "apply/foreign_keys.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

void Error(Findings& findings, const char* name, std::string what, std::string remedy) {
  findings.push_back({Severity::kError, name, std::move(what), std::move(remedy)});
}

OnOrphan RuleOf(const Config& config, const std::string& child) {
  for (const TableConfig& table : config.tables) {
    if (table.QuotedName() == child) return table.on_orphan;
  }
  return OnOrphan::kReport;
}

void CheckUnsupported(const FoundForeignKey& key, OnOrphan rule, const std::string& where,
                      Findings& findings) {
  if (rule != OnOrphan::kReport) {
    return Error(
        findings, "on_orphan_unsupported",
        fmt::format("on_orphan cannot be kept for a foreign key: {}: {}", where, key.unsupported),
        "Change the key, or set on_orphan: report for the table.");
  }
  findings.push_back({Severity::kWarning, "foreign_key_not_watched",
                      fmt::format("rows without parents are not found for a foreign key: {}: {}",
                                  where, key.unsupported),
                      "Applied changes are not checked against it: two regions together can leave "
                      "a row without its parent, and nobody says so."});
}

void CheckWatched(const FoundForeignKey& key, OnOrphan rule, const std::string& where,
                  Findings& findings) {
  if (rule == OnOrphan::kReviveParent && !key.parent_full) {
    Error(findings, "revive_needs_full_identity",
          fmt::format("on_orphan: revive_parent needs the whole old rows of the parent: {}", where),
          fmt::format("ALTER TABLE {} REPLICA IDENTITY FULL; in all regions.", key.parent));
  }
  if (!key.indexed) {
    findings.push_back(
        {Severity::kWarning, "foreign_key_not_indexed",
         fmt::format("a foreign key has no index at the referring table: {}", where),
         fmt::format("Deletes of its parents scan the whole table, for PostgreSQL and for pgduet. "
                     "CREATE INDEX ON {} ({});",
                     key.child, [&] {
                       std::string columns;
                       for (const std::string& one : key.columns)
                         columns += (columns.empty() ? "" : ", ") + QuoteName(one);
                       return columns;
                     }())});
  }
}

// "schema"."table" -> set, of the whole file.
std::map<std::string, std::string> SetsOfTables(const Config& config) {
  std::map<std::string, std::string> sets;
  for (const std::vector<TableConfig>* tables : {&config.tables, &config.others}) {
    for (const TableConfig& table : *tables) sets.emplace(table.QuotedName(), table.set);
  }
  return sets;
}

// Sets arrive in no order: a child could be there long before its parent, and no agent sees both.
absl::Status CheckAcrossSets(const Config& config, PgConnection& connection, Findings& findings) {
  if (config.others.empty()) return absl::OkStatus();
  Config whole = config;
  whole.tables.insert(whole.tables.end(), config.others.begin(), config.others.end());
  PGDUET_ASSIGN_OR_RETURN(const std::vector<FoundForeignKey> keys,
                          FindForeignKeys(connection, ReplicatedTables(whole)));
  const std::map<std::string, std::string> sets = SetsOfTables(config);
  for (const FoundForeignKey& key : keys) {
    const auto child = sets.find(key.child), parent = sets.find(key.parent);
    if (parent == sets.end() || child->second == parent->second) continue;
    if (child->second != config.set && parent->second != config.set) continue;
    Error(findings, "foreign_key_across_sets",
          fmt::format("a foreign key leads to a table of another set: table={} set={} "
                      "constraint={} parent={} set={}",
                      key.child, child->second, QuoteName(key.name), key.parent, parent->second),
          "Put both tables into one set ('set' of the tables), or drop the foreign key.");
  }
  return absl::OkStatus();
}

}  // namespace

void CheckForeignKeys(const Config& config, PgConnection& connection, Findings& findings) {
  AddStatus(findings, CheckAcrossSets(config, connection, findings));
  const absl::StatusOr<std::vector<FoundForeignKey>> keys =
      FindForeignKeys(connection, ReplicatedTables(config));
  if (!keys.ok()) return AddStatus(findings, keys.status());
  const std::map<std::string, std::string> sets = SetsOfTables(config);
  std::vector<OrphanRule> rules;
  for (const FoundForeignKey& key : *keys) {
    const auto parent = sets.find(key.parent);
    if (parent != sets.end() && parent->second != config.set) continue;  // said already
    const OnOrphan rule = RuleOf(config, key.child);
    const std::string where =
        fmt::format("table={} constraint={} parent={} on_orphan={}", key.child, QuoteName(key.name),
                    key.parent, OnOrphanName(rule));
    if (key.unsupported.empty()) {
      rules.push_back({key.child, key.parent, rule});
      CheckWatched(key, rule, where, findings);
    } else {
      CheckUnsupported(key, rule, where, findings);
    }
  }
  if (const OrphanRule* halfway = RevivedHalfway(rules); halfway != nullptr) {
    Error(findings, "revive_parent_halfway",
          fmt::format("a parent that is written back refers to a table that is not: child={} "
                      "parent={}: the parent's table has foreign keys and another on_orphan",
                      halfway->child, halfway->parent),
          fmt::format("Set on_orphan: revive_parent for {}, too, or another one for {}.",
                      halfway->parent, halfway->child));
  }
}

}  // namespace pgduet
