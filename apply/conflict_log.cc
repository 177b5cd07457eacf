#include "apply/conflict_log.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_set.h>
#include <fmt/format.h>

#include "apply/postgres_time.h"
#include "apply/set_parameters.h"
#include "apply/table_sql.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr Oid kTextOid = 25, kTextArrayOid = 1009;
constexpr int kScalars = 2;  // the table's schema and name

// What an entry says beside its rows: each an array of texts.
struct LoggedColumn {
  const char* name;
  const char* cast;
};
constexpr LoggedColumn kLogged[] = {{"key_digest", "::uuid"},
                                    {"kind", ""},
                                    {"decision", ""},
                                    {"remote_operation", ""},
                                    {"remote_region", ""},
                                    {"remote_time", "::timestamptz"},
                                    {"remote_lsn", "::pg_lsn"},
                                    {"remote_incarnation", ""},
                                    {"remote_sequence", "::bigint"},
                                    {"local_operation", ""},
                                    {"local_row", "::jsonb"},
                                    {"local_region", ""},
                                    {"local_time", "::timestamptz"},
                                    {"local_lsn", "::pg_lsn"}};

// unnest's columns: those of kLogged, then the key's, then the carried ones of the row.
std::string InsertSql(const TargetTable& table, const std::vector<int>& carried) {
  const size_t first_key = std::size(kLogged), first_row = first_key + table.keys.size();
  std::string names, values, parameters, columns;
  for (size_t place = 0; place < first_key; ++place) {
    names += fmt::format(", {}", kLogged[place].name);
    values += fmt::format(", s.c{}{}", place, kLogged[place].cast);
  }
  for (size_t place = 0; place < first_row + carried.size(); ++place) {
    parameters += fmt::format("{}${}", place == 0 ? "" : ", ", kScalars + 1 + place);
    columns += fmt::format("{}c{}", place == 0 ? "" : ", ", place);
  }
  const std::string row = carried.empty()
                              ? ""
                              : fmt::format(" CROSS JOIN LATERAL (SELECT {}) r",
                                            JsonFieldsOfSource(table, carried, first_row));
  return fmt::format(
      "INSERT INTO pgduet.conflict (table_schema, table_name, policy, key, remote_row{}) "
      "SELECT $1, $2, 'last_write_wins', to_jsonb(k.*), {}{} FROM unnest({}) AS s({}) "
      "CROSS JOIN LATERAL (SELECT {}) k{}",
      names, carried.empty() ? "NULL" : "to_jsonb(r.*)", values, parameters, columns,
      JsonFieldsOfSource(table, table.keys, first_key), row);
}

void AddOptional(ArrayLiteral& literal, const std::optional<std::string>& text) {
  if (text) {
    literal.Add(*text);
  } else {
    literal.AddNull();
  }
}

// A delete shows what it carried: the key, or the whole old row.
std::span<const Value> RowShown(const ConflictEntry& entry) {
  return entry.step->kind == ChangeKind::kDelete ? entry.step->old_row : entry.step->row;
}

std::vector<int> ColumnsShown(const ConflictEntry& entry) {
  std::vector<int> columns;
  if (entry.step->kind == ChangeKind::kTruncate) return columns;
  const TargetTable& table = *entry.table->table;
  const std::span<const Value> row = RowShown(entry);
  const bool key_only =
      entry.step->kind == ChangeKind::kDelete && entry.step->old_row_kind != OldRow::kFull;
  for (int column = 0; column < static_cast<int>(table.columns.size()); ++column) {
    const bool known = key_only ? table.columns[column].key_index >= 0
                                : row[table.source_index[column]].kind != ValueKind::kUnchanged;
    if (known) columns.push_back(column);
  }
  return columns;
}

// Entries of one table that show the same columns.
class AlikeEntries {
 public:
  AlikeEntries(const TargetTable& table, std::vector<int> shown)
      : table_(table),
        shown_(std::move(shown)),
        logged_(std::size(kLogged)),
        keys_(ColumnArrays(table, table.keys)),
        rows_(ColumnArrays(table, shown_)) {}

  bool Takes(const TargetTable& table, const std::vector<int>& shown) const {
    return &table_ == &table && shown_ == shown;
  }
  bool HasKey(uint64_t key_hash) const { return key_hashes_.contains(key_hash); }
  void Add(const RegionIdentity& identity, const ConflictEntry& entry);
  absl::Status Queue(PgPipeline& pipeline);

 private:
  void AddLogged(const RegionIdentity& identity, const ConflictEntry& entry);
  const TargetTable& table_;
  const std::vector<int> shown_;
  std::vector<ArrayLiteral> logged_, keys_, rows_;
  absl::flat_hash_set<uint64_t> key_hashes_;
};

void AlikeEntries::Add(const RegionIdentity& identity, const ConflictEntry& entry) {
  key_hashes_.insert(entry.group->key_hash);
  AddLogged(identity, entry);
  const std::vector<std::string> key = KeyValues(entry.group->key_text);
  for (size_t part = 0; part < key.size(); ++part) keys_[part].Add(key[part]);
  const std::span<const Value> row = RowShown(entry);
  for (size_t place = 0; place < shown_.size(); ++place) {
    const Value& value = row[table_.source_index[shown_[place]]];
    if (value.kind == ValueKind::kText) {
      rows_[place].Add(value.bytes);
    } else {
      rows_[place].AddNull();
    }
  }
}

// In the order of kLogged.
void AlikeEntries::AddLogged(const RegionIdentity& identity, const ConflictEntry& entry) {
  using Text = std::optional<std::string>;
  const RecordHeader& header = entry.unit->header;
  const std::optional<Version>& local = entry.local_version;
  auto literal = logged_.begin();
  (literal++)->Add(KeyDigest(entry.group->key_text));
  (literal++)->Add(ConflictKindName(entry.kind));
  (literal++)->Add(DecisionName(entry.decision));
  (literal++)->Add(OperationName(entry.step->kind));
  (literal++)->Add(header.origin);
  (literal++)->Add(TimestampText(header.commit_time));
  (literal++)->Add(header.commit_lsn.ToString());
  (literal++)->Add(IncarnationToString(header.incarnation));
  AddOptional(*literal++, header.sequence == 0 ? Text() : std::to_string(header.sequence));
  AddOptional(*literal++, entry.local_deleted ? Text("delete")
                          : entry.local_row   ? Text("row")
                                              : Text());
  AddOptional(*literal++, entry.local_row);
  AddOptional(*literal++, local ? Text(identity.NameOf(local->rank)) : Text());
  AddOptional(*literal++, local ? Text(TimestampText(local->commit_time)) : Text());
  AddOptional(*literal++,
              local && local->commit_lsn.valid() ? Text(local->commit_lsn.ToString()) : Text());
}

absl::Status AlikeEntries::Queue(PgPipeline& pipeline) {
  std::vector<PgParameter> parameters = {table_.schema, table_.name};
  std::vector<Oid> types(kScalars, kTextOid);
  types.insert(types.end(), std::size(kLogged), kTextArrayOid);
  for (const auto* columns : {&table_.keys, &shown_}) {
    for (const Oid type : ArrayTypes(table_, *columns)) types.push_back(type);
  }
  for (std::vector<ArrayLiteral>* literals : {&logged_, &keys_, &rows_}) {
    for (PgParameter& one : Finished(std::move(*literals))) parameters.push_back(std::move(one));
  }
  return pipeline.Add(InsertSql(table_, shown_), parameters, types).status();
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

absl::Status QueueConflicts(PgPipeline& pipeline, const RegionIdentity& identity,
                            std::span<const ConflictEntry> entries) {
  std::deque<AlikeEntries> alike;
  const auto queue_all = [&]() -> absl::Status {
    for (AlikeEntries& one : alike) PGDUET_RETURN_IF_ERROR(one.Queue(pipeline));
    alike.clear();
    return absl::OkStatus();
  };
  for (const ConflictEntry& entry : entries) {
    const TargetTable& table = *entry.table->table;
    std::vector<int> shown = ColumnsShown(entry);
    AlikeEntries* place = nullptr;
    bool key_elsewhere = false;
    for (AlikeEntries& one : alike) {
      if (one.Takes(table, shown)) {
        place = &one;
      } else {
        key_elsewhere |= one.HasKey(entry.group->key_hash);
      }
    }
    if (key_elsewhere) {
      PGDUET_RETURN_IF_ERROR(queue_all());
      place = nullptr;
    }
    if (place == nullptr) place = &alike.emplace_back(table, std::move(shown));
    place->Add(identity, entry);
  }
  return queue_all();
}

absl::Status QueueConflict(PgPipeline& pipeline, const RegionIdentity& identity,
                           const ConflictEntry& entry) {
  return QueueConflicts(pipeline, identity, {&entry, 1});
}

}  // namespace pgduet
