#include "agent/commands/conflicts_decide.h"

#include <algorithm>

#include <fmt/format.h>

#include "resolve/last_write_wins.h"

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
  if (rule.policy == "last_write_wins")
    return LastWriteWins(conflict.remote_operation, *remote, local).decision;
  return absl::UnimplementedError(fmt::format("policy {} is not in this version", rule.policy));
}

ChangeKind OperationOf(const std::string& name) {
  if (name == "insert") return ChangeKind::kInsert;
  if (name == "delete") return ChangeKind::kDelete;
  if (name == "truncate") return ChangeKind::kTruncate;
  return ChangeKind::kUpdate;
}

}  // namespace pgduet
