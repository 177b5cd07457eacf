#include "agent/config_settings.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "agent/config_values.h"

namespace pgduet {
namespace {

using Fault = std::optional<SettingFault>;

Fault AssignGroup(const std::string& value, SettingScope& scope) {
  if (!IsNameText(value, /*underscore=*/true)) {
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
  scope.region->http = value;
  return CheckHttpAddress(value);
}

Fault AssignSet(const std::string& value, SettingScope& scope) {
  scope.table->set = value;
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

Fault AssignPolicy(const std::string& value, SettingScope& scope) {
  return ReadPolicyKind(value, *scope.policy);
}

Fault AssignOnDelete(const std::string& value, SettingScope& scope) {
  return ReadOnDelete(value, *scope.policy);
}

Fault AssignFunction(const std::string& value, SettingScope& scope) {
  return ReadFunction(value, *scope.policy);
}

Fault AssignFunctionTimeout(const std::string& value, SettingScope& scope) {
  absl::Duration timeout;
  Fault fault = ParseBoundedDuration(value, absl::Milliseconds(10), absl::Minutes(1), timeout);
  if (!fault) scope.policy->function_timeout_ms = absl::ToInt64Milliseconds(timeout);
  return fault;
}

Fault AssignOnUnique(const std::string& value, SettingScope& scope) {
  if (value != "stop" && value != "park_loser")
    return SettingFault{fmt::format("unknown on_unique: '{}'", value),
                        "use 'stop' or 'park_loser'"};
  scope.policy->on_unique = value;
  return std::nullopt;
}

Fault AssignOnOrphan(const std::string& value, SettingScope& scope) {
  scope.policy->on_orphan = OnOrphanNamed(value);
  if (!scope.policy->on_orphan)
    return SettingFault{fmt::format("unknown on_orphan: '{}'", value),
                        "use 'report', 'delete_child' or 'revive_parent'"};
  return std::nullopt;
}

Fault AssignMaxClockSkew(const std::string& value, SettingScope& scope) {
  return ParseBoundedDuration(value, absl::Milliseconds(100), absl::Hours(1),
                              scope.config.max_clock_skew);
}

Fault AssignConflictKeep(const std::string& value, SettingScope& scope) {
  return ParseBoundedDuration(value, absl::Minutes(1), absl::Hours(24 * 3650),
                              scope.config.conflict_keep);
}

Fault ParseBoundedNumber(const std::string& value, std::string_view what, int64_t highest,
                         int64_t& number) {
  int64_t parsed = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
  if (error != std::errc() || end != value.data() + value.size() || parsed < 1 || parsed > highest)
    return SettingFault{fmt::format("not a number of {}: '{}'", what, value),
                        fmt::format("use 1 to {}", highest)};
  number = parsed;
  return std::nullopt;
}

Fault AssignConflictMaxRows(const std::string& value, SettingScope& scope) {
  return ParseBoundedNumber(value, "rows", 1'000'000'000, scope.config.conflict_max_rows);
}

Fault AssignConflictTopic(const std::string& value, SettingScope& scope) {
  if (value != "true" && value != "false")
    return SettingFault{fmt::format("not a truth value: '{}'", value), "use true or false"};
  scope.config.conflict_topic = value == "true";
  return std::nullopt;
}

Fault AssignBatchTransactions(const std::string& value, SettingScope& scope) {
  return ParseBoundedNumber(value, "transactions", 10'000, scope.config.batch_transactions);
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
     "How a conflict in a table is decided; [policies.md](policies.md) says what each policy "
     "promises and costs. `last_write_wins`: the row with the later commit time wins, and with "
     "equal times the region of the higher rank. `first_write_wins`: the row with the earlier one. "
     "`region_priority`: the row of the region that stands first in `priority`. `versions`: as "
     "`last_write_wins`, and the others are kept for the application. `merge`: column by column. "
     "`custom`: an SQL function of yours says. `error`: as `versions`, with an alert until a "
     "person has decided. Whatever it is, a write that loses is in the conflict log.",
     AssignPolicy},
    {"defaults/on_delete", false, "`newest_wins`, `delete_wins` or `update_wins`", "newest_wins",
     "newest_wins",
     "Who wins when one region has deleted a row and another one has written it, and neither had "
     "seen the other. `newest_wins`: a delete is a write like any other. With `last_write_wins` "
     "this is the only value; every other policy takes all three.",
     AssignOnDelete},
    {"defaults/priority", false, "list of regions", "", "[us-east, eu-west]",
     "For tables with the policy `region_priority` that have no list of their own: the regions, "
     "the strongest first. Regions that are not named follow in the order of `regions`.",
     nullptr},
    {"defaults/on_unique", false, "`stop` or `park_loser`", "stop", "park_loser",
     "What happens when two regions give one value of a secondary unique key to two rows with "
     "different keys. `stop`: the stream stops (`unique_violation`) until somebody has changed one "
     "of the rows. `park_loser`: the row with the later commit time is shown, the other one is "
     "kept "
     "in `pgduet.parked` (`pgduet parked list`) and comes back by itself when its value is free; "
     "equal at all regions. For tables with `last_write_wins`.",
     AssignOnUnique},
    {"defaults/on_orphan", false, "`report`, `delete_child` or `revive_parent`", "report",
     "delete_child",
     "What happens to a row whose foreign key names a row that another region has deleted. "
     "`report`: it stays, and is logged (`parent_missing`) in each region. `delete_child`: it is "
     "deleted. `revive_parent`: the parent is written back as it was. The region that deleted the "
     "parent does it, as an ordinary write, so that all regions end equal. "
     "[policies.md](policies.md#foreign-keys) says more.",
     AssignOnOrphan},
    {"defaults/max_clock_skew", false, "duration, 100ms to 1h", "5s", "5s",
     "How far a transaction's commit time may lie ahead of this region's clock. Up to this the "
     "agent waits; beyond it the "
     "stream from that region stops with `clock_ahead`, because a region with a fast clock would "
     "win every conflict.",
     AssignMaxClockSkew},
    {"apply", false, "mapping", "", "",
     "How changes of other regions are applied. Each region may have its own; these settings "
     "decide no conflict.",
     nullptr},
    {"apply/batch_transactions", false, "1 to 10000", "1000", "1000",
     "How many transactions of a backlog share one transaction here, at most; they never wait for "
     "each other. Fewer: row locks are held shorter while a backlog drains, and it takes longer. "
     "What is shown and logged is the same.",
     AssignBatchTransactions},
    {"conflict_log", false, "mapping", "", "",
     "How long `pgduet.conflict` remembers. Each region may have its own; these settings decide no "
     "conflict.",
     nullptr},
    {"conflict_log/keep", false, "duration, 1m to 3650d", "90d", "90d",
     "Entries that are older are removed, open or not.", AssignConflictKeep},
    {"conflict_log/max_rows", false, "1 to 1000000000", "1000000", "1000000",
     "When there are more entries, those that were dismissed or undone are removed first, then the "
     "oldest. An entry "
     "holds both rows: it is about as large as they are.",
     AssignConflictMaxRows},
    {"conflict_log/topic", false, "`true` or `false`", "false", "true",
     "With `transport: kafka`: each entry is also sent, as JSON, to the topic "
     "`pgduet.GROUP.REGION.conflicts` of the region's brokers (`pgduet.GROUP.REGION.SET.conflicts` "
     "for other sets than `main`), at least once. Rows of all tables can be read there by whoever "
     "may read the topic.",
     AssignConflictTopic},
    {"tables", true, "mapping", "", "",
     "The tables that replicate, by name with schema. A name with upper-case letters, dots or "
     "other signs is written with "
     "SQL's double quotes, inside YAML's single quotes: `'\"My Schema\".\"Tab.le\"'`. Foreign keys "
     "between listed and "
     "unlisted tables are not checked while changes of other regions are applied.",
     nullptr},
    {"tables/*", true, "mapping, may be empty", "{}", "{}", "One table.", nullptr},
    {"tables/*/policy", false, "policy", "the value of `defaults.policy`", "merge",
     "As `defaults.policy`, for this table.", AssignPolicy},
    {"tables/*/on_delete", false, "`newest_wins`, `delete_wins` or `update_wins`",
     "the value of `defaults.on_delete`", "newest_wins", "As `defaults.on_delete`, for this table.",
     AssignOnDelete},
    {"tables/*/priority", false, "list of regions", "the value of `defaults.priority`",
     "[us-east, eu-west]",
     "With `region_priority` only, and required there (here or in `defaults`): the regions, the "
     "strongest first. Regions that are not named follow in the order of `regions`.",
     nullptr},
    {"tables/*/columns", false, "mapping", "", "{quantity: counter, tags: add_wins_set}",
     "With `merge` only: how each column is merged. Columns that are not named are `latest`. Names "
     "as PostgreSQL has them, without SQL's quotes.",
     nullptr},
    {"tables/*/columns/*", false, "`latest`, `counter`, `max`, `min`, `add_wins_set` or `map`",
     "latest", "counter",
     "`latest`: the newest write that changed the column. `counter`: each increment counts once "
     "(smallint, integer, bigint, numeric, real, double precision; NOT NULL). `max`, `min`: the "
     "highest or lowest of concurrent writes (smallint, integer, bigint, numeric, date, timestamp, "
     "timestamptz). `add_wins_set`: an array, "
     "or a jsonb array, as a set in which an add beats a concurrent remove. `map`: a jsonb object, "
     "the newest value of each key. Key columns are always `latest`.",
     nullptr},
    {"tables/*/groups", false, "list of lists of columns", "", "[[street, city, zip]]",
     "With `merge` only: `latest` columns that win together, as one value, because they mean "
     "something together only. A column is in one group at most.",
     nullptr},
    {"tables/*/function", false, "schema.function", "", "shop.resolve_price",
     "With `custom` only, and required there: the SQL function that decides, with the signature "
     "`(jsonb, jsonb, jsonb) RETURNS jsonb`; [policies.md](policies.md) says what it gets and what "
     "it must not do. Written with its schema, quoted as names of tables are.",
     AssignFunction},
    {"tables/*/function_timeout", false, "duration, 10ms to 1m", "1s", "1s",
     "With `custom` only: how long one call of the function may take. Beyond it the stream stops.",
     AssignFunctionTimeout},
    {"tables/*/on_unique", false, "`stop` or `park_loser`", "the value of `defaults.on_unique`",
     "park_loser", "As `defaults.on_unique`, for this table.", AssignOnUnique},
    {"tables/*/on_orphan", false, "`report`, `delete_child` or `revive_parent`",
     "the value of `defaults.on_orphan`", "revive_parent",
     "As `defaults.on_orphan`, for rows of this table that refer to another one.", AssignOnOrphan},
    {"tables/*/set", false, "name of a set", "main", "orders",
     "The set that the table is in: `main`, or one of `sets`. Tables that refer to each other by "
     "foreign keys must be in one set. It cannot be changed while the regions run; "
     "[sets.md](operations/sets.md) says how.",
     AssignSet},
    {"sets", false, "mapping", "", "{orders: {http: {us-east: \"127.0.0.1:9287\"}}}",
     "Sets of tables besides `main`, by name (1 to 32 of `a-z`, `0-9`, `-`; `main` and `conflicts` "
     "are reserved). Each has a slot, a topic and an agent of its own in every region (`--set`), "
     "so that sets never wait for each other. There is no order between them: a transaction that "
     "writes tables of two sets arrives as two transactions. The name is part of the names of "
     "slots, topics and the schema `pgduet_SET`, so it cannot be changed later.",
     nullptr},
    {"sets/*", false, "mapping, may be empty", "", "", "One set.", nullptr},
    {"sets/*/http", false, "mapping", "", "{us-east: \"127.0.0.1:9287\", eu-west: off}",
     "As `regions.*.http`, for the set's agents.", nullptr},
    {"sets/*/http/*", false, "host:port or `off`", "off", "127.0.0.1:9287",
     "Where the set's agent of that region serves. Two agents cannot share an address.", nullptr},
};

}  // namespace

std::span<const Setting> Settings() { return kSettings; }

std::optional<SettingFault> CheckHttpAddress(const std::string& value) {
  if (value == "off" || ParseHostPort(value).has_value()) return std::nullopt;
  return SettingFault{fmt::format("not an address: '{}'", value), "write host:port, or off"};
}

const Setting* FindSetting(std::string_view path) {
  const auto found = std::find_if(std::begin(kSettings), std::end(kSettings),
                                  [&](const Setting& setting) { return setting.path == path; });
  return found == std::end(kSettings) ? nullptr : found;
}

}  // namespace pgduet
