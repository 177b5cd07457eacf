#include "apply/unique_path.h"

#include <algorithm>

#include <fmt/format.h>

#include "apply/conflict_log.h"
#include "apply/postgres_time.h"
#include "apply/table_sql.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

Precedence PrecedenceOf(const Version& version, const std::string& key_text) {
  return {.commit_time = version.commit_time, .rank = version.rank, .key = key_text};
}

std::string LoserName(Oid table, const std::string& key_text) {
  return fmt::format("{} {}", table, key_text);
}

// The colliding rows of one unique key, locked: they stand still until our end.
std::string FindSql(const TargetTable& table, const UniqueKey& key,
                    const std::vector<int>& carried) {
  std::string names;
  for (const int part : table.keys) names += ", t." + table.columns[part].quoted;
  return fmt::format(
      "SELECT {}, (pg_xact_commit_timestamp_origin(t.xmin)).roident, t.xmin::text, t.xmin = "
      "pg_current_xact_id()::xid, {}{} {} FOR UPDATE OF t",
      MicrosecondsOf("(pg_xact_commit_timestamp_origin(t.xmin)).timestamp"), table.row_json, names,
      CollidersOf(table, key, CandidateOfParameters(table, carried)));
}
constexpr int kFixedColumns = 5;

std::vector<PgParameter> KeyParameters(const std::string& key_text) {
  std::vector<PgParameter> parameters;
  for (std::string& part : KeyValues(key_text)) parameters.emplace_back(std::move(part));
  return parameters;
}

}  // namespace

absl::Status UniquePath::Complete(PlacedRow& row) {
  const TargetTable& table = *row.table;
  std::vector<int> missing;
  for (int column = 0; column < static_cast<int>(table.columns.size()); ++column) {
    if (std::find(row.carried.begin(), row.carried.end(), column) == row.carried.end())
      missing.push_back(column);
  }
  if (missing.empty()) return absl::OkStatus();
  std::vector<PgParameter> found;
  if (row.exists) {
    PGDUET_ASSIGN_OR_RETURN(
        const size_t asked,
        scope_.pipeline.Add(ReadColumnsSql(table, missing), KeyParameters(row.key_text),
                            ScalarTypes(table, table.keys)));
    PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, scope_.pipeline.Run());
    const PgResult& here = results[asked];
    for (int place = 0; here.rows() > 0 && place < here.columns(); ++place) {
      found.push_back(here.IsNull(0, place) ? PgParameter::Null()
                                            : PgParameter(std::string(here.Text(0, place))));
    }
  } else if (row.was_parked) {
    PGDUET_ASSIGN_OR_RETURN(found,
                            ReadParkedColumns(scope_.pipeline, table, row.key_text, missing));
  }
  for (size_t place = 0; place < found.size(); ++place) {
    row.carried.push_back(missing[place]);
    row.values.push_back(std::move(found[place]));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<UniquePath::Met>> UniquePath::FindColliders(const PlacedRow& row) {
  const TargetTable& table = *row.table;
  if (!keys_.contains(table.oid)) {
    PGDUET_ASSIGN_OR_RETURN(keys_[table.oid], LoadUniqueKeys(scope_.pipeline, table.oid));
  }
  const std::vector<UniqueKey>& keys = keys_[table.oid];
  std::vector<size_t> asked;
  for (const UniqueKey& key : keys) {
    PGDUET_ASSIGN_OR_RETURN(const size_t index,
                            scope_.pipeline.Add(FindSql(table, key, row.carried), row.values,
                                                ScalarTypes(table, row.carried)));
    asked.push_back(index);
  }
  std::vector<Met> met;
  if (asked.empty()) return met;
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, scope_.pipeline.Run());
  for (size_t index = 0; index < keys.size(); ++index) {
    const PgResult& rows = results[asked[index]];
    for (int at = 0; at < rows.rows(); ++at) {
      Met one;
      if (!rows.IsNull(at, 0)) one.version.commit_time = rows.Int(at, 0);
      one.version.rank = scope_.RankOf(static_cast<Oid>(rows.Int(at, 1)));
      one.xid = static_cast<uint32_t>(rows.Int(at, 2));
      const bool own = rows.Bool(at, 3);
      if (own) one.version = row.version;
      one.row_json = std::string(rows.Text(at, 4));
      std::vector<Value> key;
      for (size_t part = 0; part < table.keys.size(); ++part) {
        key.push_back({ValueKind::kText, rows.Text(at, kFixedColumns + static_cast<int>(part))});
      }
      one.key_text = KeyText(table, key);
      one.collider = {.row = PrecedenceOf(one.version, one.key_text),
                      .constraint = keys[index].name,
                      .own = own};
      met.push_back(std::move(one));
    }
  }
  return met;
}

absl::StatusOr<bool> UniquePath::Place(const PlacedRow& row) {
  const TargetTable& table = *row.table;
  PGDUET_ASSIGN_OR_RETURN(const std::vector<Met> met, FindColliders(row));
  std::vector<Collider> colliders;
  for (const Met& one : met) colliders.push_back(one.collider);
  const Placement placement = PlaceUnique(PrecedenceOf(row.version, row.key_text), colliders);
  const ConflictKind kind = UniqueConflictKind(row.operation, colliders);
  Unlog(table.oid, row.key_text);
  if (placement.blocker) {
    const Met& blocker = met[*placement.blocker];
    if (!row.returning) Log(row, blocker, kind, Decision::kParkRemote);
    if (row.exists) {
      PGDUET_RETURN_IF_ERROR(
          scope_.pipeline
              .Add(DeleteRowSql(table), KeyParameters(row.key_text), ScalarTypes(table, table.keys))
              .status());
    }
    PGDUET_RETURN_IF_ERROR(QueuePark(scope_.pipeline, table, row.key_text, row.carried, row.values,
                                     row.version, row.xid,
                                     {blocker.collider.constraint, blocker.key_text}));
    PGDUET_RETURN_IF_ERROR(scope_.pipeline.Run().status());
    return false;
  }
  for (const size_t index : placement.parked) {
    const Met& loser = met[index];
    Log(row, loser, kind, Decision::kParkLocal);
    PGDUET_RETURN_IF_ERROR(QueueParkVisible(scope_.pipeline, table, loser.key_text, loser.version,
                                            loser.xid, {loser.collider.constraint, row.key_text}));
  }
  if (row.was_parked)
    PGDUET_RETURN_IF_ERROR(QueueRemoveParked(scope_.pipeline, table.oid, row.key_text));
  PGDUET_RETURN_IF_ERROR(Write(row));
  return true;
}

absl::Status UniquePath::Write(const PlacedRow& row) {
  const TargetTable& table = *row.table;
  std::vector<PgParameter> parameters = row.values;
  std::vector<Oid> types = ScalarTypes(table, row.carried);
  std::string sql = InsertRowSql(table, row.carried);
  if (row.exists) {
    for (PgParameter& part : KeyParameters(row.key_text)) parameters.push_back(std::move(part));
    for (const Oid type : ScalarTypes(table, table.keys)) types.push_back(type);
    sql =
        table.replaces_rows ? ReplaceRowSql(table, row.carried) : UpdateRowSql(table, row.carried);
  }
  PGDUET_ASSIGN_OR_RETURN(const size_t written, scope_.pipeline.Add(sql, parameters, types));
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, scope_.pipeline.Run());
  if (results[written].affected() > 0) return absl::OkStatus();
  // A client has put a row under the key since we looked.
  return NamedError(absl::StatusCode::kAborted, "unique_race", "a row appeared under the key");
}

absl::Status UniquePath::RemoveParked(const TargetTable& table, const std::string& key_text) {
  Unlog(table.oid, key_text);
  return QueueRemoveParked(scope_.pipeline, table.oid, key_text);
}

void UniquePath::Unlog(Oid table, const std::string& key_text) {
  const std::string name = LoserName(table, key_text);
  std::erase_if(log_, [&](const LogEntry& entry) { return entry.loser == name; });
}

void UniquePath::Log(const PlacedRow& row, const Met& met, ConflictKind kind, Decision decision) {
  const TargetTable& table = *row.table;
  constexpr int kFixed = 15;
  LogEntry entry{.loser = LoserName(
                     table.oid, decision == Decision::kParkRemote ? row.key_text : met.key_text),
                 .sql = {},
                 .parameters = {},
                 .types = std::vector<Oid>(kFixed, 25),
                 .kind = kind,
                 .decision = decision};
  const Version& local = met.version;
  const bool stamped = local.commit_time != kOldestTime;
  entry.parameters = {
      table.schema,
      table.name,
      KeyDigest(row.key_text),
      std::string(ConflictKindName(kind)),
      std::string(DecisionName(decision)),
      std::string(OperationName(row.operation)),
      row.region,
      TimestampText(row.version.commit_time),
      row.version.commit_lsn.valid() ? PgParameter(row.version.commit_lsn.ToString())
                                     : PgParameter::Null(),
      row.incarnation == 0 ? PgParameter::Null()
                           : PgParameter(IncarnationToString(row.incarnation)),
      row.sequence == 0 ? PgParameter::Null() : PgParameter(std::to_string(row.sequence)),
      met.row_json,
      stamped ? PgParameter(scope_.identity.NameOf(local.rank)) : PgParameter::Null(),
      stamped ? PgParameter(TimestampText(local.commit_time)) : PgParameter::Null(),
      stamped && local.rank == scope_.identity.rank
          ? PgParameter(scope_.history.LocalLsn(met.xid, local.commit_time).ToString())
          : PgParameter::Null()};
  for (PgParameter& part : KeyParameters(row.key_text)) entry.parameters.push_back(std::move(part));
  for (const Oid type : ScalarTypes(table, table.keys)) entry.types.push_back(type);
  for (const PgParameter& value : row.values) entry.parameters.push_back(value);
  for (const Oid type : ScalarTypes(table, row.carried)) entry.types.push_back(type);
  entry.sql = fmt::format(
      "INSERT INTO pgduet.conflict (table_schema, table_name, key_digest, kind, policy, decision, "
      "remote_operation, remote_region, remote_time, remote_lsn, remote_incarnation, "
      "remote_sequence, local_operation, local_row, local_region, local_time, local_lsn, key, "
      "remote_row) VALUES ($1, $2, $3::uuid, $4, 'last_write_wins', $5, $6, $7, $8::timestamptz, "
      "$9::pg_lsn, $10, $11::bigint, 'row', $12::jsonb, $13, $14::timestamptz, nullif($15::pg_lsn, "
      "'0/0'), {}, {})",
      JsonOfParameters(table, table.keys, kFixed + 1),
      JsonOfParameters(table, row.carried, kFixed + 1 + static_cast<int>(table.keys.size())));
  log_.push_back(std::move(entry));
}

absl::Status UniquePath::Finish() {
  for (const LogEntry& entry : log_) {
    ++counts_.conflicts[{entry.kind, entry.decision}];
    PGDUET_RETURN_IF_ERROR(scope_.pipeline.Add(entry.sql, entry.parameters, entry.types).status());
  }
  log_.clear();
  return absl::OkStatus();
}

void UniquePath::Clear() {
  log_.clear();
  keys_.clear();
}

}  // namespace pgduet
