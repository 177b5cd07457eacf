// The group's configuration: one YAML file, the same at every region.
//
// In:  the file's text and the environment. Out: a Config that has been checked as far as a file
// can be checked (whether the databases and brokers agree is setup/findings.h), or every problem of
// the file at once, each with line, key and remedy. Settings and their documentation are one table:
// config_settings.h. Values only; no threads.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "resolve/orphans.h"
#include "resolve/table_policy.h"
#include "schemas/version.h"

namespace pgduet {

enum class TransportKind { kKafka, kDirect };
std::string_view TransportName(TransportKind kind);

struct RegionConfig {
  std::string name;
  Rank rank = 0;
  int line = 0;
  std::string postgres;                 // conninfo of the runtime role; may hold a password
  std::string postgres_admin;           // the same with the right to create and grant, or empty
  std::string kafka_brokers;            // empty with transport direct
  std::string http = "127.0.0.1:9187";  // host:port, or "off"
  // Conninfo that init and check use for DDL.
  const std::string& admin_conninfo() const {
    return postgres_admin.empty() ? postgres : postgres_admin;
  }
};

struct TableConfig {
  std::string schema;
  std::string name;
  int line = 0;
  TablePolicy policy;  // with what `defaults` says; names of regions are ranks, all of them
  std::string on_unique = "stop";  // stop, park_loser
  OnOrphan on_orphan = OnOrphan::kReport;
  std::string set = "main";
  std::string QualifiedName() const { return schema + "." + name; }  // for people
  std::string QuotedName() const;                                    // for SQL
};

// A set of tables besides `main`: a slot, a topic and an agent of its own (docs/decisions/0009).
struct SetConfig {
  std::string name;
  int line = 0;
  struct Address {
    std::string region;
    std::string http;
    int line = 0;
  };
  std::vector<Address> http;  // "off" where a region is missing
};

struct Config {
  std::string path;    // of the file, for messages
  std::string source;  // the file's text; may hold passwords
  std::string group;
  TransportKind transport = TransportKind::kKafka;
  std::string set = "main";           // whose tables and addresses these are
  std::vector<RegionConfig> regions;  // index = rank
  std::map<std::string, std::string> kafka_properties;
  absl::Duration kafka_retention_min = absl::Hours(7 * 24);
  int kafka_replication_factor = -1;  // -1: the broker's default
  absl::Duration max_clock_skew = absl::Seconds(5);
  int64_t batch_transactions = 1000;
  absl::Duration conflict_keep = absl::Hours(24 * 90);
  int64_t conflict_max_rows = 1'000'000;
  bool conflict_topic = false;
  std::vector<TableConfig> tables;  // sorted by schema and name
  std::vector<SetConfig> sets;      // of the file, without `main`
  std::vector<TableConfig> others;  // tables of the file that are in other sets

  // nullptr when the group has no such region.
  const RegionConfig* FindRegion(std::string_view name) const;
  // nullptr when the file declares no such set (it never declares `main`).
  const SetConfig* FindSet(std::string_view name) const;
};

struct ConfigProblem {
  int line = 0;     // 1 is the first; 0: the file as a whole
  std::string key;  // "regions.us-east.postgres"
  std::string what;
  std::string remedy;
  std::string ToString(std::string_view path) const;  // "pgduet.yaml:7: regions.x: what; remedy"
};

// Value of an environment variable, or nothing.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment ProcessEnvironment();

// Problems are in the order of the file. `config` is usable only when there are none; it has the
// tables of all sets, for OfSet() to choose.
struct ParsedConfig {
  Config config;
  std::vector<ConfigProblem> problems;
};
ParsedConfig ParseConfig(const std::string& text, const std::string& path,
                         const Environment& environment);

// One set of the file: its tables, its agents' addresses. InvalidArgument/unknown_set,
// set_without_tables (`main`, when all tables are elsewhere).
absl::StatusOr<Config> OfSet(Config file, const std::string& set);

// InvalidArgument/invalid_config with all problems, one a line; config_unreadable when the file
// cannot be read; those of OfSet().
absl::StatusOr<Config> LoadConfig(const std::string& path, const Environment& environment,
                                  const std::string& set);

}  // namespace pgduet
