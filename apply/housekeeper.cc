#include "apply/housekeeper.h"

#include <algorithm>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "apply/lost_progress.h"
#include "apply/postgres_time.h"
#include "apply/target_table.h"
#include "base/backoff.h"
#include "base/log.h"
#include "base/named_error.h"
#include "base/thread_name.h"
#include "capture/applied_marker.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

constexpr absl::Duration kSampleInterval = absl::Milliseconds(20);
// Each costs a transaction id and a few bytes of WAL, on an idle database too. A backlog asks for
// more.
constexpr absl::Duration kCloseInterval = absl::Seconds(1);
// $1 rank, $2 LSN, $3 incarnation, $4 time.
constexpr char kStable[] =
    "rank = $1::smallint AND commit_lsn <= $2::pg_lsn AND incarnation = $3 AND commit_time < "
    "$4::timestamptz AND unswept IS NULL";
constexpr int kTombstonesAtOnce = 20'000;  // tens of milliseconds: time is closed between two
constexpr int kProgressRowsKept = 10'000;

}  // namespace

Housekeeper::Housekeeper(std::string conninfo, const RegionIdentity& identity,
                         const PolicyTables& policies, AppliedState& applied,
                         CoverageHistory& history, TombstoneRegistry& registry, ParkingLot& parking,
                         const ForeignKeyWatch& foreign_keys, ApplyMetrics& metrics,
                         ConflictLogLimits conflict_log)
    : conninfo_(std::move(conninfo)),
      identity_(identity),
      policies_(policies),
      applied_(applied),
      history_(history),
      registry_(registry),
      metrics_(metrics),
      sweep_(identity, history, foreign_keys, metrics),
      retention_(conflict_log, metrics),
      parking_(parking),
      returns_(identity, identity.rank, parking, history, registry, applied, policies) {}

void Housekeeper::Start() {
  thread_ = std::jthread([this](std::stop_token stop) { Run(std::move(stop)); });
}

void Housekeeper::Stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void Housekeeper::Run(std::stop_token stop) {
  NameThisThread("housekeeper");
  Backoff backoff;
  while (SleepFor(kSampleInterval, stop)) {
    const absl::Status status = Round(absl::Now());
    if (status.ok()) {
      backoff.Reset();
      continue;
    }
    connection_.reset();
    session_.reset();
    LogWarning("apply", "housekeeping interrupted", status);
    SleepFor(backoff.Next(), stop);
  }
}

// What was noted of the last connection may be lost with a crash of the database.
absl::Status Housekeeper::Open() {
  unflushed_samples_.clear();
  removed_.clear();
  closing_ = {};
  sweep_.Reset();
  retention_.Reset();
  PGDUET_ASSIGN_OR_RETURN(
      session_, TargetSession::Open(conninfo_, identity_, "housekeeper sweep",
                                    OriginName(identity_.group, identity_.set, "housekeeper")));
  PGDUET_ASSIGN_OR_RETURN(connection_,
                          PgConnection::Open(SetSession(conninfo_, identity_.set, "housekeeper")));
  PGDUET_RETURN_IF_ERROR(
      connection_->Query("SET synchronous_commit = off; SET search_path = pg_catalog").status());
  PGDUET_RETURN_IF_ERROR(LoadCrowded(*connection_, parking_));
  return SetBackLostProgress(*connection_, identity_, applied_, history_);
}

absl::Status Housekeeper::Round(absl::Time now) {
  if (connection_ == nullptr) PGDUET_RETURN_IF_ERROR(Open());
  const bool store = now - stored_at_ > absl::Seconds(10);
  if (store) stored_at_ = now;
  PGDUET_RETURN_IF_ERROR(Sample(store));
  PGDUET_RETURN_IF_ERROR(sweep_.Step(*session_, *connection_, oldest_running_, now));
  PGDUET_RETURN_IF_ERROR(returns_.Step(*session_, *connection_, now));
  const bool wanted = applied_.TakeWish();
  if (wanted || sweep_.wants_xid() || now - closed_at_ > kCloseInterval) {
    closed_at_ = now;
    PGDUET_RETURN_IF_ERROR(CloseTime(/*flush=*/wanted));
  }
  if (now >= tombstones_due_) {
    PGDUET_ASSIGN_OR_RETURN(const bool more, RemoveStableTombstones());
    tombstones_due_ = more ? now : now + absl::Seconds(1);
    metrics_.Tombstones(registry_.size());
  }
  if (!policies_.empty() && now >= states_due_) PGDUET_RETURN_IF_ERROR(RemoveSettledStates(now));
  PGDUET_RETURN_IF_ERROR(retention_.Step(*connection_, now));
  if (now - trimmed_at_ < absl::Seconds(10)) return absl::OkStatus();
  trimmed_at_ = now;
  PGDUET_RETURN_IF_ERROR(CountParked());
  return TrimProgress();
}

absl::Status Housekeeper::CountParked() {
  PGDUET_ASSIGN_OR_RETURN(const PgResult parked,
                          connection_->Query("SELECT count(*) FROM pgduet.parked"));
  metrics_.ParkedRows(static_cast<size_t>(parked.Int(0, 0)));
  return absl::OkStatus();
}

absl::Status Housekeeper::Sample(bool store) {
  // The statement's snapshot is taken before its functions run, so the position is the later one of
  // the two.
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult sample,
      connection_->Query(
          "SELECT pg_snapshot_xmin(pg_current_snapshot())::text, pg_current_wal_insert_lsn(), "
          "pg_current_wal_flush_lsn()"));
  PGDUET_ASSIGN_OR_RETURN(const Lsn lsn, Lsn::Parse(sample.Text(0, 1)));
  PGDUET_ASSIGN_OR_RETURN(const Lsn flushed, Lsn::Parse(sample.Text(0, 2)));
  oldest_running_ = static_cast<FullXid>(sample.Int(0, 0));
  unflushed_samples_.push_back({oldest_running_, lsn});
  ForgetRemoved(flushed);
  // A crash takes back what was not flushed and gives its xids out again: such a sample would call
  // them covered.
  while (!unflushed_samples_.empty() && unflushed_samples_.front().second <= flushed) {
    history_.Sampled(unflushed_samples_.front().first, unflushed_samples_.front().second);
    unflushed_samples_.pop_front();
  }
  if (!store) return absl::OkStatus();
  return connection_
      ->Query(
          "INSERT INTO pgduet.horizon (lsn, xid) VALUES ($1::pg_lsn, $2::xid8) ON CONFLICT DO "
          "NOTHING",
          {lsn.ToString(), std::string(sample.Text(0, 0))})
      .status();
}

// Tells all captures of this database, through its WAL, which time is closed at this place, and
// opens the next one. The statement's time is taken before the transaction id is given out.
absl::Status Housekeeper::CloseTime(bool flush) {
  const CommitTime closed = closing_.Closed(oldest_running_);
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult opened,
      session_->Query(
          fmt::format(
              "SELECT {}, pg_current_xact_id()::text, pg_logical_emit_message(true, $1, $2::text), "
              "set_config('synchronous_commit', $3, true)",
              MicrosecondsOf("statement_timestamp()")),
          {identity_.messages.closed, EncodeClosedTime(closed),
           std::string(flush ? "local" : "off")}));
  const auto xid = static_cast<FullXid>(opened.Int(0, 1));
  closing_.Opened(opened.Int(0, 0), xid);
  sweep_.XidGivenOut(xid);
  const CommitTime own = applied_.ClosedTime(identity_.rank);
  if (own != kOldestTime)
    metrics_.ClosedTimeAge(absl::ToDoubleSeconds(absl::Now() - ToAbslTime(own)));
  return absl::OkStatus();
}

Position Housekeeper::StablePosition(Rank origin) const {
  Position stable = origin == identity_.rank ? Position{.incarnation = identity_.incarnation,
                                                        .commit_lsn = Lsn(UINT64_MAX)}
                                             : applied_.Vector().At(origin);
  // A local write that has its time already, and not its place in the WAL, may be older than a
  // remote delete.
  stable.commit_time = origin == identity_.rank ? INT64_MAX : applied_.ClosedTime(identity_.rank);
  for (Rank peer = 0; peer < identity_.regions.size(); ++peer) {
    if (peer == identity_.rank || peer == origin) continue;
    const AppliedVector vector = applied_.PeerVector(peer);
    const Position& known = vector.At(origin);
    if (known.incarnation != stable.incarnation) return {};
    stable.commit_lsn = std::min(stable.commit_lsn, known.commit_lsn);
    stable.commit_time = std::min(stable.commit_time, applied_.ClosedTime(peer));
  }
  return stable;
}

absl::StatusOr<bool> Housekeeper::RemoveStableTombstones() {
  bool more = false;
  for (Rank origin = 0; origin < identity_.regions.size(); ++origin) {
    const Position stable = StablePosition(origin);
    if (stable.incarnation == 0 || stable.commit_time == kOldestTime) continue;
    PGDUET_ASSIGN_OR_RETURN(const int removed, RemoveTombstonesOf(origin, stable));
    more = more || removed == kTombstonesAtOnce;
  }
  return more;
}

// Places, not keys: a join over keys reads the whole table, or, before autovacuum has analysed it,
// reads it once for each key (255 seconds for 20,000 of a million). The condition stands twice
// because the row at a place may have been changed meanwhile.
absl::StatusOr<int> Housekeeper::RemoveTombstonesOf(Rank origin, const Position& stable) {
  const uint64_t generation = registry_.Generation();
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult removed,
      connection_->Query(
          fmt::format("DELETE FROM pgduet.tombstone WHERE ctid = ANY (ARRAY(SELECT ctid FROM "
                      "pgduet.tombstone WHERE {0} ORDER BY commit_lsn LIMIT {1})) AND {0} "
                      "RETURNING relation, key",
                      kStable, kTombstonesAtOnce),
          {std::to_string(origin), stable.commit_lsn.ToString(),
           IncarnationToString(stable.incarnation), TimestampText(stable.commit_time)}));
  if (removed.rows() == 0) return 0;
  std::vector<TableKey> keys;
  for (int row = 0; row < removed.rows(); ++row) {
    const std::string_view text = removed.Text(row, 1);
    keys.push_back({static_cast<uint32_t>(removed.Int(row, 0)), text.empty() ? 0 : KeyHash(text)});
  }
  PGDUET_ASSIGN_OR_RETURN(const PgResult inserted,
                          connection_->Query("SELECT pg_current_wal_insert_lsn()"));
  PGDUET_ASSIGN_OR_RETURN(const Lsn written, Lsn::Parse(inserted.Text(0, 0)));
  removed_.push_back({std::move(keys), generation, written});
  return removed.rows();
}

// What is known of rows is let go once every write to come has seen it. Siblings stay for the
// application. How long a look takes says how soon the next one is due.
absl::Status Housekeeper::RemoveSettledStates(absl::Time now) {
  const AppliedVector stable = applied_.StableVector(identity_.rank);
  ArrayLiteral lsns;
  for (Rank rank = 0; rank < identity_.regions.size(); ++rank)
    lsns.Add(stable.At(rank).commit_lsn.ToString());
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult removed,
      connection_->Query(
          "WITH settled AS (SELECT s.ctid FROM pgduet.row_state s WHERE NOT s.needed AND NOT "
          "EXISTS (SELECT FROM unnest(s.newest) WITH ORDINALITY n (lsn, place) WHERE n.lsn > "
          "($1::pg_lsn[])[n.place]) LIMIT 20000 FOR UPDATE SKIP LOCKED) "
          "DELETE FROM pgduet.row_state s USING settled WHERE s.ctid = settled.ctid",
          {std::move(lsns).Finish()}));
  const bool more = removed.affected() == 20000;
  states_due_ =
      now + (more ? absl::ZeroDuration() : std::max(absl::Seconds(1), 20 * (absl::Now() - now)));
  return CountSiblings();
}

absl::Status Housekeeper::CountSiblings() {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult tables,
      connection_->Query("SELECT n.nspname, c.relname, count(*) FROM pgduet.row_state s JOIN "
                         "pg_class c ON c.oid = s.relation JOIN pg_namespace n ON n.oid = "
                         "c.relnamespace WHERE s.siblings GROUP BY 1, 2"));
  size_t versions = 0, undecided = 0;
  for (int row = 0; row < tables.rows(); ++row) {
    const TablePolicy* policy =
        policies_.Find(std::string(tables.Text(row, 0)), std::string(tables.Text(row, 1)));
    const bool error = policy != nullptr && policy->kind == PolicyKind::kError;
    (error ? undecided : versions) += static_cast<size_t>(tables.Int(row, 2));
  }
  metrics_.RowsWithSiblings(PolicyName(PolicyKind::kVersions), versions);
  metrics_.RowsWithSiblings(PolicyName(PolicyKind::kError), undecided);
  return absl::OkStatus();
}

// A crash of the database brings back what was removed and not flushed: until then the registry
// must say "may have".
void Housekeeper::ForgetRemoved(Lsn flushed) {
  while (!removed_.empty() && removed_.front().written <= flushed) {
    registry_.Remove(removed_.front().keys, removed_.front().generation);
    removed_.pop_front();
  }
}

absl::Status Housekeeper::TrimProgress() {
  PGDUET_RETURN_IF_ERROR(
      connection_
          ->Query(fmt::format(
              "DELETE FROM pgduet.progress p USING (SELECT origin_rank, max(sequence) AS newest "
              "FROM "
              "pgduet.progress GROUP BY origin_rank) m WHERE p.origin_rank = m.origin_rank "
              "AND p.sequence < m.newest - {}",
              kProgressRowsKept))
          .status());
  return connection_
      ->Query("DELETE FROM pgduet.horizon WHERE sampled_at < clock_timestamp() - interval '1 day'")
      .status();
}

absl::Status LoadTombstones(PgConnection& connection, TombstoneRegistry& registry) {
  PGDUET_RETURN_IF_ERROR(connection
                             .Query(fmt::format("BEGIN; DECLARE tombstones NO SCROLL CURSOR FOR "
                                                "SELECT relation, key, {}, rank, commit_lsn "
                                                "FROM pgduet.tombstone",
                                                MicrosecondsOf("commit_time")))
                             .status());
  while (true) {
    PGDUET_ASSIGN_OR_RETURN(const PgResult rows, connection.Query("FETCH 10000 FROM tombstones"));
    for (int row = 0; row < rows.rows(); ++row) {
      const std::string_view text = rows.Text(row, 1);
      registry.Add({static_cast<uint32_t>(rows.Int(row, 0)), text.empty() ? 0 : KeyHash(text)},
                   {.commit_time = rows.Int(row, 2),
                    .rank = static_cast<Rank>(rows.Int(row, 3)),
                    .commit_lsn = Lsn::Parse(rows.Text(row, 4)).value_or(Lsn())});
    }
    if (rows.rows() == 0) return connection.Query("COMMIT").status();
  }
}

absl::Status LoadHorizons(PgConnection& connection, CoverageHistory& history) {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult rows,
      connection.Query("SELECT xid::text, lsn FROM pgduet.horizon ORDER BY lsn"));
  for (int row = 0; row < rows.rows(); ++row) {
    PGDUET_ASSIGN_OR_RETURN(const Lsn lsn, Lsn::Parse(rows.Text(row, 1)));
    history.Sampled(static_cast<FullXid>(rows.Int(row, 0)), lsn);
  }
  return absl::OkStatus();
}

}  // namespace pgduet
