#include "apply/durable_progress.h"

#include "base/named_error.h"

namespace pgduet {

absl::StatusOr<std::optional<DurableProgress::Place>> DurableProgress::Look(TargetSession& session,
                                                                            absl::Time now) {
  constexpr absl::Duration kInterval = absl::Milliseconds(100);
  if (unflushed_.empty() || now - looked_at_ < kInterval) return std::nullopt;
  looked_at_ = now;
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult wal,
      session.Query("SELECT pg_current_wal_insert_lsn(), pg_current_wal_flush_lsn()"));
  PGDUET_ASSIGN_OR_RETURN(const Lsn inserted, Lsn::Parse(wal.Text(0, 0)));
  PGDUET_ASSIGN_OR_RETURN(const Lsn flushed, Lsn::Parse(wal.Text(0, 1)));
  for (Unflushed& one : unflushed_) {
    if (!one.written.valid()) one.written = inserted;
  }
  std::optional<Place> durable;
  while (!unflushed_.empty() && unflushed_.front().written <= flushed) {
    durable = unflushed_.front().place;
    unflushed_.pop_front();
  }
  return durable;
}

}  // namespace pgduet
