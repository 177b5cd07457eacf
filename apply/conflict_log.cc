#include "apply/conflict_log.h"

#include <algorithm>

#include <fmt/format.h>

#include "apply/postgres_time.h"
#include "apply/table_sql.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr int kFixedParameters = 17;

std::string InsertSql(const TargetTable& table, const std::vector<int>& carried, bool has_row) {
  const std::string key = JsonOfParameters(table, table.keys, kFixedParameters + 1);
  const std::string row =
      has_row ? JsonOfParameters(table, carried,
                                 kFixedParameters + 1 + static_cast<int>(table.keys.size()))
              : "NULL";
  return fmt::format(
      "INSERT INTO pgduet.conflict (table_schema, table_name, key_digest, kind, policy, decision, "
      "remote_operation, "
      "remote_region, remote_time, remote_lsn, remote_incarnation, remote_sequence, "
      "local_operation, local_row, "
      "local_region, local_time, local_lsn, key, remote_row) "
      "VALUES ($1, $2, $3::uuid, $4, $5, $6, $7, $8, $9::timestamptz, $10::pg_lsn, $11, "
      "$12::bigint, $13, $14::jsonb, "
      "$15, $16::timestamptz, $17::pg_lsn, {}, {})",
      key, row);
}

PgParameter Text(const Value& value) {
  return value.kind == ValueKind::kText ? PgParameter(std::string(value.bytes))
                                        : PgParameter::Null();
}

}  // namespace

std::string_view OperationName(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kInsert:
      return "insert";
    case ChangeKind::kUpdate:
      return "update";
    case ChangeKind::kDelete:
      return "delete";
    case ChangeKind::kTruncate:
      return "truncate";
  }
  return "";
}

std::vector<Value> RowOfKey(const TargetTable& table, const std::vector<std::string>& key) {
  const auto columns = static_cast<size_t>(
      1 + *std::max_element(table.source_index.begin(), table.source_index.end()));
  std::vector<Value> row(columns);
  for (size_t part = 0; part < key.size(); ++part)
    row[table.source_index[table.keys[part]]] = {ValueKind::kText, key[part]};
  return row;
}

absl::Status QueueConflict(PgPipeline& pipeline, const RegionIdentity& identity,
                           const ConflictEntry& entry) {
  const TargetTable& table = *entry.table->table;
  // A delete shows what it carried: the key, or the whole old row.
  const bool is_delete = entry.step->kind == ChangeKind::kDelete;
  const std::span<const Value> row = is_delete ? entry.step->old_row : entry.step->row;
  std::vector<int> carried;
  const bool has_row = entry.step->kind != ChangeKind::kTruncate;
  for (int column = 0; has_row && column < static_cast<int>(table.columns.size()); ++column) {
    const bool known = is_delete && entry.step->old_row_kind != OldRow::kFull
                           ? table.columns[column].key_index >= 0
                           : row[table.source_index[column]].kind != ValueKind::kUnchanged;
    if (known) carried.push_back(column);
  }
  const RecordHeader& header = entry.unit->header;
  const std::optional<Version>& local = entry.local_version;
  std::vector<PgParameter> parameters = {
      table.schema,
      table.name,
      KeyDigest(entry.group->key_text),
      std::string(ConflictKindName(entry.kind)),
      std::string("last_write_wins"),
      std::string(DecisionName(entry.decision)),
      std::string(OperationName(entry.step->kind)),
      header.origin,
      TimestampText(header.commit_time),
      header.commit_lsn.ToString(),
      IncarnationToString(header.incarnation),
      header.sequence == 0 ? PgParameter::Null() : PgParameter(std::to_string(header.sequence)),
      entry.local_deleted
          ? PgParameter(std::string("delete"))
          : (entry.local_row ? PgParameter(std::string("row")) : PgParameter::Null()),
      entry.local_row ? PgParameter(*entry.local_row) : PgParameter::Null(),
      local ? PgParameter(identity.NameOf(local->rank)) : PgParameter::Null(),
      local ? PgParameter(TimestampText(local->commit_time)) : PgParameter::Null(),
      local && local->commit_lsn.valid() ? PgParameter(local->commit_lsn.ToString())
                                         : PgParameter::Null()};
  std::vector<Oid> types(kFixedParameters, 25);
  for (std::string& part : KeyValues(entry.group->key_text))
    parameters.emplace_back(std::move(part));
  for (const Oid type : ScalarTypes(table, table.keys)) types.push_back(type);
  for (const int column : carried) parameters.push_back(Text(row[table.source_index[column]]));
  for (const Oid type : ScalarTypes(table, carried)) types.push_back(type);
  return pipeline.Add(InsertSql(table, carried, !carried.empty()), parameters, types).status();
}

}  // namespace pgduet
