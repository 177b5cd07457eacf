#include "apply/conflict_retention.h"

#include <algorithm>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(10);
constexpr absl::Duration kBusyInterval = absl::Seconds(1);
constexpr int64_t kAtOnce = 2'000;
constexpr int kCountShare = 1'000;  // of the time, at most one part is for counting

// Rows are large: the order of the index is the order of the removal, and no more than needed is
// read.
std::string RemoveSql(std::string_view condition, std::string_view order) {
  return fmt::format(
      "DELETE FROM pgduet.conflict WHERE id IN (SELECT id FROM pgduet.conflict WHERE {} ORDER BY "
      "{} LIMIT $1::bigint FOR UPDATE SKIP LOCKED)",
      condition, order);
}

}  // namespace

void ConflictRetention::Reset() { count_due_ = absl::InfinitePast(); }

absl::Status ConflictRetention::Step(PgConnection& connection, absl::Time now) {
  if (now < due_) return absl::OkStatus();
  due_ = now + kInterval;
  PGDUET_ASSIGN_OR_RETURN(const int64_t old, RemoveOld(connection));
  if (old > 0) metrics_.ConflictsRemoved("age", old);
  PGDUET_RETURN_IF_ERROR(Count(connection));
  PGDUET_ASSIGN_OR_RETURN(const int64_t excess, RemoveExcess(connection));
  if (excess > 0) metrics_.ConflictsRemoved("count", excess);
  if (old >= kAtOnce || excess >= kAtOnce) due_ = now + kBusyInterval;
  return Tell(connection);
}

absl::StatusOr<int64_t> ConflictRetention::RemoveOld(PgConnection& connection) {
  // The statement's time: with the clock's, which may differ for each row, the index is read whole.
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult removed,
      connection.Query(
          RemoveSql("logged_at < statement_timestamp() - make_interval(secs => $2::float8)",
                    "logged_at"),
          {std::to_string(kAtOnce), std::to_string(absl::ToInt64Seconds(limits_.keep))}));
  rows_ -= removed.affected();
  return removed.affected();
}

absl::StatusOr<int64_t> ConflictRetention::RemoveExcess(PgConnection& connection) {
  // Somebody may have deleted entries: nothing is removed on a guess.
  if (rows_ > limits_.max_rows) PGDUET_RETURN_IF_ERROR(CountAll(connection));
  int64_t excess = std::min(rows_ - limits_.max_rows, kAtOnce);
  int64_t removed = 0;
  for (const char* condition : {"(dismissed_at IS NOT NULL OR undone_at IS NOT NULL)", "true"}) {
    if (excess <= 0) break;
    PGDUET_ASSIGN_OR_RETURN(const PgResult gone,
                            connection.Query(RemoveSql(condition, "id"), {std::to_string(excess)}));
    removed += gone.affected();
    excess -= gone.affected();
  }
  rows_ -= removed;
  return removed;
}

// Counting a large table is work: how long it takes says how soon the next count is due. Meanwhile
// what is new is added.
absl::Status ConflictRetention::Count(PgConnection& connection) {
  if (absl::Now() >= count_due_) return CountAll(connection);
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult added,
      connection.Query("SELECT count(*), coalesce(max(id), $1::bigint) FROM pgduet.conflict WHERE "
                       "id > $1::bigint",
                       {std::to_string(counted_to_)}));
  rows_ += added.Int(0, 0);
  counted_to_ = added.Int(0, 1);
  return absl::OkStatus();
}

absl::Status ConflictRetention::CountAll(PgConnection& connection) {
  const absl::Time began = absl::Now();
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult all,
      connection.Query("SELECT count(*), coalesce(max(id), 0) FROM pgduet.conflict"));
  rows_ = all.Int(0, 0);
  counted_to_ = all.Int(0, 1);
  const absl::Time now = absl::Now();
  count_due_ = now + kCountShare * (now - began);
  return absl::OkStatus();
}

absl::Status ConflictRetention::Tell(PgConnection& connection) {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult size,
      connection.Query("SELECT pg_total_relation_size(typrelid) FROM pg_catalog.pg_type "
                       "WHERE oid = pg_typeof(NULL::pgduet.conflict)"));
  metrics_.ConflictLog(rows_, size.Int(0, 0));
  return absl::OkStatus();
}

}  // namespace pgduet
