#include "apply/conflict_retention.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(10);
constexpr absl::Duration kBusyInterval = absl::Seconds(1);
constexpr int64_t kAtOnce = 2'000;

// Rows are large: the order of the index is the order of the removal, and no more than needed is
// read.
std::string RemoveSql(std::string_view condition, std::string_view order) {
  return fmt::format(
      "DELETE FROM pgduet.conflict WHERE id IN (SELECT id FROM pgduet.conflict WHERE {} ORDER BY "
      "{} LIMIT $1::bigint FOR UPDATE SKIP LOCKED)",
      condition, order);
}

}  // namespace

void ConflictRetention::Reset() { counted_range_.clear(); }

absl::Status ConflictRetention::Step(PgConnection& connection, absl::Time now) {
  if (now < due_) return absl::OkStatus();
  due_ = now + kInterval;
  PGDUET_ASSIGN_OR_RETURN(const int64_t old, RemoveOld(connection));
  if (old > 0) {
    metrics_.ConflictsRemoved("age", old);
    counted_range_.clear();
  }
  PGDUET_RETURN_IF_ERROR(Count(connection));
  PGDUET_ASSIGN_OR_RETURN(const int64_t excess, RemoveExcess(connection));
  if (excess > 0) metrics_.ConflictsRemoved("count", excess);
  if (old >= kAtOnce || excess >= kAtOnce) due_ = now + kBusyInterval;
  return Count(connection);
}

absl::StatusOr<int64_t> ConflictRetention::RemoveOld(PgConnection& connection) {
  // The statement's time: with the clock's, which may differ for each row, the index is read whole.
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult removed,
      connection.Query(
          RemoveSql("logged_at < statement_timestamp() - make_interval(secs => $2::float8)",
                    "logged_at"),
          {std::to_string(kAtOnce), std::to_string(absl::ToInt64Seconds(limits_.keep))}));
  return removed.affected();
}

absl::StatusOr<int64_t> ConflictRetention::RemoveExcess(PgConnection& connection) {
  int64_t excess = std::min(rows_ - limits_.max_rows, kAtOnce);
  int64_t removed = 0;
  for (const char* condition : {"(dismissed_at IS NOT NULL OR undone_at IS NOT NULL)", "true"}) {
    if (excess <= 0) break;
    PGDUET_ASSIGN_OR_RETURN(const PgResult gone,
                            connection.Query(RemoveSql(condition, "id"), {std::to_string(excess)}));
    removed += gone.affected();
    excess -= gone.affected();
  }
  if (removed > 0) counted_range_.clear();
  return removed;
}

// Counting a large table is work; the two ends of its index are not.
absl::Status ConflictRetention::Count(PgConnection& connection) {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult ends,
      connection.Query("SELECT concat_ws(' ', min(id), max(id)), "
                       "pg_total_relation_size('pgduet.conflict') FROM pgduet.conflict"));
  if (counted_range_ != ends.Text(0, 0) || ends.Text(0, 0).empty()) {
    PGDUET_ASSIGN_OR_RETURN(const PgResult count,
                            connection.Query("SELECT count(*) FROM pgduet.conflict"));
    rows_ = count.Int(0, 0);
    counted_range_ = ends.Text(0, 0);
  }
  metrics_.ConflictLog(rows_, ends.Int(0, 1));
  return absl::OkStatus();
}

}  // namespace pgduet
