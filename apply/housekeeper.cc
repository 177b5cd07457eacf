#include "apply/housekeeper.h"

#include <algorithm>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "apply/target_table.h"
#include "base/backoff.h"
#include "base/log.h"
#include "base/named_error.h"
#include "base/thread_name.h"

namespace pgduet {
namespace {

constexpr absl::Duration kSampleInterval = absl::Milliseconds(20);
constexpr int kProgressRowsKept = 10'000;

}  // namespace

Housekeeper::Housekeeper(std::string conninfo, const RegionIdentity& identity, AppliedState& applied,
                         CoverageHistory& history, TombstoneRegistry& registry, ApplyMetrics& metrics)
    : conninfo_(std::move(conninfo)), identity_(identity), applied_(applied), history_(history), registry_(registry),
      metrics_(metrics) {}

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
    unflushed_samples_.clear();
    LogWarning("apply", "housekeeping interrupted", status);
    SleepFor(backoff.Next(), stop);
  }
}

absl::Status Housekeeper::Round(absl::Time now) {
  if (connection_ == nullptr) {
    PGDUET_ASSIGN_OR_RETURN(connection_, PgConnection::Open({.conninfo = conninfo_,
                                                             .application_name = "pgduet housekeeper", .settings = PinnedSettings()}));
    PGDUET_RETURN_IF_ERROR(connection_->Query("SET synchronous_commit = off; SET search_path = pg_catalog").status());
  }
  const bool store = now - stored_at_ > absl::Seconds(10);
  if (store) stored_at_ = now;
  PGDUET_RETURN_IF_ERROR(Sample(store));
  if (now - tombstones_at_ > absl::Seconds(1)) {
    tombstones_at_ = now;
    PGDUET_RETURN_IF_ERROR(RemoveStableTombstones());
    metrics_.Tombstones(registry_.size());
  }
  if (now - trimmed_at_ < absl::Seconds(10)) return absl::OkStatus();
  trimmed_at_ = now;
  return TrimProgress();
}

absl::Status Housekeeper::Sample(bool store) {
  // The statement's snapshot is taken before its functions run, so the position is the later one of the two.
  PGDUET_ASSIGN_OR_RETURN(const PgResult sample,
                          connection_->Query("SELECT pg_snapshot_xmin(pg_current_snapshot())::text, pg_current_wal_insert_lsn(), "
                                             "pg_current_wal_flush_lsn()"));
  PGDUET_ASSIGN_OR_RETURN(const Lsn lsn, Lsn::Parse(sample.Text(0, 1)));
  PGDUET_ASSIGN_OR_RETURN(const Lsn flushed, Lsn::Parse(sample.Text(0, 2)));
  unflushed_samples_.push_back({static_cast<FullXid>(sample.Int(0, 0)), lsn});
  // A crash takes back what was not flushed and gives its xids out again: such a sample would call them covered.
  while (!unflushed_samples_.empty() && unflushed_samples_.front().second <= flushed) {
    history_.Sampled(unflushed_samples_.front().first, unflushed_samples_.front().second);
    unflushed_samples_.pop_front();
  }
  if (!store) return absl::OkStatus();
  return connection_
      ->Query("INSERT INTO pgduet.horizon (lsn, xid) VALUES ($1::pg_lsn, $2::xid8) ON CONFLICT DO NOTHING",
              {lsn.ToString(), std::string(sample.Text(0, 0))})
      .status();
}

Position Housekeeper::StablePosition(Rank origin) const {
  Position stable = origin == identity_.rank ? Position{.incarnation = identity_.incarnation, .commit_lsn = Lsn(UINT64_MAX)}
                                             : applied_.Vector().At(origin);
  for (Rank peer = 0; peer < identity_.regions.size(); ++peer) {
    if (peer == identity_.rank || peer == origin) continue;
    const AppliedVector vector = applied_.PeerVector(peer);
    const Position& known = vector.At(origin);
    if (known.incarnation != stable.incarnation) return {};
    stable.commit_lsn = std::min(stable.commit_lsn, known.commit_lsn);
  }
  return stable;
}

absl::Status Housekeeper::RemoveStableTombstones() {
  for (Rank origin = 0; origin < identity_.regions.size(); ++origin) {
    const Position stable = StablePosition(origin);
    if (stable.incarnation != 0) PGDUET_RETURN_IF_ERROR(RemoveTombstonesOf(origin, stable));
  }
  return absl::OkStatus();
}

absl::Status Housekeeper::RemoveTombstonesOf(Rank origin, const Position& stable) {
  const uint64_t generation = registry_.Generation();
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult removed,
      connection_->Query("DELETE FROM pgduet.tombstone WHERE (relation, key_digest) IN (SELECT relation, key_digest FROM "
                         "pgduet.tombstone WHERE rank = $1::smallint AND commit_lsn <= $2::pg_lsn AND incarnation = $3 LIMIT 20000) "
                         "AND rank = $1::smallint AND commit_lsn <= $2::pg_lsn AND incarnation = $3 RETURNING relation, key",
                         {std::to_string(origin), stable.commit_lsn.ToString(), IncarnationToString(stable.incarnation)}));
  std::vector<TableKey> keys;
  for (int row = 0; row < removed.rows(); ++row) {
    const std::string_view text = removed.Text(row, 1);
    keys.push_back({static_cast<uint32_t>(removed.Int(row, 0)), text.empty() ? 0 : KeyHash(text)});
  }
  registry_.Remove(keys, generation);
  return absl::OkStatus();
}

absl::Status Housekeeper::TrimProgress() {
  PGDUET_RETURN_IF_ERROR(
      connection_
          ->Query(fmt::format("DELETE FROM pgduet.progress p USING (SELECT origin_rank, max(sequence) AS newest FROM "
                              "pgduet.progress GROUP BY origin_rank) m WHERE p.origin_rank = m.origin_rank "
                              "AND p.sequence < m.newest - {}",
                              kProgressRowsKept))
          .status());
  return connection_->Query("DELETE FROM pgduet.horizon WHERE sampled_at < clock_timestamp() - interval '1 day'").status();
}

absl::Status LoadTombstones(PgConnection& connection, TombstoneRegistry& registry) {
  PGDUET_RETURN_IF_ERROR(
      connection.Query("BEGIN; DECLARE tombstones NO SCROLL CURSOR FOR SELECT relation, key FROM pgduet.tombstone").status());
  while (true) {
    PGDUET_ASSIGN_OR_RETURN(const PgResult rows, connection.Query("FETCH 10000 FROM tombstones"));
    for (int row = 0; row < rows.rows(); ++row) {
      const std::string_view text = rows.Text(row, 1);
      registry.Add({static_cast<uint32_t>(rows.Int(row, 0)), text.empty() ? 0 : KeyHash(text)});
    }
    if (rows.rows() == 0) return connection.Query("COMMIT").status();
  }
}

absl::Status LoadHorizons(PgConnection& connection, CoverageHistory& history) {
  PGDUET_ASSIGN_OR_RETURN(const PgResult rows, connection.Query("SELECT xid::text, lsn FROM pgduet.horizon ORDER BY lsn"));
  for (int row = 0; row < rows.rows(); ++row) {
    PGDUET_ASSIGN_OR_RETURN(const Lsn lsn, Lsn::Parse(rows.Text(row, 1)));
    history.Sampled(static_cast<FullXid>(rows.Int(row, 0)), lsn);
  }
  return absl::OkStatus();
}

}  // namespace pgduet
