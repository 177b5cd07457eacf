#include "apply/journal_place.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "apply/postgres_time.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

absl::StatusOr<AppliedVector> AppliedSoFar(TargetSession& session) {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult rows,
      session.Query(fmt::format(
          "SELECT DISTINCT ON (origin_rank) origin_rank, incarnation, sequence, commit_lsn, {} "
          "FROM pgduet.progress ORDER BY origin_rank, sequence DESC",
          MicrosecondsOf("commit_time"))));
  AppliedVector vector;
  for (int row = 0; row < rows.rows(); ++row) {
    PGDUET_ASSIGN_OR_RETURN(const Lsn lsn, Lsn::Parse(rows.Text(row, 3)));
    vector.Set(static_cast<Rank>(rows.Int(row, 0)),
               {.incarnation = std::strtoull(std::string(rows.Text(row, 1)).c_str(), nullptr, 16),
                .sequence = static_cast<uint64_t>(rows.Int(row, 2)),
                .commit_lsn = lsn,
                .commit_time = rows.Int(row, 4)});
  }
  return vector;
}

}  // namespace

absl::Status JournalPlace::Begin(TargetSession& session, Lsn lsn) {
  PGDUET_ASSIGN_OR_RETURN(const AppliedVector vector, AppliedSoFar(session));
  JournalPlace place;
  PGDUET_RETURN_IF_ERROR(place.Queue(session.pipeline(), lsn, -1, vector));
  return session.pipeline().Run().status();
}

absl::Status JournalPlace::Load(TargetSession& session, AppliedVector& vector) {
  *this = {};
  PGDUET_ASSIGN_OR_RETURN(const PgResult place,
                          session.Query("SELECT lsn, chunk, vector FROM pgduet.journal_place"));
  if (place.rows() == 0) {
    PGDUET_ASSIGN_OR_RETURN(vector, AppliedSoFar(session));
    return absl::OkStatus();
  }
  PGDUET_ASSIGN_OR_RETURN(lsn_, Lsn::Parse(place.Text(0, 0)));
  chunk_ = place.Int(0, 1);
  vector = DecodeVector(std::string(place.Text(0, 2)));
  durable_ = lsn_;
  return absl::OkStatus();
}

absl::Status JournalPlace::Queue(PgPipeline& pipeline, Lsn lsn, int64_t chunk,
                                 const AppliedVector& vector) {
  lsn_ = lsn;
  chunk_ = chunk;
  return pipeline
      .Add(
          "INSERT INTO pgduet.journal_place (lsn, chunk, vector) VALUES ($1::pg_lsn, $2::bigint, "
          "$3) ON CONFLICT (singleton) DO UPDATE SET lsn = excluded.lsn, chunk = excluded.chunk, "
          "vector = excluded.vector",
          {lsn.ToString(), std::to_string(chunk), EncodeVector(vector)})
      .status();
}

absl::Status JournalPlace::LookForDurable(TargetSession& session) {
  if (unflushed_.empty()) return absl::OkStatus();
  PGDUET_ASSIGN_OR_RETURN(const PgResult flushed,
                          session.Query("SELECT pg_current_wal_flush_lsn()"));
  PGDUET_ASSIGN_OR_RETURN(const Lsn through, Lsn::Parse(flushed.Text(0, 0)));
  while (!unflushed_.empty() && unflushed_.front().written <= through) {
    durable_ = std::max(durable_, unflushed_.front().place);
    unflushed_.pop_front();
  }
  return absl::OkStatus();
}

}  // namespace pgduet
