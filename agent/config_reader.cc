// Walks the YAML document along the table of settings. See config.h and config_settings.h.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "agent/config_keys.h"
#include "agent/config_nodes.h"
#include "agent/config_sets.h"
#include "agent/config_settings.h"
#include "agent/config_values.h"
#include "agent/policy_settings.h"
#include "schemas/record_codec.h"

namespace pgduet {
namespace {

bool IsOwnMachine(std::string_view target) {
  return target.starts_with(':') || target.starts_with('/') || target.starts_with('@') ||
         target.starts_with("localhost:") || target.starts_with("127.") ||
         target.starts_with("::1:");
}

struct TableDraft {
  std::string shown;  // "tables.public.accounts"
  PolicyDraft policy;
};

class ConfigReader {
 public:
  ConfigReader(const std::string& path, const Environment& environment)
      : nodes_(environment, parsed_.problems) {
    parsed_.config.path = path;
  }

  ParsedConfig Read(const std::string& text) {
    try {
      const YAML::Node root = YAML::Load(text);
      parsed_.config.source = text;
      if (!root.IsMap()) {
        Problem(LineOf(root), "", "the file is not a mapping of settings",
                "see docs/configuration.md");
        return std::move(parsed_);
      }
      SettingScope scope{parsed_.config, nullptr, &defaults_};
      ReadMapping(root, "", "", scope);
    } catch (const YAML::Exception& error) {
      Problem(error.mark.is_null() ? 0 : error.mark.line + 1, "",
              fmt::format("not valid YAML: {}", error.msg), "mend the syntax");
      return std::move(parsed_);
    }
    Finish();
    return std::move(parsed_);
  }

 private:
  void Problem(int line, std::string key, std::string what, std::string remedy) {
    nodes_.Problem(line, std::move(key), std::move(what), std::move(remedy));
  }

  void ReadMapping(const YAML::Node& node, const std::string& path, const std::string& shown,
                   SettingScope& scope, int line = 1) {
    const std::vector<std::string_view> known = KeysUnder(path);
    std::set<std::string_view> seen;
    nodes_.ForEachKey(
        node, shown, [&](const std::string& key, int key_line, const YAML::Node& value) {
          const std::string key_shown = JoinKey(shown, key);
          const Setting* setting = key == "*" ? nullptr : FindSetting(JoinKey(path, key, '/'));
          if (setting == nullptr) {
            const bool later = IsLaterKey(JoinKey(path, key, '/'));
            Problem(key_line, key_shown,
                    later ? "this setting is not available in this version" : "unknown key",
                    later ? "remove it" : KeyRemedy(key, known));
            return;
          }
          seen.insert(setting->path);
          if (path == "defaults" || path == "tables/*") scope.policy->lines.emplace(key, key_line);
          ReadValue(*setting, value, key_shown, key_line, scope);
        });
    for (std::string_view key : known) {
      const Setting* setting = FindSetting(JoinKey(path, key, '/'));
      if (setting->required && seen.count(setting->path) == 0) {
        Problem(line, JoinKey(shown, key), "the setting is missing",
                setting->example.empty() ? fmt::format("add '{}:'", key)
                                         : fmt::format("add '{}: {}'", key, setting->example));
      }
    }
  }

  void ReadValue(const Setting& setting, const YAML::Node& value, const std::string& shown,
                 int line, SettingScope& scope) {
    if (setting.path == "tables" && (value.IsNull() || value.IsMap())) tables_seen_ = true;
    if (setting.assign != nullptr) {
      const std::optional<std::string> text = nodes_.Scalar(value, shown, line);
      if (!text.has_value()) return;
      const std::optional<SettingFault> fault = setting.assign(*text, scope);
      if (fault.has_value()) Problem(LineOf(value), shown, fault->what, fault->remedy);
      return;
    }
    if (ReadPolicyLists(setting, value, shown, line, scope)) return;
    if (value.IsNull() && setting.path != "regions/*")
      return;  // "public.accounts:" says the same as {}
    if (!value.IsMap()) {
      Problem(value.IsNull() ? line : LineOf(value), shown, "the value must be a mapping of keys",
              "write the keys below it, indented");
      return;
    }
    if (setting.path == "regions") {
      regions_seen_ = true;
      nodes_.ForEachKey(value, shown,
                        [&](const std::string& name, int key_line, const YAML::Node& node) {
                          ReadRegion(name, key_line, node);
                        });
    } else if (setting.path == "tables") {
      nodes_.ForEachKey(value, shown,
                        [&](const std::string& name, int key_line, const YAML::Node& node) {
                          ReadTable(name, key_line, node);
                        });
    } else if (setting.path == "sets") {
      nodes_.ForEachKey(value, shown,
                        [&](const std::string& name, int key_line, const YAML::Node& node) {
                          ReadSet(name, key_line, node);
                        });
    } else if (setting.path == "sets/*/http") {
      nodes_.ForEachKey(value, shown,
                        [&](const std::string& region, int key_line, const YAML::Node& node) {
                          ReadSetAddress(region, key_line, node, shown);
                        });
    } else if (setting.path == "tables/*/columns") {
      nodes_.ForEachKey(value, shown,
                        [&](const std::string& name, int key_line, const YAML::Node& node) {
                          ReadColumnKind(name, key_line, node, shown, *scope.policy);
                        });
    } else if (setting.path == "kafka/properties") {
      nodes_.ForEachKey(value, shown,
                        [&](const std::string& name, int key_line, const YAML::Node& node) {
                          ReadProperty(name, key_line, node);
                        });
    } else {
      ReadMapping(value, std::string(setting.path), shown, scope, line);
    }
  }

  // False: the setting is no list.
  bool ReadPolicyLists(const Setting& setting, const YAML::Node& value, const std::string& shown,
                       int line, SettingScope& scope) {
    if (setting.path == "defaults/priority" || setting.path == "tables/*/priority") {
      scope.policy->priority = nodes_.List(value, shown, line);
    } else if (setting.path == "tables/*/groups") {
      scope.policy->groups = nodes_.ListOfLists(value, shown, line);
    } else {
      return false;
    }
    return true;
  }

  void ReadColumnKind(const std::string& name, int line, const YAML::Node& node,
                      const std::string& shown, PolicyDraft& draft) {
    const std::string key = JoinKey(shown, name);
    const std::optional<std::string> kind = nodes_.Scalar(node, key, line);
    if (!kind.has_value()) return;
    const std::optional<SettingFault> fault = ReadColumn({name, line}, *kind, draft);
    if (fault.has_value()) Problem(line, key, fault->what, fault->remedy);
  }

  void ReadRegion(const std::string& name, int line, const YAML::Node& node) {
    const std::string shown = "regions." + name;
    if (!IsNameText(name)) {
      Problem(line, shown, fmt::format("not a region name: '{}'", name),
              "use 1 to 32 of a-z, 0-9 and '-'");
    } else if (name == "local" || name == "housekeeper" || name == "policies" ||
               name == "policy-change") {
      Problem(line, shown, fmt::format("the region name '{}' is reserved", name),
              "choose another one");
    }
    RegionConfig region;
    region.name = name;
    region.line = line;
    SettingScope scope{parsed_.config, &region};
    if (node.IsMap()) {
      ReadMapping(node, "regions/*", shown, scope, line);
    } else {
      Problem(line, shown, "the value must be a mapping of keys",
              "give the region at least 'postgres'");
    }
    if (parsed_.config.regions.size() == kRegionsMax) {
      Problem(line, shown, fmt::format("more than {} regions", kRegionsMax), "remove some");
    }
    region.rank = static_cast<Rank>(parsed_.config.regions.size());
    parsed_.config.regions.push_back(std::move(region));
  }

  void ReadSet(const std::string& name, int line, const YAML::Node& node) {
    parsed_.config.sets.push_back({.name = name, .line = line, .http = {}});
    SettingScope scope{parsed_.config};
    ReadValue(*FindSetting("sets/*"), node, "sets." + name, line, scope);
  }

  void ReadSetAddress(const std::string& region, int line, const YAML::Node& node,
                      const std::string& shown) {
    const std::string key = JoinKey(shown, region);
    const std::optional<std::string> address = nodes_.Scalar(node, key, line);
    if (!address.has_value()) return;
    if (const auto fault = CheckHttpAddress(*address))
      Problem(line, key, fault->what, fault->remedy);
    parsed_.config.sets.back().http.push_back({.region = region, .http = *address, .line = line});
  }

  void ReadTable(const std::string& text, int line, const YAML::Node& node) {
    const std::string shown = "tables." + text;
    any_table_ = true;
    TableNameText name = ParseTableName(text);
    if (!name.fault.empty()) {
      Problem(line, shown, fmt::format("not a table name: {}", name.fault),
              R"(write schema.table; with special names as in SQL: '"My Schema"."Tab.le"')");
    }
    TableConfig table;
    table.schema = std::move(name.schema);
    table.name = std::move(name.name);
    table.line = line;
    PolicyDraft draft;
    SettingScope scope{parsed_.config, nullptr, &draft, &table};
    if (node.IsMap()) {
      ReadMapping(node, "tables/*", shown, scope, line);
    } else if (!node.IsNull()) {
      Problem(LineOf(node), shown, "the value must be a mapping of keys",
              "write {} when there is nothing to set");
    }
    if (name.fault.empty()) AddTable(std::move(table), shown, std::move(draft));
  }

  void AddTable(TableConfig table, const std::string& shown, PolicyDraft draft) {
    const auto same = std::find_if(
        parsed_.config.tables.begin(), parsed_.config.tables.end(), [&](const TableConfig& other) {
          return other.schema == table.schema && other.name == table.name;
        });
    if (same != parsed_.config.tables.end()) {
      Problem(table.line, shown, fmt::format("duplicate table, first on line {}", same->line),
              "remove one of them");
    } else if (table.schema == "pgduet" || table.schema == "pg_catalog" ||
               table.schema == "information_schema") {
      Problem(table.line, shown, fmt::format("tables of schema {} cannot replicate", table.schema),
              "remove it");
    } else {
      parsed_.config.tables.push_back(std::move(table));
      drafts_.push_back({shown, std::move(draft)});
    }
  }

  void ReadProperty(const std::string& name, int line, const YAML::Node& node) {
    const std::string shown = "kafka.properties." + name;
    const std::optional<std::string> value = nodes_.Scalar(node, shown, line);
    if (!value.has_value()) return;
    const std::optional<SettingFault> fault = CheckKafkaProperty(name, *value);
    if (fault.has_value()) Problem(line, shown, fault->what, fault->remedy);
    parsed_.config.kafka_properties[name] = *value;
  }

  // What needs the whole file: defaults of tables, and rules between settings.
  void Finish() {
    Config& config = parsed_.config;
    FinishPolicies();
    if (regions_seen_ && config.regions.size() < 2) {
      Problem(0, "regions", fmt::format("too few regions: {}", config.regions.size()),
              "name at least two");
    }
    if (tables_seen_ && !any_table_) {
      Problem(0, "tables", "no table is listed", "name at least one, as public.accounts: {}");
    }
    for (const RegionConfig& region : config.regions) CheckRegion(region);
    CheckConflictTopic();
    CheckSets(config, parsed_.problems);
    if (parsed_.problems.empty() && LongestPolicyText(config) > kPolicyTextBytesMax) {
      Problem(0, "tables", "all names and policies together are too long to travel",
              "list fewer tables, or name fewer columns");
    }
    std::sort(config.tables.begin(), config.tables.end(),
              [](const TableConfig& left, const TableConfig& right) {
                return std::tie(left.schema, left.name) < std::tie(right.schema, right.name);
              });
    std::stable_sort(parsed_.problems.begin(), parsed_.problems.end(),
                     [](const ConfigProblem& left, const ConfigProblem& right) {
                       return left.line < right.line;
                     });
  }

  // Names of regions and columns, now that all of them are known.
  void FinishPolicies() {
    Config& config = parsed_.config;
    PolicySettings policies(config.regions, defaults_, parsed_.problems);
    for (size_t at = 0; at < config.tables.size(); ++at) {
      TableConfig& table = config.tables[at];
      table.policy = policies.Finish(drafts_[at].policy, drafts_[at].shown, table.line);
      FinishOnUnique(drafts_[at], table);
      FinishOnOrphan(drafts_[at], table);
    }
    policies.FinishDefaults();
    RefuseEqualNames();
  }

  // Parking compares two commit times: tables whose policy keeps versions have no single one.
  void FinishOnUnique(const TableDraft& draft, TableConfig& table) {
    const bool own = draft.policy.on_unique.has_value();
    const std::string wanted =
        own ? *draft.policy.on_unique : defaults_.on_unique.value_or(TableConfig().on_unique);
    if (!table.policy.KeepsVersions()) {
      table.on_unique = wanted;
    } else if (own && wanted != TableConfig().on_unique) {
      Problem(draft.policy.LineOf("on_unique", table.line), draft.shown + ".on_unique",
              fmt::format("'{}' needs the policy last_write_wins", wanted),
              "remove it, or the table's policy");
    }
  }

  // Orphans are judged by rows and tombstones, which tables with other policies do not have alone.
  void FinishOnOrphan(const TableDraft& draft, TableConfig& table) {
    const bool own = draft.policy.on_orphan.has_value();
    const OnOrphan wanted =
        own ? *draft.policy.on_orphan : defaults_.on_orphan.value_or(OnOrphan::kReport);
    if (!table.policy.KeepsVersions()) {
      table.on_orphan = wanted;
    } else if (own && wanted != OnOrphan::kReport) {
      Problem(draft.policy.LineOf("on_orphan", table.line), draft.shown + ".on_orphan",
              fmt::format("'{}' needs the policy last_write_wins", OnOrphanName(wanted)),
              "remove it, or the table's policy");
    }
  }

  // Policies are found by schema.name without quotes, as relations of the stream are named.
  void RefuseEqualNames() {
    std::map<std::string, const TableConfig*> by_name;
    for (const TableConfig& table : parsed_.config.tables) {
      const auto [first, is_new] = by_name.emplace(table.QualifiedName(), &table);
      if (is_new || first->second->policy == table.policy) continue;
      Problem(table.line, "tables." + table.QualifiedName(),
              fmt::format("another table has the same name without quotes, on line {}, and another "
                          "policy",
                          first->second->line),
              "give both the same policy, or rename one");
    }
  }

  void CheckConflictTopic() {
    if (!parsed_.config.conflict_topic || parsed_.config.transport == TransportKind::kKafka) return;
    Problem(0, "conflict_log.topic", "there is no Kafka with 'transport: direct'", "remove it");
  }

  void CheckRegion(const RegionConfig& region) {
    const Config& config = parsed_.config;
    if (config.transport == TransportKind::kKafka && region.kafka_brokers.empty()) {
      Problem(region.line, fmt::format("regions.{}.kafka.brokers", region.name),
              "the setting is missing",
              "add 'kafka: {brokers: \"host:9092\"}', or set 'transport: direct'");
    }
    if (region.postgres.empty() || !ConninfoFault(region.postgres).empty()) return;
    const std::string target = ConninfoTarget(region.postgres);
    // A socket or a loopback address means each region's own machine, unless agents read each
    // other's databases.
    if (config.transport == TransportKind::kKafka && IsOwnMachine(target)) return;
    for (Rank rank = 0; rank < region.rank; ++rank) {
      const RegionConfig& other = config.regions[rank];
      if (ConninfoTarget(other.postgres) != target) continue;
      Problem(region.line, fmt::format("regions.{}.postgres", region.name),
              fmt::format("the same database as region {}", other.name),
              "give each region its own database");
    }
  }

  ParsedConfig parsed_;
  ConfigNodes nodes_;
  PolicyDraft defaults_;
  std::vector<TableDraft> drafts_;
  bool regions_seen_ = false;
  bool tables_seen_ = false;
  bool any_table_ = false;
};

}  // namespace

ParsedConfig ParseConfig(const std::string& text, const std::string& path,
                         const Environment& environment) {
  return ConfigReader(path, environment).Read(text);
}

}  // namespace pgduet
