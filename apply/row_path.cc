#include "apply/row_path.h"

#include <algorithm>

#include <fmt/format.h>

#include "apply/row_writer.h"
#include "apply/set_parameters.h"
#include "apply/table_sql.h"
#include "apply/tombstone_table.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr char kReadTombstoneSql[] =
    "SELECT (extract(epoch FROM commit_time) * 1000000)::bigint, rank, incarnation, commit_lsn "
    "FROM pgduet.tombstone "
    "WHERE relation = $1::oid AND key_digest IN ($2::uuid, $3::uuid) "
    "ORDER BY commit_time DESC, rank DESC, commit_lsn DESC LIMIT 1";

Incarnation ParseIncarnation(std::string_view text) {
  return std::strtoull(std::string(text).c_str(), nullptr, 16);
}

}  // namespace

RowPath::RowPath(ApplyScope scope, const std::vector<ApplyUnit>& units, InsertedKeys& inserted,
                 ApplyCounts& counts)
    : scope_(scope), units_(units), inserted_(inserted), counts_(counts) {}

absl::StatusOr<std::vector<size_t>> RowPath::Apply(const TableGroups& table,
                                                   std::vector<size_t> groups, bool after_barrier) {
  std::vector<size_t> need_barrier;
  counts_.slow_rows += groups.size();
  // A row can appear between our look and our insert (another session's); then look again.
  for (int round = 0; !groups.empty(); ++round) {
    if (round > 20)
      return absl::AbortedError("rows keep appearing under the keys of this transaction");
    PGDUET_ASSIGN_OR_RETURN(std::vector<RowStanding> standings, Read(table, groups));
    RowWriter writer(scope_, units_, table, inserted_, counts_);
    for (size_t place = 0; place < groups.size(); ++place) {
      const KeyGroup& group = table.groups[groups[place]];
      const bool unexplained = standings[place].state.kind == LocalState::Kind::kNeverSeen &&
                               group.steps.front().kind != ChangeKind::kInsert;
      if (unexplained && !after_barrier) {
        need_barrier.push_back(groups[place]);
        continue;
      }
      RowOutcome outcome = Decide(table, group, standings[place]);
      if (outcome.applied && scope_.members != nullptr) {
        scope_.members->Wrote({table.table->oid, group.key_hash},
                              group.steps[outcome.last_applied].unit);
      }
      PGDUET_RETURN_IF_ERROR(writer.Write(groups[place], standings[place], std::move(outcome)));
    }
    PGDUET_ASSIGN_OR_RETURN(groups, writer.Finish());
  }
  return need_barrier;
}

absl::StatusOr<std::vector<RowStanding>> RowPath::Read(const TableGroups& table,
                                                       const std::vector<size_t>& groups) {
  const std::string whole_table = KeyDigest("");
  std::vector<bool> asked_tombstone(groups.size());
  // Pending deletes before tombstones: what is written and taken back from the pending ones in
  // between is seen by one of the two looks at least.
  std::vector<std::optional<PendingDelete>> pending;
  for (const size_t group : groups) {
    pending.push_back(
        scope_.registry.Pending({table.table->oid, table.groups[group].key_hash}, scope_.origin));
  }
  PGDUET_ASSIGN_OR_RETURN(const size_t read,
                          scope_.pipeline.Add(ReadRowsSql(*table.table), KeyArrays(table, groups),
                                              ArrayTypes(*table.table, table.table->keys)));
  for (size_t place = 0; place < groups.size(); ++place) {
    const KeyGroup& group = table.groups[groups[place]];
    asked_tombstone[place] = scope_.registry.MayHaveTombstone({table.table->oid, group.key_hash});
    if (!asked_tombstone[place]) continue;
    PGDUET_RETURN_IF_ERROR(
        scope_.pipeline
            .Add(kReadTombstoneSql,
                 {std::to_string(table.table->oid), KeyDigest(group.key_text), whole_table},
                 {25, 25, 25})
            .status());
  }
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, scope_.pipeline.Run());
  std::vector<RowStanding> standings(groups.size());
  for (size_t place = 0; place < groups.size(); ++place)
    standings[place].key = {table.table->oid, table.groups[groups[place]].key_hash};
  const PgResult& rows = results[read];
  for (int row = 0; row < rows.rows(); ++row) ParseRow(rows, row, standings[rows.Int(row, 0) - 1]);
  size_t at = read + 1;
  for (size_t place = 0; place < groups.size(); ++place) {
    const PgResult* tombstone = asked_tombstone[place] ? &results[at++] : nullptr;
    if (!standings[place].exists) ParseTombstone(tombstone, pending[place], standings[place]);
  }
  for (size_t place = 0; scope_.Crowded(*table.table) && place < groups.size(); ++place) {
    PGDUET_RETURN_IF_ERROR(ReadParkedRow(table, table.groups[groups[place]], standings[place]));
  }
  return standings;
}

void RowPath::ParseRow(const PgResult& rows, int row, RowStanding& standing) const {
  standing.exists = true;
  standing.state.kind = LocalState::Kind::kLive;
  standing.xid = static_cast<uint32_t>(rows.Int(row, 1));
  standing.own = rows.Bool(row, 4);
  standing.row_json = std::string(rows.Text(row, 5));
  Version& version = standing.state.version;
  if (rows.IsNull(row, 2)) return;  // not stamped: the oldest version
  version.commit_time = rows.Int(row, 2);
  version.rank = scope_.RankOf(static_cast<Oid>(rows.Int(row, 3)));
  // The origin's own rows are in its order, whatever the stamp of their batch says.
  standing.own |= version.rank == scope_.origin;
  if (version.rank == scope_.identity.rank) {
    version.commit_lsn = scope_.history.LocalLsn(standing.xid, version.commit_time);
  } else {
    version.commit_time =
        scope_.history.OriginTime(version.rank, standing.xid, version.commit_time, standing.key);
  }
}

void RowPath::ParseTombstone(const PgResult* result, const std::optional<PendingDelete>& pending,
                             RowStanding& standing) const {
  if (result != nullptr && result->rows() > 0) {
    standing.state.kind = LocalState::Kind::kDeleted;
    standing.state.version = {.commit_time = result->Int(0, 0),
                              .rank = static_cast<Rank>(result->Int(0, 1)),
                              .commit_lsn = Lsn::Parse(result->Text(0, 3)).value_or(Lsn())};
    standing.incarnation = ParseIncarnation(result->Text(0, 2));
  }
  // A delete whose tombstone is on its way: a local one, or another origin's.
  if (pending && (standing.state.kind == LocalState::Kind::kNeverSeen ||
                  standing.state.version < pending->version)) {
    standing.state.kind = LocalState::Kind::kDeleted;
    standing.state.version = pending->version;
    standing.incarnation = pending->incarnation;
  }
}

bool RowPath::Covered(const RowStanding& standing, const AppliedVector& vector) const {
  const Version& version = standing.state.version;
  if (standing.own || version.commit_time == kOldestTime || version.rank == scope_.origin)
    return true;
  if (standing.state.kind == LocalState::Kind::kDeleted) {
    return vector.Contains(version.rank, standing.incarnation, version.commit_lsn);
  }
  if (version.rank == scope_.identity.rank) {
    return scope_.history.LocalCovered(standing.xid, version.commit_time, vector);
  }
  return scope_.history.OriginCovered(version.rank, standing.xid, version.commit_time, standing.key,
                                      vector);
}

RowOutcome RowPath::Decide(const TableGroups& table, const KeyGroup& group,
                           const RowStanding& standing) {
  RowOutcome outcome;
  RowStanding now = standing;
  for (size_t index = 0; index < group.steps.size(); ++index) {
    const KeyStep& step = group.steps[index];
    const ApplyUnit& unit = units_[step.unit];
    // A tombstone that this very transaction wrote (a reload: TRUNCATE, then inserts) is like a row
    // that it wrote.
    now.own |= now.state.version == unit.version();
    now.state.covered = Covered(now, unit.vector);
    // A row of this transaction, or the oldest version, is below whatever comes.
    if (now.own || now.state.version.commit_time == kOldestTime) now.state.version = {};
    const Resolution resolution = LastWriteWins(step.kind, unit.version(), now.state);
    // A key whose insert is part of the batch may well be absent when its delete comes.
    const bool expected_absence = now.state.kind == LocalState::Kind::kNeverSeen && outcome.applied;
    if (resolution.conflict && !expected_absence) {
      outcome.conflicts.push_back(ConflictOf(table, group, step, resolution, now));
    }
    if (resolution.decision == Decision::kKeepLocal) continue;
    if (!outcome.applied) outcome.first_applied = index;
    outcome.applied = true;
    outcome.last_applied = index;
    outcome.lives = step.kind != ChangeKind::kDelete;
    now.own = true;
    now.state = {.kind = outcome.lives ? LocalState::Kind::kLive : LocalState::Kind::kDeleted,
                 .version = unit.version(),
                 .covered = true};
    now.row_json.reset();
  }
  return outcome;
}

ConflictEntry RowPath::ConflictOf(const TableGroups& table, const KeyGroup& group,
                                  const KeyStep& step, const Resolution& resolution,
                                  const RowStanding& standing) const {
  ConflictEntry entry{.table = &table,
                      .group = &group,
                      .step = &step,
                      .unit = &units_[step.unit],
                      .kind = *resolution.conflict,
                      .decision = resolution.decision};
  if (standing.exists) entry.local_row = standing.row_json;
  entry.local_deleted = standing.state.kind == LocalState::Kind::kDeleted;
  if (standing.state.kind != LocalState::Kind::kNeverSeen &&
      standing.state.version.commit_time != kOldestTime) {
    entry.local_version = standing.state.version;
  }
  return entry;
}

}  // namespace pgduet
