#include "apply/lost_progress.h"

#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "apply/postgres_time.h"
#include "base/named_error.h"

namespace pgduet {

// The memory is read first: what it holds beyond the database then is lost, not just newer.
absl::Status SetBackLostProgress(PgConnection& connection, const RegionIdentity& identity,
                                 AppliedState& applied, CoverageHistory& history) {
  const AppliedVector remembered = applied.Vector();
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult rows,
      connection.Query(fmt::format("SELECT DISTINCT ON (origin_rank) origin_rank, incarnation, "
                                   "sequence, commit_lsn, {}, vector "
                                   "FROM pgduet.progress ORDER BY origin_rank, sequence DESC",
                                   MicrosecondsOf("commit_time"))));
  struct Stored {
    Position position;
    AppliedVector vector;
  };
  std::vector<Stored> stored(identity.regions.size());
  for (int row = 0; row < rows.rows(); ++row) {
    Stored& one = stored[static_cast<size_t>(rows.Int(row, 0))];
    one.position = {
        .incarnation = std::strtoull(std::string(rows.Text(row, 1)).c_str(), nullptr, 16),
        .sequence = static_cast<uint64_t>(rows.Int(row, 2)),
        .commit_lsn = Lsn::Parse(rows.Text(row, 3)).value_or(Lsn()),
        .commit_time = rows.Int(row, 4)};
    one.vector = DecodeVector(std::string(rows.Text(row, 5)));
  }
  for (Rank rank = 0; rank < stored.size(); ++rank) {
    if (rank == identity.rank || remembered.At(rank).sequence <= stored[rank].position.sequence)
      continue;
    applied.Reload(rank, stored[rank].position);
    applied.PeerSetBack(rank, stored[rank].vector);
    history.AppliedSetBack(rank, stored[rank].position);
    // What was journaled may be lost, too, and comes again.
    applied.OwnTimeReopened(identity.rank);
  }
  return absl::OkStatus();
}

}  // namespace pgduet
