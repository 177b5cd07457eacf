#include "agent/commands/conflicts_decide.h"

#include <algorithm>

#include <fmt/format.h>

#include "resolve/last_write_wins.h"
#include "resolve/row_engine.h"

namespace pgduet {
namespace {

absl::StatusOr<Version> RankedVersion(const PolicyRule& rule, const LoggedSide& side) {
  const auto at = std::find(rule.regions.begin(), rule.regions.end(), side.region);
  if (at == rule.regions.end())
    return absl::NotFoundError(fmt::format("it has no region {}", side.region));
  Version version = side.version;
  version.rank = static_cast<Rank>(at - rule.regions.begin());
  return version;
}

Member MemberOf(const Version& version, bool deleted) {
  return {.dot = {.rank = version.rank,
                  .incarnation = 0,
                  .lsn = version.commit_lsn,
                  .time = version.commit_time},
          .deleted = deleted,
          .row = std::nullopt};
}

// The two as the set of versions of a row.
absl::StatusOr<Decision> DecideAmongVersions(const TablePolicy& policy,
                                             const LoggedConflict& conflict, const Version& remote,
                                             const LocalState& local) {
  const bool remote_deletes = conflict.remote_operation == ChangeKind::kDelete ||
                              conflict.remote_operation == ChangeKind::kTruncate;
  const bool both_live = !remote_deletes && !conflict.local_deleted;
  if (policy.kind == PolicyKind::kMerge && both_live) return Decision::kMerge;
  if (policy.kind == PolicyKind::kCustom && both_live)
    return absl::UnimplementedError("its function would say: 'pgduet policy test' asks it");
  RowState state;
  state.members = {MemberOf(remote, remote_deletes),
                   MemberOf(local.version, conflict.local_deleted)};
  const RowEngine engine({.policy = policy, .columns = {}});
  return &engine.Pick(state) == &state.members.front() ? Decision::kApplyRemote
                                                       : Decision::kKeepLocal;
}

}  // namespace

absl::StatusOr<Decision> DecideAgain(const PolicyRule& rule, const LoggedConflict& conflict) {
  const absl::StatusOr<Version> remote = RankedVersion(rule, conflict.remote);
  if (!remote.ok()) return remote.status();
  LocalState local;
  if (conflict.local_row) local.kind = LocalState::Kind::kLive;
  if (conflict.local_deleted) local.kind = LocalState::Kind::kDeleted;
  if (conflict.local) {
    const absl::StatusOr<Version> version = RankedVersion(rule, *conflict.local);
    if (!version.ok()) return version.status();
    local.version = *version;
  }
  if (!rule.policy.KeepsVersions() || !conflict.local)
    return LastWriteWins(conflict.remote_operation, *remote, local).decision;
  return DecideAmongVersions(rule.policy, conflict, *remote, local);
}

ChangeKind OperationOf(const std::string& name) {
  if (name == "insert") return ChangeKind::kInsert;
  if (name == "delete") return ChangeKind::kDelete;
  if (name == "truncate") return ChangeKind::kTruncate;
  return ChangeKind::kUpdate;
}

}  // namespace pgduet
