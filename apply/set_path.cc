#include "apply/set_path.h"

#include <algorithm>

#include <fmt/format.h>

#include "apply/bulk_copy.h"
#include "apply/set_parameters.h"
#include "apply/table_sql.h"
#include "apply/tombstone_table.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

// Two is an xid older than every row's writer: nothing is covered.
constexpr uint32_t kOldestXid = 2;
constexpr size_t kCopyPiece = 64 * 1024;  // bytes sent at once

std::string XidText(FullXid horizon) {
  return std::to_string(horizon == 0 ? kOldestXid : static_cast<uint32_t>(horizon));
}

}  // namespace

std::vector<PgParameter> CoverageParameters(const ApplyScope& scope, const AppliedVector& vector) {
  std::vector<PgParameter> parameters = {std::to_string(scope.origin_oids[scope.origin]),
                                         XidText(scope.history.LocalHorizon(vector))};
  for (Rank rank = 0; rank < scope.identity.regions.size(); ++rank) {
    if (rank == scope.origin || rank == scope.identity.rank) continue;
    parameters.emplace_back(std::to_string(scope.origin_oids[rank]));
    parameters.emplace_back(XidText(scope.history.OriginHorizon(rank, vector)));
  }
  return parameters;
}

SetPath::SetPath(ApplyScope scope, const std::vector<ApplyUnit>& units,
                 const AppliedVector& covering, InsertedKeys& inserted, ApplyCounts& counts)
    : scope_(scope), units_(units), covering_(covering), inserted_(inserted), counts_(counts) {
  coverage_.other_origins = static_cast<int>(scope_.identity.regions.size()) - 2;
}

std::vector<int> SetPath::CarriedColumns(const TableGroups& table, const KeyGroup& group) const {
  std::vector<int> carried;
  carried.reserve(table.table->columns.size());
  for (int column = 0; column < static_cast<int>(table.table->columns.size()); ++column) {
    if (group.FinalValue(table.table->source_index[column]).kind != ValueKind::kUnchanged)
      carried.push_back(column);
  }
  return carried;
}

void SetPath::Classify(const Segment& segment, size_t table_index, ChangeKind kind) {
  const TableGroups& table = segment.tables[table_index];
  ByCarried by_carried;
  for (size_t index = 0; index < table.groups.size(); ++index) {
    const KeyGroup& group = table.groups[index];
    switch (group.net()) {
      case NetEffect::kDelete:
        if (kind == ChangeKind::kDelete) by_carried[table.table->keys].push_back(index);
        break;
      case NetEffect::kUpdate:
        if (kind != ChangeKind::kUpdate) break;
        if (table.table->nothing_to_set) {
          left_[table_index].push_back(index);
        } else {
          by_carried[CarriedColumns(table, group)].push_back(index);
        }
        break;
      case NetEffect::kInsert:
        if (kind != ChangeKind::kInsert) break;
        if (scope_.registry.MayStopInsert({table.table->oid, group.key_hash},
                                          units_[group.steps.back().unit].version())) {
          left_[table_index].push_back(index);
        } else {
          by_carried[CarriedColumns(table, group)].push_back(index);
        }
        break;
      case NetEffect::kTransient:
        if (kind == ChangeKind::kInsert) left_[table_index].push_back(index);
        break;
    }
  }
  for (auto& [carried, groups] : by_carried) {
    statements_.push_back(
        {.table = table_index, .kind = kind, .carried = carried, .groups = std::move(groups)});
  }
}

absl::Status SetPath::Queue(const Segment& segment) {
  statements_.clear();
  left_.assign(segment.tables.size(), {});
  // Deletes first, then updates, then inserts: what a unique key frees is free when it is taken
  // again.
  for (const ChangeKind kind : {ChangeKind::kDelete, ChangeKind::kUpdate, ChangeKind::kInsert}) {
    for (size_t table = 0; table < segment.tables.size(); ++table) Classify(segment, table, kind);
  }
  for (Statement& statement : statements_) {
    const TableGroups& table = segment.tables[statement.table];
    if (statement.kind == ChangeKind::kDelete) AnnounceTombstones(table, statement);
    statement.copied = statement.kind == ChangeKind::kInsert && scope_.copies != nullptr &&
                       scope_.copies->Trusts(table.table->oid, statement.groups.size());
    if (!statement.copied) PGDUET_RETURN_IF_ERROR(QueueStatement(table, statement));
  }
  return absl::OkStatus();
}

absl::Status SetPath::Copy(const Segment& segment) {
  for (const Statement& statement : statements_) {
    if (!statement.copied) continue;
    const TableGroups& table = segment.tables[statement.table];
    const absl::Status status = CopyRows(table, statement);
    if (status.ok()) {
      scope_.copies->Copied(table.table->oid);
    } else if (SqlState(status).starts_with("23")) {
      scope_.copies->Refused(table.table->oid);
      return NamedError(absl::StatusCode::kAborted, "copy_refused",
                        "COPY met a row or a constraint: table=" + table.table->quoted);
    } else {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status SetPath::CopyRows(const TableGroups& table, const Statement& statement) {
  NoteInserted(table, statement);
  const TargetTable& target = *table.table;
  auto group = statement.groups.begin();
  const auto next = [&](std::string& piece) {
    for (; group != statement.groups.end() && piece.size() < kCopyPiece; ++group) {
      for (const int column : statement.carried) {
        AppendCopyValue(piece, table.groups[*group].FinalValue(target.source_index[column]));
        piece.push_back('\t');
      }
      piece.back() = '\n';
    }
    return group != statement.groups.end();
  };
  return scope_.pipeline.CopyIn(CopySql(target, statement.carried), next).status();
}

void SetPath::NoteInserted(const TableGroups& table, const Statement& statement) {
  for (const size_t index : statement.groups) {
    const KeyGroup& group = table.groups[index];
    inserted_.Add({table.table->oid, group.key_hash},
                  units_[group.steps.back().unit].header.commit_time);
  }
}

absl::Status SetPath::QueueStatement(const TableGroups& table, Statement& statement) {
  const TargetTable& target = *table.table;
  std::vector<PgParameter> parameters;
  if (statement.kind == ChangeKind::kDelete) {
    parameters = KeyArrays(table, statement.groups);
  } else {
    std::vector<ArrayLiteral> literals = ColumnArrays(target, statement.carried);
    for (size_t place = 0; place < literals.size(); ++place) {
      const int source = target.source_index[statement.carried[place]];
      for (const size_t group : statement.groups)
        AddValue(literals[place], table.groups[group].FinalValue(source));
    }
    parameters = Finished(std::move(literals));
  }
  std::vector<Oid> types = ArrayTypes(target, statement.carried);
  std::string sql;
  if (statement.kind == ChangeKind::kInsert) {
    sql = InsertSetSql(target, statement.carried);
    NoteInserted(table, statement);
  } else {
    sql = statement.kind == ChangeKind::kUpdate ? UpdateSetSql(target, statement.carried, coverage_)
                                                : DeleteSetSql(target, coverage_);
    for (PgParameter& parameter : CoverageParameters(scope_, covering_))
      parameters.push_back(std::move(parameter));
    for (const Oid type : coverage_.ParameterTypes()) types.push_back(type);
  }
  PGDUET_ASSIGN_OR_RETURN(statement.result, scope_.pipeline.Add(sql, parameters, types));
  return absl::OkStatus();
}

// In groups of three and more: another stream's insert may be waiting for this very delete, and not
// be seen by it. Else where an older tombstone is: what comes after this delete has not to do with
// that one any more.
void SetPath::AnnounceTombstones(const TableGroups& table, Statement& statement) {
  statement.tombstones.resize(statement.groups.size());
  for (size_t place = 0; place < statement.groups.size(); ++place) {
    const KeyGroup& group = table.groups[statement.groups[place]];
    if (!NeedsTombstone(scope_, *table.table, group)) continue;
    const KeyDelete one = DeleteOf(units_[group.steps.back().unit], *table.table, group);
    scope_.gate->Write(one.key, one.version);
    statement.tombstones[place] = statement.any_tombstone = true;
  }
}

// Where no row was met there may be an older tombstone, which lost: it is decided and logged by
// row, and must still be there.
absl::Status SetPath::QueueRemoteTombstones(const TableGroups& table,
                                            const std::vector<size_t>& groups) {
  if (groups.empty()) return absl::OkStatus();
  std::vector<KeyDelete> deletes;
  std::vector<std::string> vectors;
  deletes.reserve(groups.size());
  for (const size_t index : groups) {
    const KeyGroup& group = table.groups[index];
    const ApplyUnit& unit = units_[group.steps.back().unit];
    deletes.push_back(DeleteOf(unit, *table.table, group));
    // Of one transaction the vector is the one in pgduet.progress; a copy beside each key would
    // weigh more than the key.
    if (units_.size() > 1) vectors.push_back(EncodeVector(unit.vector));
  }
  return QueueTombstones(scope_.pipeline, table.table->oid, deletes, Mark::kUnswept, vectors);
}

absl::StatusOr<size_t> SetPath::QueueNotOurs(const TableGroups& table, const Statement& statement) {
  return scope_.pipeline.Add(NotOursSql(*table.table), KeyArrays(table, statement.groups),
                             ArrayTypes(*table.table, table.table->keys));
}

absl::StatusOr<std::vector<std::vector<size_t>>> SetPath::Collect(
    const Segment& segment, const std::vector<PgResult>& results) {
  std::vector<std::pair<const Statement*, size_t>> asked;
  for (const Statement& statement : statements_) {
    const auto wanted = static_cast<int64_t>(statement.groups.size());
    uint64_t& counter = statement.kind == ChangeKind::kInsert   ? counts_.inserts
                        : statement.kind == ChangeKind::kUpdate ? counts_.updates
                                                                : counts_.deletes;
    counter += statement.groups.size();
    if (statement.copied) continue;
    const PgResult& result = results[statement.result];
    if (result.affected() == wanted && !statement.any_tombstone) continue;
    if (statement.kind == ChangeKind::kDelete) {
      PGDUET_RETURN_IF_ERROR(CollectDeletes(segment.tables[statement.table], statement, result));
      continue;
    }
    PGDUET_ASSIGN_OR_RETURN(const size_t asks,
                            QueueNotOurs(segment.tables[statement.table], statement));
    asked.emplace_back(&statement, asks);
  }
  if (scope_.pipeline.executed() == 0) return std::move(left_);
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> answers, scope_.pipeline.Run());
  for (const auto& [statement, asks] : asked) {
    for (int row = 0; row < answers[asks].rows(); ++row)
      left_[statement->table].push_back(statement->groups[answers[asks].Int(row, 0) - 1]);
  }
  return std::move(left_);
}

absl::Status SetPath::CollectDeletes(const TableGroups& table, const Statement& statement,
                                     const PgResult& result) {
  std::vector<bool> touched(statement.groups.size());
  for (int row = 0; row < result.rows(); ++row) touched[result.Int(row, 0) - 1] = true;
  std::vector<size_t> gone;
  for (size_t place = 0; place < touched.size(); ++place) {
    if (!touched[place]) {
      left_[statement.table].push_back(statement.groups[place]);
    } else if (statement.tombstones[place]) {
      gone.push_back(statement.groups[place]);
    }
  }
  return QueueRemoteTombstones(table, gone);
}

}  // namespace pgduet
