#include "resolve/last_write_wins.h"

namespace pgduet {
namespace {

ConflictKind KindAgainstRow(ChangeKind remote) {
  switch (remote) {
    case ChangeKind::kInsert:
      return ConflictKind::kInsertExists;
    case ChangeKind::kUpdate:
      return ConflictKind::kUpdateOriginDiffers;
    case ChangeKind::kDelete:
    case ChangeKind::kTruncate:
      return ConflictKind::kDeleteOriginDiffers;
  }
  return ConflictKind::kUpdateOriginDiffers;
}

bool IsDelete(ChangeKind remote) {
  return remote == ChangeKind::kDelete || remote == ChangeKind::kTruncate;
}

// Nothing is known under this key. An insert expects that; the others expected a row.
Resolution AgainstNothing(ChangeKind remote) {
  Resolution resolution{.decision = Decision::kApplyRemote};
  if (remote == ChangeKind::kUpdate) resolution.conflict = ConflictKind::kUpdateMissing;
  if (IsDelete(remote)) resolution.conflict = ConflictKind::kDeleteMissing;
  return resolution;
}

ConflictKind KindAgainst(ChangeKind remote, LocalState::Kind local) {
  if (local == LocalState::Kind::kLive) return KindAgainstRow(remote);
  return IsDelete(remote) ? ConflictKind::kDeleteMissing : ConflictKind::kUpdateDeleted;
}

}  // namespace

Resolution LastWriteWins(ChangeKind remote, const Version& remote_version,
                         const LocalState& local) {
  if (local.kind == LocalState::Kind::kNeverSeen) return AgainstNothing(remote);
  // The same write again: it is in effect already.
  if (remote_version == local.version) return {.decision = Decision::kKeepLocal};

  const bool remote_wins = remote_version > local.version;
  Resolution resolution{.decision = remote_wins ? Decision::kApplyRemote : Decision::kKeepLocal};
  if (local.covered) {
    resolution.clock_anomaly = !remote_wins;
  } else {
    resolution.conflict = KindAgainst(remote, local.kind);
  }
  return resolution;
}

}  // namespace pgduet
