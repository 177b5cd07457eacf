#include "apply/apply_transaction.h"

#include <algorithm>

#include <fmt/format.h>

#include "apply/policy_path.h"
#include "apply/postgres_time.h"
#include "apply/row_path.h"
#include "apply/set_path.h"
#include "apply/table_sql.h"
#include "apply/tombstone_table.h"
#include "apply/truncate_path.h"
#include "apply/visible_rows.h"
#include "base/named_error.h"
#include "capture/applied_marker.h"

namespace pgduet {
namespace {

constexpr char kProgressSql[] =
    "INSERT INTO pgduet.progress (origin_rank, incarnation, sequence, commit_lsn, commit_time, "
    "log_offset, vector, through_lsn, members) "
    "VALUES ($1::smallint, $2, $3::bigint, $4::pg_lsn, $5::timestamptz, $6::bigint, $7, "
    "$8::pg_lsn, $9::bytea) RETURNING xid::text";

}  // namespace

ApplyTransaction::ApplyTransaction(ApplyScope scope, DecoderBarrier& barrier, Grouping grouping,
                                   std::stop_token stop)
    : scope_(scope),
      barrier_(barrier),
      grouping_(grouping),
      stop_(std::move(stop)),
      gate_(scope.registry, scope.origin) {
  scope_.gate = &gate_;
  if (scope_.foreign_keys != nullptr) orphans_.emplace(scope_, scope_.foreign_keys->keys());
  if (scope_.parking == nullptr) return;
  scope_.hold = &hold_.emplace(*scope_.parking);
  scope_.unique = &unique_.emplace(scope_, counts_);
}

ApplyTransaction::~ApplyTransaction() { Rollback(); }

absl::Status ApplyTransaction::Begin(const RecordHeader& last, CommitTime stamp) {
  gate_.Begin();
  if (scope_.copies != nullptr) scope_.copies->Begin();
  open_ = true;
  counts_ = {};
  inserted_.Clear();
  const Position position{.incarnation = last.incarnation,
                          .sequence = last.sequence,
                          .commit_lsn = last.commit_lsn,
                          .commit_time = last.commit_time};
  // The marker must be the first thing of the transaction in the WAL.
  PGDUET_RETURN_IF_ERROR(scope_.pipeline.Add("BEGIN", {}).status());
  PGDUET_RETURN_IF_ERROR(
      scope_.pipeline
          .Add("SELECT pg_replication_origin_xact_setup($1::pg_lsn, $2::timestamptz), " +
                   MicrosecondsOf("clock_timestamp()") +
                   ", pg_snapshot_xmin(pg_current_snapshot())::text",
               {last.commit_lsn.ToString(), TimestampText(stamp)})
          .status());
  stamp_ = stamp;
  scope_.pipeline.Watch([this](const PgResult& answer) {
    clock_ = answer.Int(0, 1);
    if (scope_.clock != nullptr) scope_.clock->Answered(clock_, TargetClock::Steady::now());
    if (scope_.closing != nullptr)
      scope_.closing->Began(clock_, static_cast<FullXid>(answer.Int(0, 2)));
  });
  return QueueMessages(position);
}

// The marker, and the time that is closed by now if somebody waits for that.
absl::Status ApplyTransaction::QueueMessages(const Position& position) {
  std::string sql = "SELECT pg_logical_emit_message(true, $1, $2::text)";
  std::vector<PgParameter> parameters = {
      scope_.identity.messages.marker, EncodeMarker({.rank = scope_.origin, .position = position})};
  const std::optional<CommitTime> closed =
      scope_.closing == nullptr ? std::nullopt : scope_.closing->ToTell();
  if (closed) {
    sql += ", pg_logical_emit_message(true, $3, $4::text)";
    parameters.emplace_back(scope_.identity.messages.closed);
    parameters.emplace_back(EncodeClosedTime(*closed));
  }
  return scope_.pipeline.Add(sql, parameters).status();
}

absl::Status ApplyTransaction::Apply(const std::vector<ApplyUnit>& units,
                                     std::vector<Segment> segments) {
  return NoteCollision(ApplyUnits(units, std::move(segments)));
}

absl::Status ApplyTransaction::ApplyUnits(const std::vector<ApplyUnit>& units,
                                          std::vector<Segment> segments) {
  if (segments.empty() || grouping_ != Grouping::kByKey) {
    PGDUET_ASSIGN_OR_RETURN(segments, GroupChanges(units, scope_.catalog, grouping_));
  }
  const Grouping grouping = grouping_;
  PGDUET_RETURN_IF_ERROR(HoldTables(segments, units.size()));
  if (grouping_ != grouping) {
    PGDUET_ASSIGN_OR_RETURN(segments, GroupChanges(units, scope_.catalog, grouping_));
  }
  if (!scope_.identity.OnlyTwo() && units.size() > 1) ListMembers(segments, units);
  if (grouping_ == Grouping::kByKey || scope_.policies.empty())
    return ApplySegments(std::move(segments), units);
  // Tables that keep versions take a transaction's changes of a row as one, whatever the grouping.
  for (Segment& segment : segments) (void)TakePolicyTables(segment);
  PGDUET_RETURN_IF_ERROR(ApplySegments(std::move(segments), units));
  PGDUET_ASSIGN_OR_RETURN(segments, GroupChanges(units, scope_.catalog, Grouping::kByKey));
  for (Segment& segment : segments) {
    if (segment.incomplete_move) PGDUET_RETURN_IF_ERROR(CompleteMove(segment));
    PGDUET_RETURN_IF_ERROR(ApplyPolicyTables(TakePolicyTables(segment), units));
  }
  return absl::OkStatus();
}

absl::Status ApplyTransaction::ApplySegments(std::vector<Segment> segments,
                                             const std::vector<ApplyUnit>& units) {
  for (Segment& segment : segments) {
    if (segment.incomplete_move && !segment.tables.empty())
      PGDUET_RETURN_IF_ERROR(CompleteMove(segment));
  }
  std::vector<std::vector<TableGroups>> with_policy;
  for (Segment& segment : segments) with_policy.push_back(TakePolicyTables(segment));
  if (!scope_.identity.OnlyTwo()) RegisterDeletes(segments, units);
  for (size_t place = 0; place < segments.size(); ++place) {
    const Segment& segment = segments[place];
    for (const TableGroups& table : segment.tables)
      touched_[table.table->oid] = {table.relation, table.table};
    if (orphans_) PGDUET_RETURN_IF_ERROR(orphans_->Note(segment, units));
    PGDUET_RETURN_IF_ERROR(ApplySegment(segment, units));
    PGDUET_RETURN_IF_ERROR(ApplyPolicyTables(with_policy[place], units));
    if (!segment.truncation) continue;
    const Truncation& truncation = *segment.truncation;
    PGDUET_RETURN_IF_ERROR(RefuseTruncate(truncation));
    PGDUET_RETURN_IF_ERROR(ApplyTruncate(scope_, truncation.table, truncation.relation,
                                         units[truncation.unit], counts_));
  }
  return absl::OkStatus();
}

void ApplyTransaction::ListMembers(const std::vector<Segment>& segments,
                                   const std::vector<ApplyUnit>& units) {
  members_ = std::make_shared<BatchMembers>();
  scope_.members = members_.get();
  for (const ApplyUnit& unit : units)
    members_->AddTransaction({unit.header.commit_lsn, unit.header.commit_time});
  for (const Segment& segment : segments) {
    for (const TableGroups& table : segment.tables) {
      for (const KeyGroup& group : table.groups)
        members_->Wrote({table.table->oid, group.key_hash}, group.steps.back().unit);
    }
  }
}

std::vector<TableGroups> ApplyTransaction::TakePolicyTables(Segment& segment) const {
  std::vector<TableGroups> taken;
  if (scope_.policies.empty()) return taken;
  std::vector<TableGroups> others;
  for (TableGroups& table : segment.tables) {
    const bool has = scope_.policies.Find(table.table->schema, table.table->name) != nullptr;
    (has ? taken : others).push_back(std::move(table));
  }
  segment.tables = std::move(others);
  return taken;
}

absl::Status ApplyTransaction::ApplyPolicyTables(const std::vector<TableGroups>& tables,
                                                 const std::vector<ApplyUnit>& units) {
  if (tables.empty()) return absl::OkStatus();
  // BEGIN and the marker come before the first look at a row.
  if (scope_.pipeline.executed() > 0) PGDUET_RETURN_IF_ERROR(scope_.pipeline.Run().status());
  PolicyPath path(scope_, barrier_, grouping_ == Grouping::kOneByOne, stop_, counts_);
  for (const TableGroups& table : tables) {
    const TablePolicy& policy = *scope_.policies.Find(table.table->schema, table.table->name);
    const absl::Status status = path.Apply(table, policy, units);
    if (!status.ok()) return WithContext(status, "apply: table=" + table.table->quoted);
  }
  return absl::OkStatus();
}

// Which of its rows a truncate had seen, and what was in them, is not in the record: versions that
// stand side by side could not be decided in the same way everywhere.
absl::Status ApplyTransaction::RefuseTruncate(const Truncation& truncation) const {
  const TablePolicy* policy =
      scope_.policies.Find(truncation.table->schema, truncation.table->name);
  if (policy == nullptr) return absl::OkStatus();
  return NamedError(
      absl::StatusCode::kFailedPrecondition, "truncate_refused",
      fmt::format("TRUNCATE of a table whose policy keeps versions: table={} policy={}",
                  truncation.table->quoted, PolicyName(policy->kind)),
      "Rows of this table have to be deleted by DELETE. See docs/operations/errors.md for the way "
      "out.");
}

// Another origin's transaction may have brought one of these keys to life and not committed yet;
// one of us must see the other.
void ApplyTransaction::RegisterDeletes(const std::vector<Segment>& segments,
                                       const std::vector<ApplyUnit>& units) {
  std::vector<KeyDelete> deletes;
  for (const Segment& segment : segments) {
    for (const TableGroups& table : segment.tables) {
      for (const KeyGroup& group : table.groups) {
        if (group.steps.back().kind != ChangeKind::kDelete) continue;
        deletes.push_back(DeleteOf(units[group.steps.back().unit], *table.table, group));
      }
    }
    if (!segment.truncation) continue;
    deletes.push_back(TruncateOf(units[segment.truncation->unit], *segment.truncation->table));
  }
  if (!deletes.empty()) gate_.RegisterDeletes(std::move(deletes));
}

absl::Status ApplyTransaction::CompleteMove(Segment& segment) {
  const TableGroups& table = segment.tables.front();
  KeyStep& come = segment.tables.front().groups[1].steps.front();
  segment.completed.assign(come.row.begin(), come.row.end());
  std::vector<int> missing;
  for (int column = 0; column < static_cast<int>(table.table->columns.size()); ++column) {
    if (come.row[table.table->source_index[column]].kind == ValueKind::kUnchanged)
      missing.push_back(column);
  }
  if (missing.empty()) return absl::OkStatus();
  const std::vector<PgParameter> key = KeyParametersOf(table.groups[0].key_text);
  PGDUET_ASSIGN_OR_RETURN(const size_t asked,
                          scope_.pipeline.Add(ReadColumnsSql(*table.table, missing), key,
                                              ScalarTypes(*table.table, table.table->keys)));
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, scope_.pipeline.Run());
  const PgResult& row = results[asked];
  for (size_t place = 0; row.rows() == 1 && place < missing.size(); ++place) {
    Value& value = segment.completed[table.table->source_index[missing[place]]];
    const int at = static_cast<int>(place);
    value = row.IsNull(0, at)
                ? Value{}
                : Value{ValueKind::kText, segment.texts.emplace_back(row.Text(0, at))};
  }
  come.row = segment.completed;
  return absl::OkStatus();
}

// The server does not say of which table the value was that it refused.
absl::Status ApplyTransaction::ApplySegment(const Segment& segment,
                                            const std::vector<ApplyUnit>& units) {
  absl::Status status = DecideSegment(segment, units);
  if (!SqlState(status).starts_with("22")) return status;
  std::string names;
  for (const TableGroups& table : segment.tables)
    names += (names.empty() ? "" : ", ") + table.table->quoted;
  return WithContext(status, "apply: table=" + names);
}

absl::Status ApplyTransaction::DecideSegment(const Segment& segment,
                                             const std::vector<ApplyUnit>& units) {
  std::vector<std::vector<size_t>> left(segment.tables.size());
  if (grouping_ == Grouping::kByKey) {
    SetPath set_path(scope_, units, units.front().vector, inserted_, counts_);
    PGDUET_RETURN_IF_ERROR(set_path.Queue(segment));
    PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results,
                            scope_.pipeline.Run(scope_.meanwhile));
    PGDUET_RETURN_IF_ERROR(set_path.Copy(segment));
    PGDUET_ASSIGN_OR_RETURN(left, set_path.Collect(segment, results));
  } else {
    if (scope_.pipeline.executed() > 0) PGDUET_RETURN_IF_ERROR(scope_.pipeline.Run().status());
    for (size_t table = 0; table < left.size(); ++table) {
      for (size_t group = 0; group < segment.tables[table].groups.size(); ++group)
        left[table].push_back(group);
    }
  }
  for (size_t table = 0; table < left.size(); ++table) {
    PGDUET_RETURN_IF_ERROR(ApplyByRow(segment.tables[table], std::move(left[table]), units));
  }
  return absl::OkStatus();
}

absl::Status ApplyTransaction::ApplyByRow(const TableGroups& table, std::vector<size_t> groups,
                                          const std::vector<ApplyUnit>& units) {
  if (groups.empty()) return absl::OkStatus();
  if (orphans_) PGDUET_RETURN_IF_ERROR(orphans_->NoteDecided(table, groups));
  RowPath row_path(scope_, units, inserted_, counts_);
  PGDUET_ASSIGN_OR_RETURN(std::vector<size_t> unexplained,
                          row_path.Apply(table, std::move(groups), false));
  if (unexplained.empty()) return absl::OkStatus();
  // Neither row nor tombstone: perhaps a local delete that capture has not reached yet.
  PGDUET_RETURN_IF_ERROR(AwaitHoldingLocks(barrier_, scope_.decoder_patience, stop_));
  return row_path.Apply(table, std::move(unexplained), true).status();
}

absl::Status ApplyTransaction::Commit(const RecordHeader& last, int64_t log_offset,
                                      const AppliedVector& vector) {
  const absl::Status status = NoteCollision(CommitAll(last, log_offset, vector));
  if (status.ok()) ReleaseTables();
  return status;
}

absl::Status ApplyTransaction::CommitAll(const RecordHeader& last, int64_t log_offset,
                                         const AppliedVector& vector) {
  // A chunk without row changes leaves BEGIN and marker queued.
  if (scope_.pipeline.executed() > 0) PGDUET_RETURN_IF_ERROR(scope_.pipeline.Run().status());
  // What somebody writes here after having seen this must be later: without a look at it the clock
  // was only believed to be past.
  if (clock_ <= stamp_) {
    return NamedError(absl::StatusCode::kAborted, "clock_behind",
                      "the database's clock has not passed the transaction's commit time");
  }
  PGDUET_RETURN_IF_ERROR(FinishUnique());
  if (orphans_) {
    PGDUET_RETURN_IF_ERROR(orphans_->Finish());
    if (scope_.pipeline.executed() > 0) PGDUET_RETURN_IF_ERROR(scope_.pipeline.Run().status());
  }
  const auto concerns = [&](const std::vector<KeyDelete>& deletes) {
    return inserted_.Among(deletes);
  };
  for (auto late = gate_.EnterCommit(concerns); !late.empty(); late = gate_.EnterCommit(concerns)) {
    // One that the origin had seen is in the order that it gave: a crash made the journal tell of
    // it a second time.
    std::erase_if(late, [&](const KeyDelete& one) {
      return vector.Contains(one.version.rank, one.incarnation, one.version.commit_lsn);
    });
    PGDUET_RETURN_IF_ERROR(DecideLateDeletes(late, last));
  }
  if (members_ != nullptr) members_->Finish();
  PGDUET_RETURN_IF_ERROR(
      scope_.pipeline
          .Add(kProgressSql,
               {std::to_string(scope_.origin), IncarnationToString(last.incarnation),
                std::to_string(last.sequence), last.commit_lsn.ToString(),
                TimestampText(last.commit_time), std::to_string(log_offset), EncodeVector(vector),
                last.through_lsn.ToString(),
                members_ == nullptr ? PgParameter::Null() : PgParameter(members_->Encode())})
          .status());
  PGDUET_RETURN_IF_ERROR(scope_.pipeline.Add("COMMIT", {}).status());
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, scope_.pipeline.Run());
  open_ = false;
  if (scope_.copies != nullptr) scope_.copies->Committed();
  const Position position{.incarnation = last.incarnation,
                          .sequence = last.sequence,
                          .commit_lsn = last.commit_lsn,
                          .commit_time = last.commit_time};
  const auto xid = static_cast<FullXid>(results.front().Int(0, 0));
  scope_.history.Applied(scope_.origin, xid, position, members_);
  if (scope_.closing != nullptr) scope_.closing->Committed(xid);
  gate_.Leave();
  return absl::OkStatus();
}

void ApplyTransaction::Rollback() {
  if (open_) {
    open_ = false;
    // The pipeline may hold statements that were never sent; they end with the transaction.
    if (scope_.pipeline.executed() > 0) (void)scope_.pipeline.Run();
    if (scope_.pipeline.Add("ROLLBACK", {}).ok()) (void)scope_.pipeline.Run();
  }
  gate_.Leave();
  if (hold_) hold_->Release();
  if (unique_) unique_->Clear();
  if (orphans_) orphans_->Clear();
}

}  // namespace pgduet
