#include "apply/policy_notices.h"

#include "base/named_error.h"

namespace pgduet {

absl::Status StoreNotice(TargetSession& session, Rank origin, const PolicyNotice& notice) {
  // A region that has withdrawn proposes nothing.
  const bool withdrawn = notice.kind == PolicyNoticeKind::kWithdraw;
  const PolicyNoticeKind kind = withdrawn ? PolicyNoticeKind::kPropose : notice.kind;
  return session
      .Query(
          "INSERT INTO pgduet.policy_notice AS n (rank, kind, change, from_hash, to_hash, clock) "
          "VALUES ($1::smallint, $2, $3::bigint, $4, $5, $6::bigint) ON CONFLICT (rank, kind) DO "
          "UPDATE SET change = excluded.change, from_hash = excluded.from_hash, to_hash = "
          "excluded.to_hash, clock = excluded.clock, heard_at = clock_timestamp() WHERE "
          "excluded.change > n.change OR (excluded.change = n.change AND n.kind = 'propose')",
          {std::to_string(origin), std::string(PolicyNoticeName(kind)),
           std::to_string(notice.change), PolicyHashText(notice.from),
           PolicyHashText(withdrawn ? 0 : notice.to), std::to_string(notice.clock)})
      .status();
}

absl::StatusOr<bool> ChangeEnded(TargetSession& session, uint64_t change) {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult row,
      session.Query("SELECT EXISTS (SELECT FROM pgduet.policy_change WHERE state = 'applied' AND "
                    "change >= $1::bigint) OR EXISTS (SELECT FROM pgduet.policy_notice WHERE kind "
                    "= 'abort' AND change >= $1::bigint)",
                    {std::to_string(change)}));
  return row.Bool(0, 0);
}

}  // namespace pgduet
