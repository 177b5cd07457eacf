#include "capture/unchanged_values.h"

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <fmt/format.h>

#include "base/named_error.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

constexpr absl::Duration kVisibleWithin = absl::Seconds(2);

// Fills what the old row has. Returns how many are still missing.
uint64_t FromOldRow(ChangeBatch& batch, const Change& change) {
  uint64_t missing = 0;
  const Relation& relation = batch.RelationOf(change);
  for (uint32_t column = 0; column < change.new_count; ++column) {
    Value& value = batch.values[change.new_begin + column];
    if (value.kind != ValueKind::kUnchanged) continue;
    const bool in_old_row = change.old_row == OldRow::kFull ||
                            (change.old_row == OldRow::kKey && relation.columns[column].identity);
    // A large value is never NULL; a NULL says that the old row does not have it.
    if (in_old_row && batch.values[change.old_begin + column].kind == ValueKind::kText) {
      value = batch.values[change.old_begin + column];
    } else {
      ++missing;
    }
  }
  return missing;
}

}  // namespace

absl::StatusOr<uint64_t> UnchangedValues::Complete(const LocalTransaction& transaction,
                                                   ChangeBatch& batch) {
  uint64_t unavailable = 0;
  for (const Change& change : batch.changes) {
    if (change.kind != ChangeKind::kUpdate || FromOldRow(batch, change) == 0) continue;
    absl::StatusOr<uint64_t> left = ReadAgain(transaction, batch, change);
    if (!left.ok()) {
      connection_.reset();
      return WithContext(left.status(), "read unchanged values");
    }
    unavailable += *left;
  }
  return unavailable;
}

absl::Status UnchangedValues::Connect() {
  if (connection_ != nullptr) return absl::OkStatus();
  PGDUET_ASSIGN_OR_RETURN(connection_,
                          PgConnection::Open(SetSession(conninfo_, set_, "capture values")));
  return absl::OkStatus();
}

// A commit is in the WAL before other sessions see it, and long before when it waits for a
// synchronous standby. A row that is not there yet must not be taken for one that has gone: nothing
// would complete the value later.
absl::Status UnchangedValues::WaitVisible(const LocalTransaction& transaction) {
  if (visible_ == transaction.commit_lsn) return absl::OkStatus();
  const absl::Time until = absl::Now() + kVisibleWithin;
  while (true) {
    PGDUET_RETURN_IF_ERROR(Connect());
    PGDUET_ASSIGN_OR_RETURN(
        const PgResult visible,
        connection_->Query(
            "SELECT age($1::xid) > age(pg_snapshot_xmax(now.snapshot)::xid) AND NOT EXISTS "
            "(SELECT FROM pg_snapshot_xip(now.snapshot) AS running WHERE running::xid = $1::xid) "
            "FROM (SELECT pg_current_snapshot() AS snapshot OFFSET 0) now",
            {std::to_string(transaction.xid)}));
    if (visible.Bool(0, 0)) break;
    if (absl::Now() > until)
      return absl::UnavailableError("a decoded transaction is not visible yet");
    absl::SleepFor(absl::Milliseconds(1));
  }
  visible_ = transaction.commit_lsn;
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> UnchangedValues::ReadAgain(const LocalTransaction& transaction,
                                                    ChangeBatch& batch, const Change& change) {
  PGDUET_RETURN_IF_ERROR(WaitVisible(transaction));
  const Relation& relation = batch.RelationOf(change);
  std::string wanted, match;
  std::vector<uint32_t> columns;
  std::vector<std::optional<std::string>> parameters = {
      absl::FormatTime("%E4Y-%m-%d %H:%M:%E6S+00", absl::FromUnixMicros(transaction.commit_time),
                       absl::UTCTimeZone())};
  for (uint32_t column = 0; column < change.new_count; ++column) {
    const Value& value = batch.values[change.new_begin + column];
    const std::string name = QuoteName(relation.columns[column].name);
    if (value.kind == ValueKind::kUnchanged) {
      columns.push_back(column);
      wanted += fmt::format("{}t.{}", wanted.empty() ? "" : ", ", name);
    } else if (relation.columns[column].identity && relation.replica_identity != 'f') {
      parameters.emplace_back(std::string(value.bytes));
      match += fmt::format(" AND t.{} = ${}", name, parameters.size());
    }
  }
  if (match.empty()) return columns.size();
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult row,
      connection_->Query(
          fmt::format(
              "SELECT {} FROM {}.{} t WHERE (pg_xact_commit_timestamp_origin(t.xmin)).timestamp = "
              "$1::timestamptz AND (pg_xact_commit_timestamp_origin(t.xmin)).roident = 0{}",
              wanted, QuoteName(relation.schema), QuoteName(relation.name), match),
          parameters));
  if (row.rows() != 1) return columns.size();
  for (size_t place = 0; place < columns.size(); ++place) {
    Value& value = batch.values[change.new_begin + columns[place]];
    const int at = static_cast<int>(place);
    value = row.IsNull(0, at) ? Value{ValueKind::kNull, {}}
                              : Value{ValueKind::kText, batch.arena.Append(row.Text(0, at))};
  }
  return 0;
}

}  // namespace pgduet
