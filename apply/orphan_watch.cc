#include "apply/orphan_watch.h"

#include <algorithm>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "apply/postgres_time.h"
#include "base/backoff.h"
#include "base/log.h"
#include "base/named_error.h"
#include "base/thread_name.h"
#include "capture/applied_marker.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

constexpr absl::Duration kRound = absl::Milliseconds(50);
constexpr absl::Duration kLookInterval = absl::Milliseconds(200);
// While something that ran at the first look is still running, or another region is to act.
constexpr absl::Duration kWaitingInterval = absl::Seconds(1);
constexpr absl::Duration kLoadInterval = absl::Seconds(30);
constexpr absl::Duration kRemoveInterval = absl::Seconds(10);
constexpr absl::Duration kWarnInterval = absl::Seconds(60);
// How long the region that deleted the parent has the matter to itself.
constexpr char kOverdue[] = "30 seconds";
constexpr int kNotesOfAPage = 1'000;

std::string ReadSql() {
  return fmt::format(
      "SELECT n.id, n.relation, n.key, n.rank, {}, n.noted_at < clock_timestamp() - interval '{}' "
      "FROM pgduet.orphan_check n WHERE pg_visible_in_snapshot(n.xid, $1::pg_snapshot) AND n.id > "
      "$2::bigint ORDER BY n.id LIMIT $3::int",
      MicrosecondsOf("n.commit_time"), kOverdue);
}

// Of one parent: the newest delete as its tombstone, or its table's, has it; is its row kept?
std::string DetailsSql() {
  return fmt::format(
      "SELECT w.rank, {}, EXISTS (SELECT FROM pgduet.deleted_parent p WHERE p.relation = $1::oid "
      "AND p.key_digest = $2::uuid) FROM (SELECT 1) one LEFT JOIN LATERAL (SELECT d.rank, "
      "d.commit_time FROM pgduet.tombstone d WHERE d.relation = $1::oid AND d.key_digest IN "
      "($2::uuid, $3::uuid) ORDER BY d.commit_time DESC, d.rank DESC LIMIT 1) w ON true",
      MicrosecondsOf("w.commit_time"));
}

}  // namespace

OrphanWatch::OrphanWatch(std::string conninfo, const RegionIdentity& identity,
                         ForeignKeyWatch& keys, ApplyMetrics& metrics)
    : conninfo_(std::move(conninfo)),
      identity_(identity),
      keys_(keys),
      metrics_(metrics),
      repair_(conninfo_, identity, metrics) {}

void OrphanWatch::Start() {
  metrics_.OrphanChecks(0);  // without foreign keys, too: alerts ask for it
  thread_ = std::jthread([this](std::stop_token stop) { Run(std::move(stop)); });
}

void OrphanWatch::Stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void OrphanWatch::Run(std::stop_token stop) {
  NameThisThread("orphans");
  Backoff backoff;
  while (SleepFor(kRound, stop)) {
    const absl::Status status = Round(absl::Now());
    if (status.ok()) {
      backoff.Reset();
      continue;
    }
    if (stop.stop_requested()) return;
    connection_.reset();
    repair_.Reset();
    if (absl::Now() - warned_at_ > kWarnInterval || absl::IsUnavailable(status)) {
      warned_at_ = absl::Now();
      LogWarning("apply", "look for rows without parents interrupted", status);
    }
    SleepFor(backoff.Next(), stop);
  }
}

// What was noted of the last connection may be lost with a crash of the database.
absl::Status OrphanWatch::Open() {
  snapshot_.clear();
  xid_ = 0;
  due_ = loaded_at_ = absl::InfinitePast();
  PGDUET_ASSIGN_OR_RETURN(connection_,
                          PgConnection::Open(SetSession(conninfo_, identity_.set, "orphans")));
  PGDUET_RETURN_IF_ERROR(
      connection_->Query("SET synchronous_commit = off; SET search_path = pg_catalog").status());
  std::vector<Oid> origins;
  for (Rank rank = 0; rank < identity_.regions.size(); ++rank) {
    PGDUET_ASSIGN_OR_RETURN(
        const PgResult oid,
        connection_->Query("SELECT pg_catalog.pg_replication_origin_oid($1)",
                           {OriginName(identity_.group, identity_.set, identity_.NameOf(rank))}));
    origins.push_back(rank == identity_.rank ? 0 : static_cast<Oid>(oid.Int(0, 0)));
  }
  repair_.SetOrigins(std::move(origins));
  return absl::OkStatus();
}

absl::Status OrphanWatch::Round(absl::Time now) {
  if (connection_ == nullptr) PGDUET_RETURN_IF_ERROR(Open());
  if (now - loaded_at_ > kLoadInterval) {
    loaded_at_ = now;
    PGDUET_RETURN_IF_ERROR(keys_.Load(*connection_));
  }
  if (keys_.keys()->empty()) return absl::OkStatus();
  if (now - removed_at_ > kRemoveInterval) {
    removed_at_ = now;
    PGDUET_RETURN_IF_ERROR(RemoveKeptRows());
  }
  if (snapshot_.empty()) return now < due_ ? absl::OkStatus() : LookForCohort();
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult oldest,
      connection_->Query("SELECT pg_snapshot_xmin(pg_current_snapshot())::text"));
  const bool last = static_cast<FullXid>(oldest.Int(0, 0)) >= xid_;
  if (!last && now < due_) return absl::OkStatus();
  due_ = now + kWaitingInterval;
  return LookAtCohort(last);
}

absl::Status OrphanWatch::LookForCohort() {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult look,
      connection_->Query("SELECT pg_current_snapshot(), (SELECT count(*) FROM (SELECT FROM "
                         "pgduet.orphan_check LIMIT 100000) n)"));
  metrics_.OrphanChecks(static_cast<size_t>(look.Int(0, 1)));
  due_ = absl::Now() + kLookInterval;
  if (look.Int(0, 1) == 0) return absl::OkStatus();
  snapshot_ = look.Text(0, 0);
  PGDUET_ASSIGN_OR_RETURN(const PgResult xid,
                          connection_->Query("SELECT pg_current_xact_id()::text"));
  xid_ = static_cast<FullXid>(xid.Int(0, 0));
  due_ = absl::InfinitePast();  // orphans are rarely late: the first look may be the last
  return absl::OkStatus();
}

absl::Status OrphanWatch::LookAtCohort(bool last) {
  const std::shared_ptr<const ForeignKeys> keys = keys_.keys();
  int64_t after = 0;
  int count = 0;
  some_left_ = false;
  do {
    PGDUET_ASSIGN_OR_RETURN(const Page page, ReadPage(after, count));
    for (const auto& [table, notes] : page)
      PGDUET_RETURN_IF_ERROR(LookAtTable(*keys, table, notes, last));
  } while (count == kNotesOfAPage);
  if (!last) return absl::OkStatus();
  snapshot_.clear();
  if (!some_left_) due_ = absl::Now() + kLookInterval;
  return absl::OkStatus();
}

absl::StatusOr<OrphanWatch::Page> OrphanWatch::ReadPage(int64_t& after, int& count) {
  PGDUET_ASSIGN_OR_RETURN(const PgResult rows,
                          connection_->Query(ReadSql(), {snapshot_, std::to_string(after),
                                                         std::to_string(kNotesOfAPage)}));
  Page page;
  std::map<std::pair<Oid, std::string>, size_t> places;
  for (int row = 0; row < rows.rows(); ++row) {
    after = rows.Int(row, 0);
    const auto table = static_cast<Oid>(rows.Int(row, 1));
    SuspectParent parent{.key_text = std::string(rows.Text(row, 2)),
                         .deleter = {},
                         .deleted_at = {},
                         .overdue = rows.Bool(row, 5)};
    if (!rows.IsNull(row, 3)) parent.deleter = static_cast<Rank>(rows.Int(row, 3));
    if (!rows.IsNull(row, 4)) parent.deleted_at = rows.Int(row, 4);
    std::vector<Note>& notes = page[table];
    const auto [at, fresh] = places.try_emplace({table, parent.key_text}, notes.size());
    if (fresh) notes.push_back({.ids = {}, .parent = parent});
    Note& note = notes[at->second];
    note.ids.push_back(after);
    const bool overdue = note.parent.overdue || parent.overdue;
    if (note.parent.deleted_at < parent.deleted_at) note.parent = std::move(parent);
    note.parent.overdue = overdue;
  }
  count = rows.rows();
  return page;
}

// Something of the user's may be in the way of one foreign key (a lock on the table, a constraint
// of the parent): its notes stay, and the others go on.
absl::Status OrphanWatch::LookAtTable(const ForeignKeys& keys, Oid table,
                                      const std::vector<Note>& notes, bool last) {
  std::vector<SuspectParent> all;
  for (const Note& note : notes) all.push_back(note.parent);
  std::vector<bool> left(notes.size());
  for (const ForeignKey* key : keys.OfParent(table)) {
    const absl::Status status = LookAtKey(keys, *key, all, left);
    if (status.ok()) continue;
    if (absl::IsUnavailable(status)) return status;
    left.assign(left.size(), true);
    if (absl::IsAborted(status) || absl::Now() - warned_at_ < kWarnInterval) continue;
    warned_at_ = absl::Now();
    LogWarning("apply", "rows without parents are left for later", status);
  }
  return last ? Forget(notes, left) : absl::OkStatus();
}

// Nearly all parents that are deleted have no children left: first that question, for all at once.
absl::Status OrphanWatch::LookAtKey(const ForeignKeys& keys, const ForeignKey& key,
                                    const std::vector<SuspectParent>& all,
                                    std::vector<bool>& left) {
  PGDUET_ASSIGN_OR_RETURN(const std::vector<bool> missed, repair_.Missed(*connection_, key, all));
  std::vector<SuspectParent> parents;
  std::vector<size_t> places;
  for (size_t place = 0; place < all.size(); ++place) {
    if (!missed[place]) continue;
    parents.push_back(all[place]);
    places.push_back(place);
    PGDUET_RETURN_IF_ERROR(ReadDetails(key.parent->oid, parents.back()));
  }
  if (parents.empty()) return absl::OkStatus();
  PGDUET_ASSIGN_OR_RETURN(const std::vector<bool> open,
                          repair_.Handle(*connection_, keys, key, parents));
  for (size_t place = 0; place < places.size(); ++place)
    left[places[place]] = left[places[place]] || open[place];
  return absl::OkStatus();
}

absl::Status OrphanWatch::ReadDetails(Oid table, SuspectParent& parent) {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult row,
      connection_->Query(DetailsSql(),
                         {std::to_string(table), KeyDigest(parent.key_text), KeyDigest("")}));
  parent.row_known = row.Bool(0, 2);
  if (row.IsNull(0, 1) || (parent.deleted_at && *parent.deleted_at >= row.Int(0, 1)))
    return absl::OkStatus();
  parent.deleter = static_cast<Rank>(row.Int(0, 0));
  parent.deleted_at = row.Int(0, 1);
  return absl::OkStatus();
}

absl::Status OrphanWatch::Forget(const std::vector<Note>& notes, const std::vector<bool>& left) {
  ArrayLiteral ids;
  for (size_t place = 0; place < notes.size(); ++place) {
    for (const int64_t id : notes[place].ids) {
      if (!left[place]) ids.Add(std::to_string(id));
      some_left_ |= left[place];
    }
  }
  return connection_
      ->Query("DELETE FROM pgduet.orphan_check WHERE id = ANY ($1::bigint[])",
              {std::move(ids).Finish()})
      .status();
}

// A child that is still to come finds the tombstone.
absl::Status OrphanWatch::RemoveKeptRows() {
  return connection_
      ->Query(
          "DELETE FROM pgduet.deleted_parent p WHERE NOT EXISTS (SELECT FROM pgduet.tombstone "
          "d WHERE d.relation = p.relation AND d.key_digest = p.key_digest) AND NOT EXISTS "
          "(SELECT FROM pgduet.orphan_check n WHERE n.relation = p.relation)")
      .status();
}

}  // namespace pgduet
