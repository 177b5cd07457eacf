#include "apply/policy_path.h"

#include <algorithm>
#include <utility>

#include "apply/custom_function.h"
#include "apply/row_writes.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

// How many rows share their round trips, and are in memory at a time.
constexpr size_t kSlice = 500;

// A whole row of this key that one of the writes has seen or made: valid where it was.
std::optional<RowImage> ClaimOf(const std::vector<RowWrite>& writes) {
  const auto whole = [](const RowImage& row) {
    return !row.empty() &&
           std::all_of(row.begin(), row.end(), [](const Cell& cell) { return cell.known(); });
  };
  for (const RowWrite& write : writes) {
    if (whole(write.new_row)) return write.new_row;
    if (whole(write.old_row)) return write.old_row;
  }
  return std::nullopt;
}

template <typename Rows>
std::vector<std::string> KeysOf(const Rows& rows) {
  std::vector<std::string> keys;
  for (const auto& row : rows) keys.push_back(row.group->key_text);
  return keys;
}

}  // namespace

PolicyPath::PolicyPath(ApplyScope scope, DecoderBarrier& barrier, bool careful,
                       std::stop_token stop, ApplyCounts& counts)
    : scope_(scope),
      barrier_(barrier),
      careful_(careful),
      stop_(std::move(stop)),
      counts_(counts),
      stable_(scope.applied.StableVector(scope.identity.rank)) {}

absl::Status PolicyPath::Apply(const TableGroups& table, const TablePolicy& policy,
                               const std::vector<ApplyUnit>& units) {
  const RowEngine engine(ShapeOf(*table.table, policy));
  counts_.slow_rows += table.groups.size();
  for (size_t begin = 0; begin < table.groups.size(); begin += kSlice) {
    std::vector<Row> rows;
    for (size_t at = begin; at < std::min(begin + kSlice, table.groups.size()); ++at) {
      const KeyGroup& group = table.groups[at];
      rows.push_back({.group = &group, .writes = WritesOf(*table.table, group, units)});
    }
    PGDUET_RETURN_IF_ERROR(ApplySlice(table, engine, std::move(rows)));
  }
  return absl::OkStatus();
}

absl::Status PolicyPath::ApplySlice(const TableGroups& table, const RowEngine& engine,
                                    std::vector<Row> rows) {
  PGDUET_RETURN_IF_ERROR(ReadRows(table, rows));
  PGDUET_RETURN_IF_ERROR(Explain(rows));
  PGDUET_RETURN_IF_ERROR(LockKnown(table, engine, rows));
  PGDUET_RETURN_IF_ERROR(ReadAgain(table, rows));
  for (Row& row : rows) PGDUET_RETURN_IF_ERROR(Decide(table, engine, row));
  // A function that was asked has run what was queued before: rows are written after all of them.
  must_touch_.clear();
  for (Row& row : rows) PGDUET_RETURN_IF_ERROR(Show(table, engine, row));
  std::vector<KnownRow> known;
  for (Row& row : rows) {
    row.known.row_stands = row.visible.has_value();
    known.push_back(std::move(row.known));
  }
  PGDUET_RETURN_IF_ERROR(QueueRowStates(scope_.pipeline, table.table->oid, engine, known,
                                        scope_.identity.regions.size()));
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, scope_.pipeline.Run());
  for (const size_t result : must_touch_) {
    // A local insert came in between; what it is, capture will say.
    if (results[result].affected() == 0) return DecoderBehind();
  }
  return absl::OkStatus();
}

absl::Status PolicyPath::ReadRows(const TableGroups& table, std::vector<Row>& rows) {
  PGDUET_ASSIGN_OR_RETURN(std::vector<VisibleRow> stands,
                          ReadVisibleRows(scope_.pipeline, *table.table, KeysOf(rows)));
  for (size_t place = 0; place < rows.size(); ++place)
    rows[place].stands = std::move(stands[place]);
  return Claim(table, rows);
}

absl::Status PolicyPath::Claim(const TableGroups& table, std::vector<Row>& rows) {
  std::vector<std::pair<Row*, size_t>> claims;
  for (Row& row : rows) {
    if (row.stands.row) continue;
    row.claim = ClaimOf(row.writes);
    if (!row.claim) continue;
    PGDUET_ASSIGN_OR_RETURN(const std::optional<size_t> put,
                            QueueVisibleRow(scope_.pipeline, *table.table, row.group->key_text,
                                            std::nullopt, row.claim));
    claims.emplace_back(&row, *put);
  }
  if (claims.empty()) return absl::OkStatus();
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, scope_.pipeline.Run());
  for (const auto& [row, put] : claims) {
    if (results[put].affected() > 0) continue;
    // Somebody's insert was first.
    row->claim.reset();
    PGDUET_ASSIGN_OR_RETURN(std::vector<VisibleRow> stands,
                            ReadVisibleRows(scope_.pipeline, *table.table, {row->group->key_text}));
    row->stands = std::move(stands.front());
    waits_ = true;
  }
  return absl::OkStatus();
}

// The row's last writer is a local transaction that the journal may not know yet.
bool PolicyPath::Unexplained(const VisibleRow& row) const {
  if (!row.row || row.own || row.time == kOldestTime) return false;
  if (scope_.RankOf(row.roident) != scope_.identity.rank) return false;
  return !scope_.history.LocalDecoded(row.xid, row.time, barrier_.Decoded());
}

absl::Status PolicyPath::Explain(const std::vector<Row>& rows) {
  const bool explained =
      !std::exchange(waits_, false) && std::none_of(rows.begin(), rows.end(), [&](const Row& row) {
        return !row.stands.row || Unexplained(row.stands);
      });
  if (explained) return absl::OkStatus();
  return AwaitHoldingLocks(barrier_, scope_.decoder_patience, stop_);
}

absl::Status PolicyPath::LockKnown(const TableGroups& table, const RowEngine& engine,
                                   std::vector<Row>& rows) {
  PGDUET_ASSIGN_OR_RETURN(
      std::vector<KnownRow> known,
      LockRowStates(scope_.pipeline, table.table->oid, engine.shape(), KeysOf(rows)));
  for (size_t place = 0; place < rows.size(); ++place) rows[place].known = std::move(known[place]);
  return absl::OkStatus();
}

// Where there was no row there was nothing to lock: another stream may have brought one since.
absl::Status PolicyPath::ReadAgain(const TableGroups& table, std::vector<Row>& rows) {
  std::vector<Row*> missing;
  for (Row& row : rows) {
    if (!row.stands.row && !row.claim) missing.push_back(&row);
  }
  if (missing.empty()) return absl::OkStatus();
  std::vector<std::string> keys;
  for (const Row* row : missing) keys.push_back(row->group->key_text);
  PGDUET_ASSIGN_OR_RETURN(std::vector<VisibleRow> stands,
                          ReadVisibleRows(scope_.pipeline, *table.table, keys));
  for (size_t place = 0; place < missing.size(); ++place) {
    missing[place]->stands = std::move(stands[place]);
    if (Unexplained(missing[place]->stands)) return DecoderBehind();
  }
  return absl::OkStatus();
}

void PolicyPath::Count(ChangeKind kind) {
  uint64_t& counter = kind == ChangeKind::kInsert   ? counts_.inserts
                      : kind == ChangeKind::kUpdate ? counts_.updates
                                                    : counts_.deletes;
  ++counter;
}

absl::Status PolicyPath::Decide(const TableGroups& table, const RowEngine& engine, Row& row) {
  row.visible = row.stands.row;
  for (const RowWrite& write : row.writes) {
    Count(write.kind);
    const std::optional<RowImage> stood = row.visible;
    const bool nothing_known = !stood && row.known.state.members.empty();
    Outcome outcome = engine.Take(write, stable_, row.known.state, row.visible);
    if (outcome.shown == Shown::kFunction) {
      PGDUET_RETURN_IF_ERROR(AskFunction(scope_.pipeline, *table.table, engine, row.known.state,
                                         scope_.identity, row.visible));
      outcome.shown = RowEngine::WhatShows(write, stood, row.visible);
    }
    if (outcome.overflow) {
      ++counts_.out_of_range;
      counts_.out_of_range_table = table.table->quoted;
    }
    row.merged = engine.shape().policy.kind == PolicyKind::kMerge &&
                 (outcome.concurrent || outcome.shown == Shown::kMerged);
    const bool missing = nothing_known && write.kind != ChangeKind::kInsert;
    if (outcome.concurrent || missing)
      PGDUET_RETURN_IF_ERROR(QueueLog(table, engine, row, write, outcome, stood));
  }
  return absl::OkStatus();
}

absl::Status PolicyPath::QueueLog(const TableGroups& table, const RowEngine& engine, const Row& row,
                                  const RowWrite& write, const Outcome& outcome,
                                  const std::optional<RowImage>& stood) {
  const bool deletes = write.kind == ChangeKind::kDelete;
  PolicyConflict conflict{
      .table = table.table.get(),
      .key_text = row.group->key_text,
      .policy = engine.shape().policy.kind,
      .kind = deletes ? ConflictKind::kDeleteMissing : ConflictKind::kUpdateMissing,
      .decision = DecisionOf(outcome.shown),
      .remote = {.dot = write.dot,
                 .deleted = deletes,
                 .row = deletes ? write.old_row : write.new_row},
      .remote_operation = write.kind,
      .remote_sequence = 0,
      .local = outcome.other};
  if (outcome.concurrent) conflict.kind = KindOfMeeting(write.kind, outcome.other->deleted);
  if (conflict.local && !conflict.local->row && !conflict.local->deleted)
    conflict.local->row = stood;
  ++counts_.conflicts[{conflict.kind, conflict.decision}];
  return QueuePolicyConflict(scope_.pipeline, scope_.identity, conflict);
}

absl::Status PolicyPath::Show(const TableGroups& table, const RowEngine& engine, Row& row) {
  const std::optional<RowImage>& placed = row.claim ? row.claim : row.stands.row;
  if (row.visible == placed) return absl::OkStatus();
  if (careful_ && row.merged && row.visible) {
    PGDUET_ASSIGN_OR_RETURN(const bool refused, RefusedByCheck(*table.table, row));
    if (!refused) return absl::OkStatus();
    engine.ShowNewest(row.known.state, row.visible);
  }
  PGDUET_ASSIGN_OR_RETURN(
      const std::optional<size_t> must_touch,
      QueueVisibleRow(scope_.pipeline, *table.table, row.group->key_text, placed, row.visible));
  if (must_touch) must_touch_.push_back(*must_touch);
  return absl::OkStatus();
}

// Writes the row, unless a CHECK refuses it. Alone behind a savepoint: what was queued before runs
// first.
absl::StatusOr<bool> PolicyPath::RefusedByCheck(const TargetTable& table, const Row& row) {
  PgPipeline& pipeline = scope_.pipeline;
  PGDUET_RETURN_IF_ERROR(pipeline.Add("SAVEPOINT pgduet_merge", {}).status());
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> before, pipeline.Run());
  for (const size_t result : std::exchange(must_touch_, {})) {
    if (before[result].affected() == 0) return DecoderBehind();
  }
  PGDUET_ASSIGN_OR_RETURN(const std::optional<size_t> must_touch,
                          QueueVisibleRow(pipeline, table, row.group->key_text,
                                          row.claim ? row.claim : row.stands.row, row.visible));
  const absl::StatusOr<std::vector<PgResult>> written = pipeline.Run();
  if (!written.ok()) {
    if (SqlState(written.status()) != "23514") return written.status();
    PGDUET_RETURN_IF_ERROR(pipeline.Add("ROLLBACK TO SAVEPOINT pgduet_merge", {}).status());
    PGDUET_RETURN_IF_ERROR(pipeline.Run().status());
    return true;
  }
  if (must_touch && (*written)[*must_touch].affected() == 0) return DecoderBehind();
  return false;
}

}  // namespace pgduet
