// PolicyChanger::Switch: the new set is put in force.
#include "agent/policy_changer.h"
#include "agent/policy_set.h"
#include "agent/policy_text.h"
#include "agent/table_policies.h"
#include "apply/journal_place.h"
#include "base/log.h"
#include "base/named_error.h"

namespace pgduet {

absl::Status PolicyChanger::Switch() {
  const auto move = [&]() -> absl::Status {
    PGDUET_RETURN_IF_ERROR(OpenSession());
    PGDUET_RETURN_IF_ERROR(session_->Query("BEGIN").status());
    PGDUET_RETURN_IF_ERROR(MoveTables());
    PGDUET_RETURN_IF_ERROR(
        session_
            ->Query("UPDATE pgduet.policy_change SET state = 'applied', reason = '', state_at = "
                    "clock_timestamp() WHERE id = $1::bigint",
                    {std::to_string(own_->id)})
            .status());
    PGDUET_RETURN_IF_ERROR(Commit());
    LogInfo("policy", "new set in force",
            {{"change", std::to_string(view_.change)}, {"hash", PolicyHashText(view_.to)}});
    metrics_.Applied();
    return OpenGate();
  };
  const absl::Status status = move();
  if (!status.ok()) session_.reset();
  return status;
}

// Everything that was written under the old policies is seen by everybody: a row is what it shows,
// and a deleted one is forgotten.
absl::Status PolicyChanger::MoveTables() {
  for (const char* table : {"row_state", "tombstone"}) {
    PGDUET_RETURN_IF_ERROR(
        session_
            ->Query(std::string("DELETE FROM pgduet.") + table + " WHERE relation = ANY($1::oid[])",
                    {target_->oids})
            .status());
  }
  PGDUET_ASSIGN_OR_RETURN(const PgResult wal,
                          session_->Query("SELECT pg_current_wal_insert_lsn()"));
  PGDUET_ASSIGN_OR_RETURN(const Lsn since, Lsn::Parse(wal.Text(0, 0)));
  // The journal of versions begins here; where it works already, it goes on from its own place.
  if (VersionedTables(current_).empty())
    PGDUET_RETURN_IF_ERROR(JournalPlace::Begin(*session_, since));
  ArrayLiteral changed;
  for (const TableConfig& table : target_->tables) {
    changed.Add(table.schema);
    changed.Add(table.name);
  }
  PGDUET_RETURN_IF_ERROR(
      session_
          ->Query("INSERT INTO pgduet.policy_set (change, policy_text, previous_text, changed, "
                  "since) VALUES ($1::bigint, $2, $3, $4::text[], $5::pg_lsn) ON CONFLICT "
                  "(singleton) DO UPDATE SET change = excluded.change, policy_text = "
                  "excluded.policy_text, previous_text = excluded.previous_text, changed = "
                  "excluded.changed, since = excluded.since, applied_at = clock_timestamp()",
                  {std::to_string(view_.change), own_->policy_text, CanonicalPolicyText(current_),
                   std::move(changed).Finish(), since.ToString()})
          .status());
  return session_
      ->Query("UPDATE pgduet.identity SET policy_text = $1, policy_settings = $2",
              {own_->policy_text, own_->policy_settings})
      .status();
}

}  // namespace pgduet
