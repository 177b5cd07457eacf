// Walks the YAML document along the table of settings. See config.h and config_settings.h.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "agent/config_settings.h"
#include "agent/config_values.h"

namespace pgduet {
namespace {

// Settings of the design that a later version will have; they get a better answer than "unknown
// key".
const std::set<std::string_view> kLater = {"tables/*/columns",
                                           "tables/*/owner",
                                           "tables/*/function",
                                           "tables/*/order",
                                           "tables/*/on_error",
                                           "tables/*/on_unique",
                                           "sets",
                                           "tables/*/set"};

int LineOf(const YAML::Node& node) { return node.Mark().is_null() ? 0 : node.Mark().line + 1; }

std::vector<std::string_view> KeysUnder(std::string_view path) {
  std::vector<std::string_view> keys;
  for (const Setting& setting : Settings()) {
    std::string_view rest = setting.path;
    if (!path.empty()) {
      if (!rest.starts_with(path) || rest.size() <= path.size() || rest[path.size()] != '/')
        continue;
      rest.remove_prefix(path.size() + 1);
    }
    if (rest.find('/') == std::string_view::npos) keys.push_back(rest);
  }
  return keys;
}

size_t EditDistance(std::string_view left, std::string_view right) {
  std::vector<size_t> row(right.size() + 1);
  for (size_t at = 0; at <= right.size(); ++at) row[at] = at;
  for (size_t i = 1; i <= left.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= right.size(); ++j) {
      const size_t replaced = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[right.size()];
}

std::string KeyRemedy(std::string_view key, const std::vector<std::string_view>& known) {
  const auto nearest = std::min_element(known.begin(), known.end(),
                                        [&](std::string_view left, std::string_view right) {
                                          return EditDistance(key, left) < EditDistance(key, right);
                                        });
  if (nearest != known.end() && EditDistance(key, *nearest) <= 2) {
    return fmt::format("did you mean '{}'?", *nearest);
  }
  return fmt::format("the keys here are: {}", fmt::join(known, ", "));
}

std::string Join(const std::string& prefix, std::string_view key, char separator) {
  return prefix.empty() ? std::string(key) : fmt::format("{}{}{}", prefix, separator, key);
}

bool IsOwnMachine(std::string_view target) {
  return target.starts_with(':') || target.starts_with('/') || target.starts_with('@') ||
         target.starts_with("localhost:") || target.starts_with("127.") ||
         target.starts_with("::1:");
}

class ConfigReader {
 public:
  ConfigReader(const std::string& path, const Environment& environment)
      : environment_(environment) {
    parsed_.config.path = path;
  }

  ParsedConfig Read(const std::string& text) {
    try {
      const YAML::Node root = YAML::Load(text);
      if (!root.IsMap()) {
        Problem(LineOf(root), "", "the file is not a mapping of settings",
                "see docs/configuration.md");
        return std::move(parsed_);
      }
      SettingScope scope{parsed_.config};
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
    parsed_.problems.push_back({line, std::move(key), std::move(what), std::move(remedy)});
  }

  // Nothing when it is no scalar, or when a variable is missing (then the problem is noted).
  std::optional<std::string> Scalar(const YAML::Node& node, const std::string& shown,
                                    int key_line) {
    if (!node.IsScalar()) {
      const bool missing = node.IsNull();
      Problem(missing ? key_line : LineOf(node), shown,
              missing ? "the value is missing" : "the value must be a single one",
              "write one value after the colon");
      return std::nullopt;
    }
    Substituted result = SubstituteEnvironment(node.Scalar(), environment_);
    if (!result.fault.empty()) {
      Problem(LineOf(node), shown, result.fault,
              "set the variable, or give a default with ${NAME:-default}");
      return std::nullopt;
    }
    return std::move(result.text);
  }

  // Keys of a mapping in order, without those that are no text or stand there twice.
  template <typename Handle>
  void ForEachKey(const YAML::Node& node, const std::string& shown, Handle handle) {
    std::map<std::string, int> lines;
    for (const auto& entry : node) {
      const int line = LineOf(entry.first);
      if (!entry.first.IsScalar()) {
        Problem(line, shown, "a key must be plain text", "write one word before the colon");
        continue;
      }
      const std::string& key = entry.first.Scalar();
      const auto [first, is_new] = lines.emplace(key, line);
      if (!is_new) {
        Problem(line, Join(shown, key, '.'),
                fmt::format("duplicate key, first on line {}", first->second),
                "remove one of them");
        continue;
      }
      handle(key, line, entry.second);
    }
  }

  void ReadMapping(const YAML::Node& node, const std::string& path, const std::string& shown,
                   SettingScope& scope, int line = 1) {
    const std::vector<std::string_view> known = KeysUnder(path);
    std::set<std::string_view> seen;
    ForEachKey(node, shown, [&](const std::string& key, int key_line, const YAML::Node& value) {
      const std::string key_shown = Join(shown, key, '.');
      const Setting* setting = key == "*" ? nullptr : FindSetting(Join(path, key, '/'));
      if (setting == nullptr) {
        const bool later = kLater.count(Join(path, key, '/')) > 0;
        Problem(key_line, key_shown,
                later ? "this setting is not available in this version" : "unknown key",
                later ? "remove it" : KeyRemedy(key, known));
        return;
      }
      seen.insert(setting->path);
      ReadValue(*setting, value, key_shown, key_line, scope);
    });
    for (std::string_view key : known) {
      const Setting* setting = FindSetting(Join(path, key, '/'));
      if (setting->required && seen.count(setting->path) == 0) {
        Problem(line, Join(shown, key, '.'), "the setting is missing",
                setting->example.empty() ? fmt::format("add '{}:'", key)
                                         : fmt::format("add '{}: {}'", key, setting->example));
      }
    }
  }

  void ReadValue(const Setting& setting, const YAML::Node& value, const std::string& shown,
                 int line, SettingScope& scope) {
    if (setting.path == "tables" && (value.IsNull() || value.IsMap())) tables_seen_ = true;
    if (setting.assign != nullptr) {
      const std::optional<std::string> text = Scalar(value, shown, line);
      if (!text.has_value()) return;
      const std::optional<SettingFault> fault = setting.assign(*text, scope);
      if (fault.has_value()) Problem(LineOf(value), shown, fault->what, fault->remedy);
      return;
    }
    if (value.IsNull() && setting.path != "regions/*")
      return;  // "public.accounts:" says the same as {}
    if (!value.IsMap()) {
      Problem(value.IsNull() ? line : LineOf(value), shown, "the value must be a mapping of keys",
              "write the keys below it, indented");
      return;
    }
    if (setting.path == "regions") {
      regions_seen_ = true;
      ForEachKey(value, shown, [&](const std::string& name, int key_line, const YAML::Node& node) {
        ReadRegion(name, key_line, node);
      });
    } else if (setting.path == "tables") {
      ForEachKey(value, shown, [&](const std::string& name, int key_line, const YAML::Node& node) {
        ReadTable(name, key_line, node);
      });
    } else if (setting.path == "kafka/properties") {
      ForEachKey(value, shown, [&](const std::string& name, int key_line, const YAML::Node& node) {
        ReadProperty(name, key_line, node);
      });
    } else {
      ReadMapping(value, std::string(setting.path), shown, scope, line);
    }
  }

  void ReadRegion(const std::string& name, int line, const YAML::Node& node) {
    const std::string shown = "regions." + name;
    const bool plain =
        !name.empty() && name.size() <= 32 &&
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
    if (!plain) {
      Problem(line, shown, fmt::format("not a region name: '{}'", name),
              "use 1 to 32 of a-z, 0-9 and '-'");
    } else if (name == "local" || name == "housekeeper") {
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
    SettingScope scope{parsed_.config, nullptr, &table};
    if (node.IsMap()) {
      ReadMapping(node, "tables/*", shown, scope, line);
    } else if (!node.IsNull()) {
      Problem(LineOf(node), shown, "the value must be a mapping of keys",
              "write {} when there is nothing to set");
    }
    if (name.fault.empty()) AddTable(std::move(table), shown);
  }

  void AddTable(TableConfig table, const std::string& shown) {
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
    }
  }

  void ReadProperty(const std::string& name, int line, const YAML::Node& node) {
    const std::string shown = "kafka.properties." + name;
    const std::optional<std::string> value = Scalar(node, shown, line);
    if (!value.has_value()) return;
    const std::optional<SettingFault> fault = CheckKafkaProperty(name, *value);
    if (fault.has_value()) Problem(line, shown, fault->what, fault->remedy);
    parsed_.config.kafka_properties[name] = *value;
  }

  // What needs the whole file: defaults of tables, and rules between settings.
  void Finish() {
    Config& config = parsed_.config;
    for (TableConfig& table : config.tables) {
      if (table.policy.empty()) table.policy = config.default_policy;
      if (table.on_delete.empty()) table.on_delete = config.default_on_delete;
      if (table.on_unique.empty()) table.on_unique = config.default_on_unique;
    }
    if (regions_seen_ && config.regions.size() < 2) {
      Problem(0, "regions", fmt::format("too few regions: {}", config.regions.size()),
              "name at least two");
    }
    if (tables_seen_ && !any_table_) {
      Problem(0, "tables", "no table is listed", "name at least one, as public.accounts: {}");
    }
    for (const RegionConfig& region : config.regions) CheckRegion(region);
    std::sort(config.tables.begin(), config.tables.end(),
              [](const TableConfig& left, const TableConfig& right) {
                return std::tie(left.schema, left.name) < std::tie(right.schema, right.name);
              });
    std::stable_sort(parsed_.problems.begin(), parsed_.problems.end(),
                     [](const ConfigProblem& left, const ConfigProblem& right) {
                       return left.line < right.line;
                     });
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

  const Environment& environment_;
  ParsedConfig parsed_;
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
