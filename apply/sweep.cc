#include "apply/sweep.h"

#include <algorithm>

#include "apply/conflict_log.h"
#include "apply/internal_transaction.h"
#include "apply/orphan_notes.h"
#include "apply/postgres_time.h"
#include "base/log.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr absl::Duration kLookInterval = absl::Milliseconds(200);
// While something that ran at the first look is still running, or a row is locked.
constexpr absl::Duration kWaitingInterval = absl::Seconds(5);
constexpr absl::Duration kWarnInterval = absl::Seconds(60);
constexpr int kKeysOfAPass = 2'000;

constexpr char kLocalConflictSql[] =
    "INSERT INTO pgduet.conflict (table_schema, table_name, key_digest, kind, policy, decision, "
    "remote_operation, remote_row, "
    "remote_region, remote_time, local_operation, local_region, local_time, local_lsn, key) "
    "SELECT $1, $2, $3::uuid, 'update_deleted', 'last_write_wins', 'keep_local', 'row', $4::jsonb, "
    "$5, $6::timestamptz, "
    "'delete', $7, $8::timestamptz, $9::pg_lsn, jsonb_object_agg(k, $4::jsonb -> k) FROM "
    "unnest($10::text[]) k";

std::string KeyNames(const TargetTable& table) {
  ArrayLiteral names;
  for (const int key : table.keys) names.Add(table.columns[key].name);
  return std::move(names).Finish();
}

}  // namespace

void Sweep::Reset() {
  snapshot_.clear();
  xid_ = 0;
  due_ = absl::InfinitePast();
}

absl::Status Sweep::Step(TargetSession& session, PgConnection& connection, FullXid oldest_running,
                         absl::Time now) {
  const bool last = xid_ != 0 && xid_ <= oldest_running;
  if (wants_xid() || (now < due_ && !last)) return absl::OkStatus();
  if (snapshot_.empty()) {
    due_ = now + kLookInterval;
    return LookForCohort(connection);
  }
  due_ = now + kWaitingInterval;
  const absl::Status status = Pass(session, connection, last ? Kind::kLast : Kind::kInBetween);
  if (status.ok() || absl::IsUnavailable(status)) return status;
  // Something of the user's is in the way (a lock on the table, a changed definition): the marks
  // stay, and it is tried again.
  Reset();
  due_ = now + kWaitingInterval;
  session.pipeline().ForgetPlans();
  if (now - warned_at_ > kWarnInterval) LogWarning("apply", "sweep of deletes put off", status);
  warned_at_ = std::max(warned_at_, now);
  return absl::OkStatus();
}

absl::Status Sweep::LookForCohort(PgConnection& connection) {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult look,
      connection.Query(
          // In the index's order, or a table that was not analysed yet is read whole.
          "SELECT pg_current_snapshot(), (SELECT count(*) FROM (SELECT FROM pgduet.tombstone "
          "WHERE unswept IS NOT NULL ORDER BY unswept LIMIT 100000) m)"));
  metrics_.UnsweptTombstones(static_cast<size_t>(look.Int(0, 1)));
  if (look.Int(0, 1) > 0) snapshot_ = look.Text(0, 0);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Sweep::Marked>> Sweep::ListMarked(PgConnection& connection) const {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult rows,
      connection.Query(
          "SELECT relation, key_digest, key = '' FROM pgduet.tombstone WHERE unswept IS NOT NULL "
          "AND pg_visible_in_snapshot(unswept, $1::pg_snapshot) ORDER BY unswept LIMIT $2::int",
          {snapshot_, std::to_string(kKeysOfAPass)}));
  std::vector<Marked> marked;
  for (int row = 0; row < rows.rows(); ++row) {
    const auto relation = static_cast<Oid>(rows.Int(row, 0));
    const bool truncated = rows.Bool(row, 2);
    auto at = std::find_if(marked.begin(), marked.end(), [&](const Marked& one) {
      return one.relation == relation && one.truncated == truncated;
    });
    if (at == marked.end())
      at = marked.insert(at, {.relation = relation, .truncated = truncated, .digests = {}});
    at->digests.emplace_back(rows.Text(row, 1));
  }
  return marked;
}

absl::Status Sweep::Pass(TargetSession& session, PgConnection& connection, Kind kind) {
  PGDUET_ASSIGN_OR_RETURN(const std::vector<Marked> marked, ListMarked(connection));
  TargetCatalog catalog(connection);
  int64_t listed = 0, cleared = 0;
  for (const Marked& one : marked) {
    listed += static_cast<int64_t>(one.digests.size());
    PGDUET_ASSIGN_OR_RETURN(const int64_t done, SweepTable(session, catalog, one, kind));
    cleared += done;
  }
  if (kind == Kind::kInBetween) return absl::OkStatus();
  if (cleared == kKeysOfAPass) return absl::OkStatus();  // there may be more: the next step goes on
  // What is left is locked, or was raised since: it belongs to a later cohort.
  const bool stuck = cleared < listed;
  const absl::Time due = due_;
  Reset();
  if (stuck) due_ = due;
  return absl::OkStatus();
}

absl::StatusOr<int64_t> Sweep::SweepTable(TargetSession& session, TargetCatalog& catalog,
                                          const Marked& marked, Kind kind) {
  absl::StatusOr<std::shared_ptr<const TargetTable>> table = catalog.FindByOid(marked.relation);
  if (absl::IsNotFound(table.status())) {  // dropped: nothing stands under its tombstones
    PGDUET_ASSIGN_OR_RETURN(
        const PgResult cleared,
        session.Query(
            "UPDATE pgduet.tombstone SET unswept = NULL, vector = NULL WHERE relation = $1::oid "
            "AND unswept IS NOT NULL",
            {std::to_string(marked.relation)}));
    return cleared.affected();
  }
  PGDUET_RETURN_IF_ERROR(table.status());
  const SweepStatements statements(*table, marked.truncated, session.origin_oids(), identity_.rank);
  PgPipeline& pipeline = session.pipeline();
  ArrayLiteral digests;
  for (const std::string& digest : marked.digests) digests.Add(digest);
  const std::string keys = std::move(digests).Finish();
  counts_.clear();
  const auto work = [&]() -> absl::StatusOr<int64_t> {
    PGDUET_RETURN_IF_ERROR(BeginInternal(pipeline, identity_));
    PGDUET_RETURN_IF_ERROR(pipeline.Add("SET LOCAL lock_timeout = '100ms'", {}).status());
    PGDUET_RETURN_IF_ERROR(DeleteMissed(session, statements, keys));
    int64_t cleared = 0;
    if (kind == Kind::kLast) {
      PGDUET_ASSIGN_OR_RETURN(const PgResult done,
                              session.Query(statements.ClearSql(), {keys, snapshot_}));
      cleared = done.affected();
    }
    PGDUET_RETURN_IF_ERROR(session.Query("COMMIT").status());
    for (const auto& [rank, counts] : counts_) metrics_.Committed(rank, counts);
    return cleared;
  };
  absl::StatusOr<int64_t> cleared = work();
  if (!cleared.ok()) (void)session.Query("ROLLBACK");
  return cleared;
}

absl::Status Sweep::DeleteMissed(TargetSession& session, const SweepStatements& statements,
                                 const std::string& digests) {
  for (bool more = true; more;) {
    PGDUET_ASSIGN_OR_RETURN(const size_t index,
                            session.pipeline().Add(statements.FindSql(), {digests}));
    PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, session.pipeline().Run());
    const PgResult& rows = results[index];
    more = rows.rows() == SweepStatements::kMissedMax;
    for (int row = 0; row < rows.rows(); ++row) {
      PGDUET_RETURN_IF_ERROR(DeleteOne(session, statements, statements.Parse(rows, row)));
    }
  }
  return session.pipeline().executed() > 0 ? session.pipeline().Run().status() : absl::OkStatus();
}

absl::Status Sweep::DeleteOne(TargetSession& session, const SweepStatements& statements,
                              MissedRow missed) {
  Version& version = missed.version;
  // The delete may have seen the row: what was not visible here yet may have been published.
  const TableKey key{statements.table()->oid, KeyHash(missed.key_text)};
  const bool covered = version.rank == identity_.rank
                           ? history_.LocalCovered(missed.xid, version.commit_time, missed.vector)
                           : history_.OriginCovered(version.rank, missed.xid, version.commit_time,
                                                    key, missed.vector);
  if (version.rank != identity_.rank)
    version.commit_time = history_.OriginTime(version.rank, missed.xid, version.commit_time, key);
  if (!covered && missed.deleted.rank == identity_.rank) {
    PGDUET_RETURN_IF_ERROR(QueueLocalConflict(session.pipeline(), statements.table(), missed));
  } else if (!covered) {
    PGDUET_RETURN_IF_ERROR(QueueMissedConflict(session.pipeline(), statements, missed));
  }
  const TargetTable& table = *statements.table();
  if (foreign_keys_.keys()->IsParent(table.oid)) {
    const KeyDelete gone{.key = {table.oid, KeyHash(missed.key_text)},
                         .key_text = missed.key_text,
                         .version = missed.deleted,
                         .incarnation = missed.incarnation};
    PGDUET_RETURN_IF_ERROR(QueueParentsGone(session.pipeline(), table.oid,
                                            {{.gone = gone, .columns = {}, .values = {}}}));
  }
  return session.pipeline().Add(statements.DeleteSql(), {missed.place, missed.part}).status();
}

// A local delete came over the marked tombstone of a remote one and kept the mark: in the log it is
// what the journal writes.
absl::Status Sweep::QueueLocalConflict(PgPipeline& pipeline,
                                       const std::shared_ptr<const TargetTable>& table,
                                       const MissedRow& missed) {
  return pipeline
      .Add(kLocalConflictSql,
           {table->schema, table->name, KeyDigest(missed.key_text), missed.json,
            identity_.NameOf(missed.version.rank), TimestampText(missed.version.commit_time),
            identity_.name(), TimestampText(missed.deleted.commit_time),
            missed.deleted.commit_lsn.ToString(), KeyNames(*table)})
      .status();
}

absl::Status Sweep::QueueMissedConflict(PgPipeline& pipeline, const SweepStatements& statements,
                                        const MissedRow& missed) {
  const std::shared_ptr<const TargetTable>& table = statements.table();
  const TableGroups groups{.relation = nullptr, .table = table, .groups = {}, .by_key = {}};
  KeyGroup group{.key_text = missed.key_text, .key_hash = KeyHash(missed.key_text), .steps = {}};
  const std::vector<std::string> key = KeyValues(missed.key_text);
  const std::vector<Value> row = RowOfKey(*table, key);
  group.steps.push_back(
      {.unit = 0,
       .kind = statements.truncated() ? ChangeKind::kTruncate : ChangeKind::kDelete,
       .row = {},
       .old_row = row,
       .old_row_kind = OldRow::kKey});
  ApplyUnit unit;
  unit.header.origin = identity_.NameOf(missed.deleted.rank);
  unit.header.rank = missed.deleted.rank;
  unit.header.commit_time = missed.deleted.commit_time;
  unit.header.commit_lsn = missed.deleted.commit_lsn;
  unit.header.incarnation = missed.incarnation;
  Version local = missed.version;
  if (local.rank == identity_.rank)
    local.commit_lsn = history_.LocalLsn(missed.xid, local.commit_time);
  ++counts_[missed.deleted.rank]
        .conflicts[{ConflictKind::kDeleteOriginDiffers, Decision::kApplyRemote}];
  return QueueConflict(pipeline, identity_,
                       {.table = &groups,
                        .group = &group,
                        .step = &group.steps.front(),
                        .unit = &unit,
                        .kind = ConflictKind::kDeleteOriginDiffers,
                        .decision = Decision::kApplyRemote,
                        .local_row = missed.json,
                        .local_deleted = false,
                        .local_version = local});
}

}  // namespace pgduet
