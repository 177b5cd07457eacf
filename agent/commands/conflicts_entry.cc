#include "agent/commands/conflicts_entry.h"

#include <cstdlib>

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include "agent/region_agent.h"
#include "base/named_error.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

// What a side does not carry (an unchanged large value) stays what it was: it cannot be lost.
constexpr char kEntries[] = R"((
SELECT c.*, c.table_schema || '.' || c.table_name AS "table", w.*, l.lost,
       CASE WHEN c.undone_at IS NOT NULL THEN 'undone' WHEN c.dismissed_at IS NOT NULL THEN 'dismissed'
            WHEN l.lost IS NULL AND c.decision <> 'report' THEN 'nothing_lost' ELSE 'open' END AS state
FROM pgduet.conflict c
CROSS JOIN LATERAL (
  SELECT 'remote' AS winner, c.remote_operation AS winner_operation, c.remote_region AS winner_region,
         c.remote_time AS winner_time, c.remote_row AS winner_row,
         c.local_operation AS loser_operation, c.local_row AS loser_row
  WHERE c.decision IN ('apply_remote', 'park_local', 'delete_child')
  UNION ALL
  SELECT 'local', c.local_operation, c.local_region, c.local_time, c.local_row, c.remote_operation, c.remote_row
  WHERE c.decision IN ('keep_local', 'park_remote', 'report', 'revive_parent')
  UNION ALL
  SELECT 'both', c.remote_operation, c.remote_region || ' and ' || c.local_region, NULL, NULL, NULL, NULL
  WHERE c.decision = 'merge') w
CROSS JOIN LATERAL (
  SELECT CASE
    WHEN w.loser_operation IS NULL THEN NULL
    -- It waits in pgduet.parked and comes back by itself; or both rows stay, the child and the delete of its parent.
    WHEN c.decision IN ('park_local', 'park_remote', 'report', 'revive_parent') THEN NULL
    -- A merged row keeps what both did; writing one side back would take away the other's increments.
    WHEN c.policy = 'merge' AND w.winner_operation NOT IN ('delete', 'truncate') THEN NULL
    WHEN w.loser_operation IN ('delete', 'truncate')
      THEN CASE WHEN w.winner_operation IN ('delete', 'truncate') THEN NULL ELSE 'delete' END
    WHEN w.winner_operation NOT IN ('delete', 'truncate') AND NOT EXISTS (
      SELECT FROM jsonb_each(w.loser_row) e
      WHERE w.winner_row ? e.key AND w.winner_row -> e.key IS DISTINCT FROM e.value) THEN NULL
    ELSE 'row' END AS lost) l) c)";

constexpr char kShownColumns[] =
    "c.id, c.logged_at, c.\"table\", c.key, c.kind, c.policy, c.decision, c.winner, "
    "c.winner_region, c.lost, c.state, c.remote_operation, c.remote_region, c.remote_time, "
    "c.remote_lsn, c.remote_sequence, c.local_operation, c.local_region, c.local_time, "
    "c.local_lsn, c.dismissed_at, c.dismissed_by, c.note, c.undone_at, c.undone_by";
constexpr char kRows[] = ", c.remote_row, c.local_row";

// A text with digits and a unit is an interval; anything else must be a time.
std::string Moment(const std::string& text) {
  const bool interval = text.find_first_of("-:") == std::string::npos;
  return interval ? "now() - {}::interval" : "{}::timestamptz";
}

}  // namespace

absl::StatusOr<std::unique_ptr<PgConnection>> OpenConflictLog(const Invocation& invocation,
                                                              std::string* role_search_path) {
  PgConnection::Options options =
      SetSession(invocation.self().postgres, invocation.config.set, "conflicts");
  if (role_search_path != nullptr)
    std::erase_if(options.settings, [](const auto& one) { return one.first == "search_path"; });
  PGDUET_ASSIGN_OR_RETURN(std::unique_ptr<PgConnection> connection, PgConnection::Open(options));
  if (role_search_path != nullptr) {
    PGDUET_ASSIGN_OR_RETURN(const PgResult path, connection->Query("SHOW search_path"));
    *role_search_path = path.Text(0, 0);
    PGDUET_RETURN_IF_ERROR(connection->Query("SET search_path = pg_catalog").status());
  }
  const absl::Status version = CheckSidecarVersion(*connection);
  const std::string state = SqlState(version);
  if (state == "42P01" || state == "3F000" || state == "42501") {
    return Renamed(version, absl::StatusCode::kFailedPrecondition, "not_initialized",
                   "Run 'pgduet init' for this region, or use the role that it was run for.");
  }
  PGDUET_RETURN_IF_ERROR(version);
  return connection;
}

std::string EntriesSql() { return kEntries; }

Condition ConditionOf(const ConflictFilter& filter) {
  Condition condition{.sql = "WHERE true", .parameters = {}};
  const auto add = [&](const std::string& sql, const std::string& value) {
    if (value.empty()) return;
    condition.parameters.emplace_back(value);
    const std::string place = fmt::format("${}", condition.parameters.size());
    condition.sql += " AND " + fmt::format(fmt::runtime(sql), place);
  };
  add("c.\"table\" = {}", filter.table);
  add("c.kind = {}", filter.kind);
  add("c.policy = {}", filter.policy);
  add("{} IN (c.remote_region, c.local_region)", filter.region);
  add("c.logged_at >= " + Moment(filter.since), filter.since);
  add("c.logged_at < " + Moment(filter.until), filter.until);
  add("c.id < {}::bigint", filter.before == 0 ? "" : std::to_string(filter.before));
  if (filter.open) condition.sql += " AND c.state = 'open'";
  return condition;
}

absl::Status FilterError(const absl::Status& status) {
  if (!SqlState(status).starts_with("22")) return status;
  return NamedError(absl::StatusCode::kInvalidArgument, "bad_filter",
                    "--since or --until is neither a time nor an interval",
                    "Write a time or an interval: '2026-11-24 10:00', '1 hour'.");
}

absl::StatusOr<std::vector<Json>> LoadEntries(PgConnection& connection,
                                              const ConflictFilter& filter, int limit) {
  const Condition condition = ConditionOf(filter);
  absl::StatusOr<PgResult> found = connection.Query(
      fmt::format(
          "SELECT to_jsonb(s)::text FROM (SELECT {} FROM {} {} ORDER BY c.id DESC LIMIT {}) s",
          kShownColumns, kEntries, condition.sql, limit),
      condition.parameters);
  if (!found.ok()) return FilterError(found.status());
  std::vector<Json> entries;
  for (int row = 0; row < found->rows(); ++row) entries.push_back(Json::parse(found->Text(row, 0)));
  return entries;
}

absl::StatusOr<std::string> LoadEntriesJson(PgConnection& connection,
                                            const ConflictFilter& filter) {
  const Condition condition = ConditionOf(filter);
  absl::StatusOr<PgResult> found = connection.Query(
      fmt::format("SELECT coalesce(json_agg(s), '[]')::text FROM (SELECT {}{} FROM {} {} ORDER BY "
                  "c.id DESC LIMIT {}) s",
                  kShownColumns, kRows, kEntries, condition.sql, filter.limit),
      condition.parameters);
  if (!found.ok()) return FilterError(found.status());
  return std::string(found->Text(0, 0));
}

absl::StatusOr<Json> LoadEntry(PgConnection& connection, int64_t id) {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult found,
      connection.Query(
          fmt::format("SELECT to_jsonb(s)::text FROM (SELECT {}, {} AS remote_row, {} AS local_row "
                      "FROM {} WHERE c.id = $1::bigint) s",
                      kShownColumns, TextsSql("c.remote_row"), TextsSql("c.local_row"), kEntries),
          {std::to_string(id)}));
  if (found.rows() == 0) return NoSuchConflict(std::to_string(id));
  return Json::parse(found.Text(0, 0));
}

absl::StatusOr<std::string> LoadEntryJson(PgConnection& connection, int64_t id,
                                          const std::string& rule, const std::string& now) {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult found,
      connection.Query(fmt::format("SELECT row_to_json(s)::text FROM (SELECT {}{}, $2::text AS "
                                   "rule, $3::json AS now FROM {} WHERE c.id = $1::bigint) s",
                                   kShownColumns, kRows, kEntries),
                       {std::to_string(id), rule, now}));
  if (found.rows() == 0) return NoSuchConflict(std::to_string(id));
  return std::string(found.Text(0, 0));
}

std::string TextsSql(const std::string& row) {
  return fmt::format("(SELECT jsonb_object_agg(e.key, e.value) FROM jsonb_each_text({}) e)", row);
}

absl::Status NoSuchConflict(const std::string& ids) {
  return NamedError(absl::StatusCode::kNotFound, "no_such_conflict",
                    fmt::format("no conflict has this number: id={}", ids),
                    "See 'pgduet conflicts list'; each region has a log of its own, and old "
                    "entries are removed (conflict_log in the configuration).");
}

std::string Text(const Json& value) {
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string Cell(const Json& row, const std::string& column) {
  if (!row.is_object() || !row.contains(column)) return "-";
  return row[column].is_null() ? std::string("NULL") : Text(row[column]);
}

std::string Shown(const std::string& value) {
  constexpr size_t kCharacters = 100;
  std::string text;
  size_t characters = 0;
  for (size_t at = 0; at < value.size(); ++at) {
    const auto byte = static_cast<unsigned char>(value[at]);
    const bool begins_one = (byte & 0xC0) != 0x80;
    if (begins_one && characters++ == kCharacters)
      return text + fmt::format("... ({} bytes)", value.size());
    if (byte >= 0x20 && byte != 0x7F) {
      text.push_back(value[at]);
    } else {
      text += byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : fmt::format("\\x{:02x}", byte);
    }
  }
  return text;
}

std::string ShortTime(const Json& value) {
  const std::string text = Text(value);
  const size_t zone = text.find_last_of("+-Z");
  std::string local = text.substr(0, zone);
  const size_t dot = local.find('.');
  if (dot == std::string::npos) return local.size() == 19 ? local + ".000" : text;
  local.resize(dot + 4, '0');
  return local;
}

std::string Person() {
  if (const char* before_sudo = std::getenv("SUDO_USER"); before_sudo != nullptr)
    return before_sudo;
  const passwd* entry = getpwuid(geteuid());
  return entry == nullptr ? std::to_string(geteuid()) : entry->pw_name;
}

}  // namespace pgduet
