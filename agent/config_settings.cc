#include "agent/config_settings.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include "agent/config_values.h"

namespace pgduet {
namespace {

using Fault = std::optional<SettingFault>;

bool IsName(std::string_view text, bool underscore) {
  if (text.empty() || text.size() > 32) return false;
  return std::all_of(text.begin(), text.end(), [&](char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
           (underscore && byte == '_');
  });
}

Fault AssignGroup(const std::string& value, SettingScope& scope) {
  if (!IsName(value, /*underscore=*/true)) {
    return SettingFault{fmt::format("not a group name: '{}'", value),
                        "use 1 to 32 of a-z, 0-9, '_' and '-'"};
  }
  scope.config.group = value;
  return std::nullopt;
}

Fault AssignTransport(const std::string& value, SettingScope& scope) {
  if (value == "kafka") {
    scope.config.transport = TransportKind::kKafka;
  } else if (value == "direct") {
    scope.config.transport = TransportKind::kDirect;
  } else {
    return SettingFault{fmt::format("unknown transport: '{}'", value), "use 'kafka' or 'direct'"};
  }
  return std::nullopt;
}

Fault CheckConninfo(const std::string& value) {
  const std::string fault = ConninfoFault(value);
  if (fault.empty()) return std::nullopt;
  return SettingFault{fmt::format("bad connection string: {}", fault),
                      "write it as libpq does: host=/var/run/postgresql dbname=shop user=pgduet"};
}

Fault AssignPostgres(const std::string& value, SettingScope& scope) {
  scope.region->postgres = value;
  return CheckConninfo(value);
}

Fault AssignPostgresAdmin(const std::string& value, SettingScope& scope) {
  scope.region->postgres_admin = value;
  return CheckConninfo(value);
}

Fault AssignBrokers(const std::string& value, SettingScope& scope) {
  scope.region->kafka_brokers = value;
  std::string_view rest = value;
  while (true) {
    const size_t comma = rest.find(',');
    if (!ParseHostPort(rest.substr(0, comma)).has_value()) {
      return SettingFault{fmt::format("not a list of brokers: '{}'", value),
                          "write host:port, with commas between several"};
    }
    if (comma == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(comma + 1);
  }
}

Fault AssignHttp(const std::string& value, SettingScope& scope) {
  if (value != "off" && !ParseHostPort(value).has_value()) {
    return SettingFault{fmt::format("not an address: '{}'", value), "write host:port, or off"};
  }
  scope.region->http = value;
  return std::nullopt;
}

Fault ParseBoundedDuration(const std::string& value, absl::Duration min, absl::Duration max,
                           absl::Duration& target) {
  const std::optional<absl::Duration> duration = ParseDurationText(value);
  if (!duration.has_value()) {
    return SettingFault{fmt::format("not a duration: '{}'", value),
                        "write a number with its unit: 500ms, 5s, 10m, 12h, 7d"};
  }
  if (*duration < min || *duration > max) {
    return SettingFault{fmt::format("duration out of bounds: '{}'", value),
                        fmt::format("use {} to {}", DurationText(min), DurationText(max))};
  }
  target = *duration;
  return std::nullopt;
}

Fault AssignRetention(const std::string& value, SettingScope& scope) {
  return ParseBoundedDuration(value, absl::Minutes(1), absl::Hours(24 * 3650),
                              scope.config.kafka_retention_min);
}

Fault AssignReplicationFactor(const std::string& value, SettingScope& scope) {
  int number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number < 1 || number > 100) {
    return SettingFault{fmt::format("not a replication factor: '{}'", value), "use 1 to 100"};
  }
  scope.config.kafka_replication_factor = number;
  return std::nullopt;
}

// A value of the documented words, of which this version has only the first.
template <size_t Size>
Fault CheckWord(std::string_view what, const std::array<std::string_view, Size>& words,
                const std::string& value) {
  if (value == words[0]) return std::nullopt;
  if (std::find(words.begin(), words.end(), value) != words.end()) {
    return SettingFault{fmt::format("{} '{}' is not available in this version", what, value),
                        fmt::format("use '{}'", words[0])};
  }
  return SettingFault{fmt::format("unknown {}: '{}'", what, value),
                      fmt::format("use '{}'", words[0])};
}

Fault CheckPolicy(const std::string& value) {
  constexpr std::array<std::string_view, 8> kWords = {
      "last_write_wins", "first_write_wins", "region_priority", "versions",
      "merge",           "custom",           "owner",           "error"};
  return CheckWord("policy", kWords, value);
}

Fault CheckOnDelete(const std::string& value) {
  constexpr std::array<std::string_view, 3> kWords = {"newest_wins", "delete_wins", "update_wins"};
  return CheckWord("on_delete", kWords, value);
}

Fault CheckOnUnique(const std::string& value) {
  if (value == "stop" || value == "park_loser") return std::nullopt;
  return SettingFault{fmt::format("unknown on_unique: '{}'", value), "use 'stop' or 'park_loser'"};
}

Fault AssignDefaultPolicy(const std::string& value, SettingScope& scope) {
  scope.config.default_policy = value;
  return CheckPolicy(value);
}

Fault AssignDefaultOnDelete(const std::string& value, SettingScope& scope) {
  scope.config.default_on_delete = value;
  return CheckOnDelete(value);
}

Fault AssignDefaultOnUnique(const std::string& value, SettingScope& scope) {
  scope.config.default_on_unique = value;
  return CheckOnUnique(value);
}

Fault AssignMaxClockSkew(const std::string& value, SettingScope& scope) {
  return ParseBoundedDuration(value, absl::Milliseconds(100), absl::Hours(1),
                              scope.config.max_clock_skew);
}

Fault AssignTablePolicy(const std::string& value, SettingScope& scope) {
  scope.table->policy = value;
  return CheckPolicy(value);
}

Fault AssignTableOnDelete(const std::string& value, SettingScope& scope) {
  scope.table->on_delete = value;
  return CheckOnDelete(value);
}

Fault AssignTableOnUnique(const std::string& value, SettingScope& scope) {
  scope.table->on_unique = value;
  return CheckOnUnique(value);
}

const Setting kSettings[] = {
    {"group", true, "name", "", "shop",
     "Name of the group of regions: 1 to 32 of `a-z`, `0-9`, `_`, `-`. It is part of the names of "
     "slots, publications, "
     "replication origins and topics, so it cannot be changed later.",
     AssignGroup},
    {"transport", false, "`kafka` or `direct`", "kafka", "kafka",
     "How transactions travel. `kafka`: through one topic per region. `direct`: each agent reads "
     "the databases of the "
     "other regions; no broker is needed, and each region holds one more slot per peer.",
     AssignTransport},
    {"regions", true, "mapping", "", "",
     "The regions, 2 to 32, by name (1 to 32 of `a-z`, `0-9`, `-`; `local` and `housekeeper` are "
     "reserved). **Their "
     "order is their rank**: "
     "when two writes of a row have the same commit time, the one of the later region in this list "
     "wins. Every region must "
     "have the same list in the same order; add new regions at the end.",
     nullptr},
    {"regions/*", true, "mapping", "", "", "One region.", nullptr},
    {"regions/*/postgres", true, "connection string", "",
     "host=/var/run/postgresql dbname=shop user=pgduet",
     "libpq connection string of the region's database with the role that the agent runs as. Use "
     "the Unix socket when the "
     "database is on the same machine: it is faster. A password is better kept in a file "
     "(`passfile=...`) or in the "
     "environment (`${NAME}`).",
     AssignPostgres},
    {"regions/*/postgres_admin", false, "connection string", "the value of `postgres`",
     "host=/var/run/postgresql dbname=shop user=postgres",
     "The same database with a role that may create schemas and publications and grant rights. "
     "Used by `init` and `check` "
     "only; the agent never opens it.",
     AssignPostgresAdmin},
    {"regions/*/kafka", false, "mapping", "", "", "The region's Kafka cluster.", nullptr},
    {"regions/*/kafka/brokers", false, "list of host:port", "", "k1:9092,k2:9092",
     "Brokers of the cluster that holds this region's topic; regions may share one. Required with "
     "`transport: kafka`.",
     AssignBrokers},
    {"regions/*/http", false, "host:port or `off`", "127.0.0.1:9187", "127.0.0.1:9187",
     "Where the agent serves `/metrics`, `/livez`, `/readyz` and `/status`. There is no "
     "authentication: bind it to "
     "loopback or to a private address. Port 0 is not allowed.",
     AssignHttp},
    {"kafka", false, "mapping", "", "", "What holds for every region's Kafka cluster.", nullptr},
    {"kafka/properties", false, "mapping", "", "compression.codec: lz4",
     "Settings of librdkafka, passed on to every client: security, compression, timeouts. Those "
     "that correctness depends "
     "on (`acks`, `enable.idempotence`, `auto.offset.reset` and a few more) are refused: pgduet "
     "sets them.",
     nullptr},
    {"kafka/properties/*", false, "text", "", "", "One setting of librdkafka.", nullptr},
    {"kafka/retention_min", false, "duration, 1m to 3650d", "7d", "7d",
     "The least retention that a topic must have. A region that is away for longer than its peers' "
     "retention must be "
     "copied anew, so choose the longest outage that you want to survive. `init` creates topics "
     "with it, `check` and the "
     "agent refuse a topic that has less.",
     AssignRetention},
    {"kafka/replication_factor", false, "1 to 100", "the broker's default", "3",
     "Replication factor of topics that `init` creates.", AssignReplicationFactor},
    {"defaults", false, "mapping", "", "",
     "What holds for every table that does not say otherwise.", nullptr},
    {"defaults/policy", false, "policy", "last_write_wins", "last_write_wins",
     "How a conflict is decided. `last_write_wins`: the row with the later commit time wins, and "
     "with equal times the region "
     "of the higher rank; the other one is kept in the conflict log. Other policies are not "
     "available in this version.",
     AssignDefaultPolicy},
    {"defaults/on_delete", false, "policy", "newest_wins", "newest_wins",
     "How a conflict between a delete and an update is decided. `newest_wins`: like any other two "
     "writes. Other values are "
     "not available in this version.",
     AssignDefaultOnDelete},
    {"defaults/on_unique", false, "`stop` or `park_loser`", "stop", "park_loser",
     "What happens when two regions give one value of a secondary unique key to two rows with "
     "different keys. `stop`: the stream stops (`unique_violation`) until somebody has changed one "
     "of the rows. `park_loser`: the row with the later commit time is shown, the other one is "
     "kept "
     "in `pgduet.parked` (`pgduet parked list`) and comes back by itself when its value is free; "
     "equal at all regions. For tables with `last_write_wins`.",
     AssignDefaultOnUnique},
    {"defaults/max_clock_skew", false, "duration, 100ms to 1h", "5s", "5s",
     "How far a transaction's commit time may lie ahead of this region's clock. Up to this the "
     "agent waits; beyond it the "
     "stream from that region stops with `clock_ahead`, because a region with a fast clock would "
     "win every conflict.",
     AssignMaxClockSkew},
    {"tables", true, "mapping", "", "",
     "The tables that replicate, by name with schema. A name with upper-case letters, dots or "
     "other signs is written with "
     "SQL's double quotes, inside YAML's single quotes: `'\"My Schema\".\"Tab.le\"'`. Foreign keys "
     "between listed and "
     "unlisted tables are not checked while changes of other regions are applied.",
     nullptr},
    {"tables/*", true, "mapping, may be empty", "{}", "{}", "One table.", nullptr},
    {"tables/*/policy", false, "policy", "the value of `defaults.policy`", "last_write_wins",
     "As `defaults.policy`, for this table.", AssignTablePolicy},
    {"tables/*/on_delete", false, "policy", "the value of `defaults.on_delete`", "newest_wins",
     "As `defaults.on_delete`, for this table.", AssignTableOnDelete},
    {"tables/*/on_unique", false, "`stop` or `park_loser`", "the value of `defaults.on_unique`",
     "park_loser", "As `defaults.on_unique`, for this table.", AssignTableOnUnique},
};

}  // namespace

std::span<const Setting> Settings() { return kSettings; }

const Setting* FindSetting(std::string_view path) {
  const auto found = std::find_if(std::begin(kSettings), std::end(kSettings),
                                  [&](const Setting& setting) { return setting.path == path; });
  return found == std::end(kSettings) ? nullptr : found;
}

std::optional<SettingFault> CheckKafkaProperty(const std::string& name, const std::string& value) {
  constexpr std::array<std::string_view, 14> kOurs = {"acks",
                                                      "request.required.acks",
                                                      "enable.idempotence",
                                                      "auto.offset.reset",
                                                      "bootstrap.servers",
                                                      "metadata.broker.list",
                                                      "enable.auto.commit",
                                                      "enable.auto.offset.store",
                                                      "group.id",
                                                      "transactional.id",
                                                      "isolation.level",
                                                      "enable.gapless.guarantee",
                                                      "enable.partition.eof",
                                                      "message.max.bytes"};
  if (std::find(kOurs.begin(), kOurs.end(), name) != kOurs.end()) {
    return SettingFault{"this setting belongs to pgduet", "remove it"};
  }
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char message[512] = {};
  const rd_kafka_conf_res_t result =
      rd_kafka_conf_set(conf, name.c_str(), value.c_str(), message, sizeof(message));
  rd_kafka_conf_destroy(conf);
  if (result == RD_KAFKA_CONF_UNKNOWN) {
    return SettingFault{"librdkafka does not know this setting",
                        "see CONFIGURATION.md of librdkafka for the names"};
  }
  // The message can hold the value, so it is not passed on.
  if (result != RD_KAFKA_CONF_OK) {
    return SettingFault{"librdkafka refuses this value",
                        "see CONFIGURATION.md of librdkafka for the values"};
  }
  return std::nullopt;
}

bool IsSecretKafkaProperty(std::string_view name) {
  return name.find("password") != std::string_view::npos ||
         name.find("secret") != std::string_view::npos ||
         name.find("key.pem") != std::string_view::npos || name == "sasl.oauthbearer.config" ||
         name == "ssl.key.pem";
}

}  // namespace pgduet
