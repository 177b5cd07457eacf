#include "apply/policy_conflict.h"

#include <fmt/format.h>

#include "apply/conflict_log.h"
#include "apply/postgres_time.h"
#include "apply/table_sql.h"
#include "apply/visible_rows.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

std::vector<int> KnownColumns(const std::optional<RowImage>& row) {
  std::vector<int> columns;
  for (size_t column = 0; row && column < row->size(); ++column) {
    if ((*row)[column].known()) columns.push_back(static_cast<int>(column));
  }
  return columns;
}

// Adds the row's values to the statement and returns the jsonb made of them.
std::string AddRow(const TargetTable& table, const std::optional<RowImage>& row,
                   std::vector<PgParameter>& parameters, std::vector<Oid>& types) {
  const std::vector<int> columns = KnownColumns(row);
  if (columns.empty()) return "NULL";
  const int first = static_cast<int>(parameters.size()) + 1;
  for (const int column : columns) parameters.push_back(ParameterOf((*row)[column]));
  for (const Oid type : ScalarTypes(table, columns)) types.push_back(type);
  return JsonOfParameters(table, columns, first);
}

PgParameter LsnParameter(const Dot& dot) {
  return dot.lsn.valid() ? PgParameter(dot.lsn.ToString()) : PgParameter::Null();
}

}  // namespace

ConflictKind KindOfMeeting(ChangeKind arriving, bool other_deleted) {
  const bool deletes = arriving == ChangeKind::kDelete;
  if (other_deleted) return deletes ? ConflictKind::kDeleteMissing : ConflictKind::kUpdateDeleted;
  if (deletes) return ConflictKind::kDeleteOriginDiffers;
  return arriving == ChangeKind::kInsert ? ConflictKind::kInsertExists
                                         : ConflictKind::kUpdateOriginDiffers;
}

Decision DecisionOf(Shown shown) {
  switch (shown) {
    case Shown::kRemote:
      return Decision::kApplyRemote;
    case Shown::kLocal:
      return Decision::kKeepLocal;
    case Shown::kMerged:
    case Shown::kFunction:
      break;
  }
  return Decision::kMerge;
}

absl::Status QueuePolicyConflict(PgPipeline& pipeline, const RegionIdentity& identity,
                                 const PolicyConflict& conflict) {
  const TargetTable& table = *conflict.table;
  const Dot& remote = conflict.remote.dot;
  const std::optional<Member>& local = conflict.local;
  const auto text = [](std::string_view value) { return PgParameter(std::string(value)); };
  std::vector<PgParameter> parameters = {
      table.schema,
      table.name,
      KeyDigest(conflict.key_text),
      text(ConflictKindName(conflict.kind)),
      text(PolicyName(conflict.policy)),
      text(DecisionName(conflict.decision)),
      text(OperationName(conflict.remote_operation)),
      identity.NameOf(remote.rank),
      TimestampText(remote.time),
      LsnParameter(remote),
      IncarnationToString(remote.incarnation),
      conflict.remote_sequence == 0 ? PgParameter::Null()
                                    : PgParameter(std::to_string(conflict.remote_sequence)),
      local ? text(local->deleted ? "delete" : "row") : PgParameter::Null(),
      local ? PgParameter(identity.NameOf(local->dot.rank)) : PgParameter::Null(),
      local ? PgParameter(TimestampText(local->dot.time)) : PgParameter::Null(),
      local ? LsnParameter(local->dot) : PgParameter::Null()};
  std::vector<Oid> types(parameters.size(), 25);
  const int first_key = static_cast<int>(parameters.size()) + 1;
  for (std::string& part : KeyValues(conflict.key_text)) parameters.emplace_back(std::move(part));
  for (const Oid type : ScalarTypes(table, table.keys)) types.push_back(type);
  const std::string key = JsonOfParameters(table, table.keys, first_key);
  const std::string remote_row = AddRow(table, conflict.remote.row, parameters, types);
  const std::string local_row =
      AddRow(table, local ? local->row : std::optional<RowImage>(), parameters, types);
  const std::string sql = fmt::format(
      "INSERT INTO pgduet.conflict (table_schema, table_name, key_digest, kind, policy, decision, "
      "remote_operation, remote_region, remote_time, remote_lsn, remote_incarnation, "
      "remote_sequence, local_operation, local_region, local_time, local_lsn, key, remote_row, "
      "local_row) VALUES ($1, $2, $3::uuid, $4, $5, $6, $7, $8, $9::timestamptz, $10::pg_lsn, $11, "
      "$12::bigint, $13, $14, $15::timestamptz, $16::pg_lsn, {}, {}, {})",
      key, remote_row, local_row);
  return pipeline.Add(sql, parameters, types).status();
}

}  // namespace pgduet
