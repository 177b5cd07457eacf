#include "apply/orphan_repair.h"

#include <algorithm>

#include <fmt/format.h>

#include "apply/postgres_time.h"
#include "apply/table_sql.h"
#include "base/named_error.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

using Parameters = std::vector<std::optional<std::string>>;

constexpr char kLogSql[] =
    "INSERT INTO pgduet.conflict (table_schema, table_name, key_digest, key, kind, policy, "
    "decision, remote_operation, remote_row, remote_region, remote_time, local_operation, "
    "local_row, local_region, local_time) SELECT $1, $2, $3::uuid, $4::jsonb, $5, 'on_orphan', $6, "
    "'delete', $7::jsonb, $8, coalesce($9::timestamptz, clock_timestamp()), 'row', $10::jsonb, "
    "$11, $12::timestamptz";

constexpr char kKeptRowSql[] =
    "SELECT e.name, e.value FROM pgduet.deleted_parent p CROSS JOIN LATERAL unnest(p.columns, "
    "p.row_values) e (name, value) WHERE p.relation = $1::oid AND p.key_digest = $2::uuid";

// Is the row there? If so, it stays until our end, as PostgreSQL's own check has it.
std::string ThereSql(const TargetTable& table) {
  std::string match;
  for (size_t part = 0; part < table.keys.size(); ++part) {
    const TargetColumn& column = table.columns[table.keys[part]];
    match += fmt::format("{}t.{} = ${}::{}", part == 0 ? "" : " AND ", column.quoted, part + 1,
                         column.type);
  }
  return fmt::format("SELECT FROM {} t WHERE {} FOR KEY SHARE", table.quoted, match);
}

Parameters KeyParameters(const std::string& key_text) {
  Parameters key;
  for (std::string& part : KeyValues(key_text)) key.emplace_back(std::move(part));
  return key;
}

}  // namespace

absl::StatusOr<std::vector<bool>> OrphanRepair::Handle(PgConnection& connection,
                                                       const ForeignKeys& keys,
                                                       const ForeignKey& key,
                                                       const std::vector<SuspectParent>& parents) {
  const OrphanStatements sql(key);
  // A whole table is asked for by itself.
  std::map<std::pair<std::optional<Decision>, const SuspectParent*>, Parents> asked;
  for (const SuspectParent& parent : parents) {
    const std::optional<Decision> decision = OrphanStep({.rule = key.rule,
                                                         .self = identity_.rank,
                                                         .deleter = parent.deleter,
                                                         .overdue = parent.overdue,
                                                         .parent_known = parent.row_known});
    asked[{decision, parent.key_text.empty() ? &parent : nullptr}].push_back(&parent);
  }
  std::vector<bool> left(parents.size());
  for (const auto& [what, some] : asked) {
    const std::optional<Decision> decision = what.first;
    if (decision == Decision::kReportOrphan) {
      PGDUET_RETURN_IF_ERROR(Report(connection, sql, some));
      continue;
    }
    Parents open = some;
    if (decision) {
      PGDUET_ASSIGN_OR_RETURN(Parents unknown, Act(sql, keys, *decision, some));
      std::erase_if(unknown, [](const SuspectParent* parent) { return !parent->overdue; });
      if (!unknown.empty()) PGDUET_RETURN_IF_ERROR(Report(connection, sql, unknown));
      std::erase_if(open, [&](const SuspectParent* parent) {
        return std::find(unknown.begin(), unknown.end(), parent) != unknown.end();
      });
    }
    PGDUET_ASSIGN_OR_RETURN(const std::vector<bool> orphaned, Missed(connection, sql, open));
    for (size_t place = 0; place < open.size(); ++place)
      left[open[place] - parents.data()] = orphaned[place];
  }
  return left;
}

absl::StatusOr<std::vector<bool>> OrphanRepair::Missed(PgConnection& connection,
                                                       const ForeignKey& key,
                                                       const std::vector<SuspectParent>& parents) {
  Parents all;
  for (const SuspectParent& parent : parents) all.push_back(&parent);
  return Missed(connection, OrphanStatements(key), all);
}

// More than one look finds counts as all; a whole table is asked for by itself.
absl::StatusOr<std::vector<bool>> OrphanRepair::Missed(PgConnection& connection,
                                                       const OrphanStatements& sql,
                                                       const Parents& parents) {
  std::vector<bool> missed(parents.size());
  Parents by_key;
  std::vector<size_t> places;
  for (size_t place = 0; place < parents.size(); ++place) {
    if (!parents[place]->key_text.empty()) {
      by_key.push_back(parents[place]);
      places.push_back(place);
      continue;
    }
    PGDUET_ASSIGN_OR_RETURN(const std::vector<Orphan> orphans,
                            Find(connection, sql, OrphanStatements::For::kLook, {parents[place]}));
    missed[place] = !orphans.empty();
  }
  if (by_key.empty()) return missed;
  PGDUET_ASSIGN_OR_RETURN(const std::vector<Orphan> orphans,
                          Find(connection, sql, OrphanStatements::For::kLook, by_key));
  if (orphans.size() == OrphanStatements::kOrphansMax) {
    for (const size_t place : places) missed[place] = true;
  }
  for (const Orphan& orphan : orphans) missed[places[orphan.place]] = true;
  return missed;
}

absl::StatusOr<std::vector<Orphan>> OrphanRepair::Find(PgConnection& connection,
                                                       const OrphanStatements& sql,
                                                       OrphanStatements::For purpose,
                                                       const Parents& parents) {
  const bool whole_table = parents.front()->key_text.empty();
  Parameters parameters;
  std::vector<ArrayLiteral> arrays(whole_table ? 0 : sql.key().columns.size());
  ArrayLiteral times;
  for (const SuspectParent* parent : parents) {
    const std::vector<std::string> values = KeyValues(parent->key_text);
    for (size_t part = 0; part < arrays.size(); ++part) arrays[part].Add(values[part]);
    if (parent->deleted_at) {
      times.Add(TimestampText(*parent->deleted_at));
    } else {
      times.AddNull();
    }
  }
  for (ArrayLiteral& array : arrays) parameters.emplace_back(std::move(array).Finish());
  if (purpose == OrphanStatements::For::kReport) {
    const std::optional<CommitTime>& time = parents.front()->deleted_at;
    if (!whole_table) {
      parameters.emplace_back(std::move(times).Finish());
    } else {
      parameters.emplace_back(time ? std::optional(TimestampText(*time)) : std::nullopt);
    }
  }
  PGDUET_ASSIGN_OR_RETURN(const PgResult rows,
                          connection.Query(sql.FindSql(purpose, whole_table), parameters));
  std::vector<Orphan> orphans;
  for (int row = 0; row < rows.rows(); ++row) orphans.push_back(sql.Parse(rows, row));
  return orphans;
}

absl::Status OrphanRepair::Report(PgConnection& connection, const OrphanStatements& sql,
                                  const Parents& parents) {
  for (bool more = true; more;) {
    PGDUET_ASSIGN_OR_RETURN(const std::vector<Orphan> orphans,
                            Find(connection, sql, OrphanStatements::For::kReport, parents));
    counts_.clear();
    for (const Orphan& orphan : orphans) {
      PGDUET_RETURN_IF_ERROR(
          Log(connection, sql.key(), orphan, *parents[orphan.place], Decision::kReportOrphan));
    }
    Count();
    more = orphans.size() == OrphanStatements::kOrphansMax;
  }
  return absl::OkStatus();
}

absl::Status OrphanRepair::OpenWriter() {
  if (writer_ != nullptr) return absl::OkStatus();
  PGDUET_ASSIGN_OR_RETURN(
      writer_, PgConnection::Open(SetSession(conninfo_, identity_.set, "orphan repair")));
  // As applied changes: no trigger fires, and what they leave behind is looked at in its turn.
  return writer_
      ->Query(
          "SET synchronous_commit = off; SET search_path = pg_catalog; SET lock_timeout = '1s'; "
          "SET session_replication_role = replica")
      .status();
}

absl::StatusOr<OrphanRepair::Parents> OrphanRepair::Act(const OrphanStatements& sql,
                                                        const ForeignKeys& keys, Decision decision,
                                                        const Parents& parents) {
  PGDUET_RETURN_IF_ERROR(OpenWriter());
  Parents unknown;
  for (bool more = true; more;) {
    counts_.clear();
    unknown.clear();
    absl::Status status = writer_->Query("BEGIN").status();
    if (status.ok()) {
      const absl::StatusOr<int> done = decision == Decision::kDeleteChild
                                           ? Delete(sql, parents)
                                           : Revive(sql, keys, parents, unknown);
      status = done.status();
      more = done.ok() && *done > 0;
    }
    if (status.ok()) status = writer_->Query("COMMIT").status();
    if (!status.ok()) {
      (void)writer_->Query("ROLLBACK");
      if (absl::IsUnavailable(status)) writer_.reset();
      return status;
    }
    Count();
  }
  return unknown;
}

absl::StatusOr<int> OrphanRepair::Delete(const OrphanStatements& sql, const Parents& parents) {
  PGDUET_ASSIGN_OR_RETURN(const std::vector<Orphan> orphans,
                          Find(*writer_, sql, OrphanStatements::For::kDelete, parents));
  for (const Orphan& orphan : orphans) {
    PGDUET_RETURN_IF_ERROR(
        writer_->Query(sql.DeleteSql(), KeyParameters(orphan.key_text)).status());
    PGDUET_RETURN_IF_ERROR(
        Log(*writer_, sql.key(), orphan, *parents[orphan.place], Decision::kDeleteChild));
  }
  return static_cast<int>(orphans.size());
}

// The children are locked, so that they are there when their parent is.
absl::StatusOr<int> OrphanRepair::Revive(const OrphanStatements& sql, const ForeignKeys& keys,
                                         const Parents& parents, Parents& unknown) {
  PGDUET_ASSIGN_OR_RETURN(const std::vector<Orphan> orphans,
                          Find(*writer_, sql, OrphanStatements::For::kRevive, parents));
  std::vector<bool> asked(parents.size());
  int revived = 0;
  for (const Orphan& orphan : orphans) {
    if (asked[orphan.place]) continue;
    asked[orphan.place] = true;
    const SuspectParent& parent = *parents[orphan.place];
    PGDUET_RETURN_IF_ERROR(writer_->Query("SAVEPOINT parent").status());
    PGDUET_ASSIGN_OR_RETURN(const bool written,
                            WriteBack(keys, *sql.key().parent, parent.key_text));
    if (!written) {
      unknown.push_back(&parent);
      PGDUET_RETURN_IF_ERROR(writer_->Query("ROLLBACK TO SAVEPOINT parent").status());
      continue;
    }
    ++revived;
    PGDUET_RETURN_IF_ERROR(Log(*writer_, sql.key(), orphan, parent, Decision::kReviveParent));
  }
  return revived;
}

// All the way up: like a client's, this write leaves no row without its parent where it is made.
absl::StatusOr<bool> OrphanRepair::WriteBack(const ForeignKeys& keys, const TargetTable& parent,
                                             const std::string& key_text) {
  PGDUET_ASSIGN_OR_RETURN(const PgResult there,
                          writer_->Query(ThereSql(parent), KeyParameters(key_text)));
  if (there.rows() > 0) return true;
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult kept,
      writer_->Query(kKeptRowSql, {std::to_string(parent.oid), KeyDigest(key_text)}));
  std::map<std::string, std::optional<std::string>, std::less<>> by_name;
  for (int row = 0; row < kept.rows(); ++row) {
    by_name[std::string(kept.Text(row, 0))] =
        kept.IsNull(row, 1) ? std::nullopt : std::optional(std::string(kept.Text(row, 1)));
  }
  std::vector<int> carried;
  Parameters values;
  for (int column = 0; column < static_cast<int>(parent.columns.size()); ++column) {
    const auto at = by_name.find(parent.columns[column].name);
    if (at == by_name.end()) continue;
    carried.push_back(column);
    values.push_back(at->second);
  }
  if (carried.empty()) return false;
  // Somebody else's row under the key will do, too; if it goes again, its delete is looked at.
  PGDUET_RETURN_IF_ERROR(writer_->Query(InsertRowSql(parent, carried), values).status());
  for (const ForeignKey* up : keys.OfChild(parent.oid)) {
    std::vector<Value> key;
    for (const std::string& column : up->columns) {
      const auto& value = by_name[column];
      if (value) key.push_back({ValueKind::kText, *value});
    }
    if (key.size() < up->columns.size()) continue;
    PGDUET_ASSIGN_OR_RETURN(const bool written,
                            WriteBack(keys, *up->parent, KeyText(*up->parent, key)));
    if (!written) return false;
  }
  return true;
}

absl::Status OrphanRepair::Log(PgConnection& connection, const ForeignKey& key,
                               const Orphan& orphan, const SuspectParent& parent,
                               Decision decision) {
  const Rank writer = identity_.RankOf(orphan.origin, origin_oids_);
  const Rank deleter = parent.deleter.value_or(identity_.rank);
  const bool stamped = orphan.commit_time != kOldestTime;
  ++counts_[deleter].conflicts[{ConflictKind::kParentMissing, decision}];
  return connection
      .Query(kLogSql,
             {key.child->schema, key.child->name, KeyDigest(orphan.key_text), orphan.key,
              std::string(ConflictKindName(ConflictKind::kParentMissing)),
              std::string(DecisionName(decision)), orphan.parent_key, identity_.NameOf(deleter),
              parent.deleted_at ? std::optional(TimestampText(*parent.deleted_at)) : std::nullopt,
              orphan.json, stamped ? std::optional(identity_.NameOf(writer)) : std::nullopt,
              stamped ? std::optional(TimestampText(orphan.commit_time)) : std::nullopt})
      .status();
}

void OrphanRepair::Count() {
  for (const auto& [rank, counts] : counts_) metrics_.Committed(rank, counts);
  counts_.clear();
}

}  // namespace pgduet
